//! A name on each line; `*.` or a dot in front changes nothing, since all below it is meant anyway.

use super::{Line, Rule, host};
use crate::blocked::Shape;
use crate::domain::NAME_MAX;

pub(super) fn line(line: &[u8], take: &mut dyn FnMut(Rule<'_>)) -> Line {
    let said = line.split(|byte| *byte == b'#').next().unwrap_or(&[]).trim_ascii();
    if said.is_empty() || said.starts_with(b"!") || said.starts_with(b"//") || said.starts_with(b";") {
        return Line::Empty;
    }
    let name = said.strip_prefix(b"*.").or_else(|| said.strip_prefix(b".")).unwrap_or(said);
    let mut room = [0; NAME_MAX];
    match host::read(name, &mut room) {
        Some(name) => {
            take(Rule { shape: Shape::Under, except: false, name });
            Line::Taken
        }
        None => Line::Skipped,
    }
}

//! Rules of ad blockers, as far as they are about whole names. A rule that holds only for some pages,
//! kinds of content or clients is left out: here it would block everything.

use super::{Line, Rule, host, hosts};
use crate::blocked::Shape;
use crate::domain::NAME_MAX;

/// Options after which a rule still means the whole name.
const WHOLE: [&[u8]; 5] = [b"important", b"all", b"document", b"doc", b"popup"];

pub(super) fn line(line: &[u8], take: &mut dyn FnMut(Rule<'_>)) -> Line {
    let first = line.first().copied().unwrap_or(b'!');
    if matches!(first, b'!' | b'[') || is_comment(line) {
        return Line::Empty;
    }
    // Lists mix both.
    let word = line.split(u8::is_ascii_whitespace).next().unwrap_or(&[]);
    if word.len() < line.len() && hosts::is_address(word) {
        return hosts::line(line, take);
    }
    let mut room = [0; NAME_MAX];
    match rule(line, &mut room) {
        Some(rule) => {
            take(rule);
            Line::Taken
        }
        None => Line::Skipped,
    }
}

/// `#` alone; but `##` begins a rule about parts of pages.
fn is_comment(line: &[u8]) -> bool {
    line.strip_prefix(b"#")
        .is_some_and(|rest| !matches!(rest.first(), Some(b'#' | b'@' | b'?' | b'$' | b'%')))
}

fn rule<'r>(line: &[u8], room: &'r mut host::Room) -> Option<Rule<'r>> {
    let (except, line) = line.strip_prefix(b"@@").map_or((false, line), |rest| (true, rest));
    let mut parts = line.splitn(2, |byte| *byte == b'$');
    let pattern = parts.next()?;
    if let Some(options) = parts.next()
        && !options.split(|byte| *byte == b',').all(|option| WHOLE.contains(&option))
    {
        return None;
    }
    let (shape, rest) = match pattern.strip_prefix(b"||") {
        Some(rest) => (Shape::Under, rest),
        None => (Shape::Exact, pattern.strip_prefix(b"|").unwrap_or(pattern)),
    };
    let end = rest.iter().position(|byte| matches!(byte, b'^' | b'|')).unwrap_or(rest.len());
    let (name, end) = rest.split_at_checked(end)?;
    let whole = matches!(end, b"" | b"^" | b"^|" | b"|");
    // Without its end, `||example` would be the beginning of a name.
    let closed = shape == Shape::Exact || !end.is_empty();
    if !whole || !closed {
        return None;
    }
    host::read(name, room).map(|name| Rule { shape, except, name })
}

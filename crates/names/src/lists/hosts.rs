//! `/etc/hosts`: an address that leads nowhere, then names.

use super::{Line, Rule, host};
use crate::blocked::Shape;
use crate::domain::NAME_MAX;

/// Where blocked names are sent. A list that sends them elsewhere is not obeyed: its author would
/// choose whom people reach.
const NOWHERE: [&[u8]; 6] = [b"0.0.0.0", b"127.0.0.1", b"::", b"::1", b"0", b"0:0:0:0:0:0:0:0"];

/// What every hosts file says of the machine itself.
const OWN: [&[u8]; 6] = [
    b"localhost.localdomain",
    b"localhost",
    b"local",
    b"broadcasthost",
    b"0.0.0.0",
    b"localhost4.localdomain4",
];

pub(super) fn line(line: &[u8], take: &mut dyn FnMut(Rule<'_>)) -> Line {
    let said = line.split(|byte| *byte == b'#').next().unwrap_or(&[]);
    let mut words = said.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let Some(address) = words.next() else { return Line::Empty };
    let names: Vec<&[u8]> = words.filter(|name| !is_own(name)).collect();
    if names.is_empty() && is_address(address) {
        return Line::Empty;
    }
    if !NOWHERE.contains(&address) {
        return Line::Skipped;
    }
    let mut room = [0; NAME_MAX];
    let mut skipped = false;
    for name in names {
        match host::read(name, &mut room) {
            Some(name) => take(Rule { shape: Shape::Exact, except: false, name }),
            None => skipped = true,
        }
    }
    if skipped { Line::Skipped } else { Line::Taken }
}

/// Whether a word is written as an address is.
pub(super) fn is_address(word: &[u8]) -> bool {
    let digits = word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    digits || word.contains(&b':')
}

fn is_own(name: &[u8]) -> bool {
    OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) || name.starts_with(b"ip6-")
}

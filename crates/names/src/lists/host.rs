//! Names of machines in text: letters, digits, hyphens and what is in use besides them.

use crate::domain::{LABEL_MAX, NAME_MAX};

/// Room for a name as in a message.
pub(super) type Room = [u8; NAME_MAX];

/// Writes a name as in a message, in lower case. None if it is not one of at least two labels: nobody
/// blocks a whole country by a slip. An address is no name.
pub(super) fn read<'r>(text: &[u8], room: &'r mut Room) -> Option<&'r [u8]> {
    let text = text.strip_suffix(b".").unwrap_or(text);
    let (mut at, mut count, mut numeric) = (0usize, 0usize, false);
    for label in text.split(|byte| *byte == b'.') {
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if label.is_empty() || label.len() > LABEL_MAX || !label.iter().all(good) {
            return None;
        }
        *room.get_mut(at)? = u8::try_from(label.len()).ok()?;
        let place = room.get_mut(at + 1..at + 1 + label.len())?;
        place.copy_from_slice(label);
        place.make_ascii_lowercase();
        at += label.len() + 1;
        count += 1;
        numeric = label.iter().all(u8::is_ascii_digit);
    }
    *room.get_mut(at)? = 0;
    if count < 2 || numeric { None } else { room.get(..=at) }
}

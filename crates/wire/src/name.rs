//! What people call a realm, a node, a bucket or a person: shown in lists, logs and terminals of
//! everybody, so it may not carry anything but visible text on one line.

use std::fmt;

use minicbor::decode::{self, Decode, Decoder};
use minicbor::encode::{self, Encode, Encoder};

/// Bytes of the longest name.
const NAME_MAX: usize = 128;
/// Hex digits of an id that lists show.
const ID_START: usize = 8;

/// One line of visible text: 1 to 128 bytes of UTF-8 without control characters, characters that
/// turn the direction of what follows, or spaces at either end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left of it.
    #[error("it is empty")]
    Empty,
    /// Too long.
    #[error("it has {0} bytes; a name has at most {NAME_MAX}")]
    TooLong(usize),
    /// A character that would not be seen, or would change how the rest is seen.
    #[error("it has the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// A space at one of its ends.
    #[error("it begins or ends with a space")]
    Padded,
}

impl Name {
    /// Takes over `text`.
    ///
    /// # Errors
    /// [`NameError`]
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        if let Some(bad) = text.chars().find(|c| is_invisible(*c)) {
            return Err(NameError::Invisible(bad));
        }
        if let (Some(first), true) = (text.chars().next(), text.chars().all(is_joiner)) {
            return Err(NameError::Invisible(first));
        }
        if text.trim().len() != text.len() {
            return Err(NameError::Padded);
        }
        Ok(Self(text))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it could be the start of an id, as lists show ids: who types that means the id.
    pub fn is_like_an_id(&self) -> bool {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        self.0.len() >= ID_START && self.0.bytes().all(is_digit)
    }

    /// The name with a number behind it; its end gives way if there is no room for both.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let suffix = format!("-{number}");
        let mut stem = self.0.as_str();
        while stem.len() + suffix.len() > NAME_MAX {
            stem = stem.char_indices().next_back().and_then(|(at, _)| stem.get(..at)).unwrap_or_default();
        }
        Self(format!("{}{suffix}", stem.trim_end()))
    }
}

/// Control characters; marks, overrides and isolates of direction; line and paragraph separators; what
/// has no width, and fillers. Unicode 16, `Bidi_Control` and `Default_Ignorable`, without the joiners
/// and variation selectors that emoji, Persian and Indian scripts are written with.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// What joins or varies its neighbours, and alone is not seen.
const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<C> Encode<C> for Name {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Name {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::new(d.str()?).map_err(|_| decode::Error::message("not a name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_canonical, to_canonical};

    #[test]
    fn a_name_is_one_line_of_visible_text() {
        for good in ["nas", "Zoë's laptop", "书房", "a b", "👩\u{200d}👧"] {
            let name = Name::new(good).unwrap();
            assert_eq!(from_canonical::<Name>(&to_canonical(&name), 200).unwrap(), name);
        }
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new(" nas"), Err(NameError::Padded));
        assert_eq!(Name::new("ä".repeat(65)), Err(NameError::TooLong(130)));
        for nothing in ["\u{200d}", "\u{200c}\u{fe0f}"] {
            assert!(matches!(Name::new(nothing), Err(NameError::Invisible(_))));
        }
        for bad in ['\u{115f}', '\u{3164}', '\u{ffa0}', '\u{180e}'] {
            assert_eq!(Name::new(format!("nas{bad}")), Err(NameError::Invisible(bad)));
        }
        for bad in ['\n', '\u{1b}', '\u{9b}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}'] {
            let text = format!("nas{bad}[2J");
            assert_eq!(Name::new(text.as_str()), Err(NameError::Invisible(bad)));
            let encoded = to_canonical(&crate::Text::<128>::new(text).unwrap());
            assert!(from_canonical::<Name>(&encoded, 200).is_err(), "from another program neither");
        }
    }

    #[test]
    fn what_lists_show_of_ids_is_no_name() {
        for like in ["84cff153", "20260101", &"0a".repeat(32)] {
            assert!(Name::new(like).unwrap().is_like_an_id(), "{like}");
        }
        for unlike in ["cafe", "84cff15", "84CFF153", "84cff153-2", "nas", "abcdefgh"] {
            assert!(!Name::new(unlike).unwrap().is_like_an_id(), "{unlike}");
        }
    }

    #[test]
    fn a_number_finds_room() {
        assert_eq!(Name::new("debian").unwrap().numbered(2).as_str(), "debian-2");
        let long = Name::new("ä".repeat(64)).unwrap();
        assert_eq!(long.numbered(2).as_str(), format!("{}-2", "ä".repeat(63)));
    }
}

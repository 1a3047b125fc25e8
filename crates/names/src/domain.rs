//! Names of the DNS as they stand in messages: labels, each behind its length, then an empty one.

use std::fmt;
use std::str::FromStr;

/// The longest name there can be, with lengths and the root.
pub const NAME_MAX: usize = 255;
/// The longest label.
pub const LABEL_MAX: usize = 63;

/// A name, in lower case, as it stands in a message without compression.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<[u8]>);

/// What is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Two dots in a row, or nothing at all.
    #[error("a label of the name is empty")]
    Empty,
    /// A label is longer than 63 bytes.
    #[error("a label of the name is longer than 63 bytes")]
    LongLabel,
    /// The name is longer than 255 bytes.
    #[error("the name is longer than 255 bytes")]
    Long,
    /// A character that has to be written as `\DDD`.
    #[error("the name has a character that has to be written as a backslash and three digits")]
    Character,
}

impl Domain {
    /// The name of everything.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// From the form in messages; it has to end where the bytes end.
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        (wire_len(bytes) == Some(bytes.len())).then(|| Self(bytes.to_ascii_lowercase().into()))
    }

    /// From labels, which may hold any bytes.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, DomainError> {
        let mut wire = Vec::new();
        for label in labels {
            let len = u8::try_from(label.len()).ok().filter(|len| usize::from(*len) <= LABEL_MAX);
            match len {
                None => return Err(DomainError::LongLabel),
                Some(0) => return Err(DomainError::Empty),
                Some(len) => wire.push(len),
            }
            wire.extend(label.to_ascii_lowercase());
            if wire.len() >= NAME_MAX {
                return Err(DomainError::Long);
            }
        }
        wire.push(0);
        Ok(Self(wire.into()))
    }

    /// The name with one more label in front.
    pub fn child(&self, label: &[u8]) -> Result<Self, DomainError> {
        Self::from_labels(std::iter::once(label).chain(labels(&self.0)))
    }

    /// As in messages, in lower case.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// How many labels it has; the root has none.
    pub fn depth(&self) -> usize {
        labels(&self.0).count()
    }

    /// Whether it is that name or below it.
    pub fn is_within(&self, apex: &Self) -> bool {
        suffixes(&self.0).any(|suffix| suffix == apex.as_wire())
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    /// With or without the dot at the end; any byte can be written as a backslash and three digits.
    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text == "." {
            return Ok(Self::root());
        }
        let mut read: Vec<Vec<u8>> = vec![Vec::new()];
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            let byte = match byte {
                b'.' => {
                    read.push(Vec::new());
                    continue;
                }
                b'\\' => escaped(&mut bytes).ok_or(DomainError::Character)?,
                b'!'..=b'~' => byte,
                _ => return Err(DomainError::Character),
            };
            if let Some(label) = read.last_mut() {
                label.push(byte);
            }
        }
        if read.len() > 1 && read.last().is_some_and(Vec::is_empty) {
            read.pop();
        }
        Self::from_labels(read.iter().map(Vec::as_slice))
    }
}

fn escaped(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(10));
    let value = digit()? * 100 + digit()? * 10 + digit()?;
    u8::try_from(value).ok()
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.depth() == 0 {
            return f.write_str(".");
        }
        for (number, label) in labels(&self.0).enumerate() {
            if number > 0 {
                f.write_str(".")?;
            }
            for byte in label {
                match byte {
                    b'.' | b'\\' => write!(f, "\\{byte:03}")?,
                    b'!'..=b'~' => write!(f, "{}", char::from(*byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How long the name at the start of the bytes is, its root included; none if there is none, or
/// only a compressed one.
pub(crate) fn wire_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    while at < NAME_MAX {
        match usize::from(*bytes.get(at)?) {
            0 => return Some(at + 1),
            len if len <= LABEL_MAX => at += len + 1,
            _ => return None,
        }
    }
    None
}

/// A name and what is left of it as its labels are taken off from the front; the root is the last.
pub(crate) fn suffixes(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(name), |rest| {
        let len = usize::from(*rest.first()?);
        if len == 0 { None } else { rest.get(len + 1..) }
    })
}

/// The labels from the front.
pub(crate) fn labels(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    suffixes(name).filter_map(|rest| {
        let (len, rest) = rest.split_first()?;
        rest.get(..usize::from(*len)).filter(|label| !label.is_empty())
    })
}

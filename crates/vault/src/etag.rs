//! ETags as S3 clients expect them: MD5, or the MD5 of the parts' MD5s with their count. They say
//! nothing about integrity here: that is what the seals are for.

use std::fmt;
use std::str::FromStr;

use freehold_wire::Hex;
use md5::{Digest as _, Md5};

/// Text that is not an ETag of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ETag: 32 hexadecimal digits, and for uploads in parts a dash and their number")]
pub struct EtagError;

/// An ETag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Etag {
    md5: [u8; 16],
    /// 0 for an object written at once.
    parts: u16,
}

impl Etag {
    /// Of an object (or part) written at once.
    pub const fn single(md5: [u8; 16]) -> Self {
        Self { md5, parts: 0 }
    }

    /// Of an object put together from parts.
    pub fn of_parts(parts: &[[u8; 16]]) -> Self {
        let mut all = Md5::new();
        for part in parts {
            all.update(part);
        }
        Self { md5: all.finalize().into(), parts: u16::try_from(parts.len()).unwrap_or(u16::MAX) }
    }

    /// The MD5.
    pub const fn md5(self) -> [u8; 16] {
        self.md5
    }

    /// In how many parts it came; 0 if at once.
    pub const fn parts(self) -> u16 {
        self.parts
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.md5).fmt(f)?;
        if self.parts > 0 { write!(f, "-{}", self.parts) } else { Ok(()) }
    }
}

impl FromStr for Etag {
    type Err = EtagError;

    fn from_str(text: &str) -> Result<Self, EtagError> {
        let (digits, parts) = match text.split_once('-') {
            Some((digits, parts)) => {
                (digits, parts.parse().ok().filter(|parts| *parts > 0).ok_or(EtagError)?)
            }
            None => (text, 0),
        };
        let mut md5 = [0; 16];
        hex::decode_to_slice(digits, &mut md5).map_err(|_| EtagError)?;
        Ok(Self { md5, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_s3_writes_them() {
        let empty: [u8; 16] = Md5::digest(b"").into();
        assert_eq!(Etag::single(empty).to_string(), "d41d8cd98f00b204e9800998ecf8427e");
        // `printf '' | md5sum | xxd -r -p | md5sum`
        assert_eq!(Etag::of_parts(&[empty]).to_string(), "59adb24ef3cdbe0297f05b395827453f-1");
        for text in ["d41d8cd98f00b204e9800998ecf8427e", "59adb24ef3cdbe0297f05b395827453f-12"] {
            assert_eq!(text.parse::<Etag>().unwrap().to_string(), text);
        }
        for text in ["", "d41d", "d41d8cd98f00b204e9800998ecf8427e-0", "d41d8cd98f00b204e9800998ecf8427e-x"] {
            assert_eq!(text.parse::<Etag>(), Err(EtagError));
        }
    }
}

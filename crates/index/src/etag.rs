//! `ETags` as S3 clients expect them: MD5, or the MD5 of the parts' MD5s with their count. They say
//! nothing about integrity here: that is what the seals are for.

use std::fmt;
use std::str::FromStr;

use freehold_seal::VersionId;
use freehold_wire::Hex;

/// Text that is not an `ETag` of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ETag: 32 hexadecimal digits, and for uploads in parts a dash and their number")]
pub struct EtagError;

/// An `ETag`.
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

    /// Of an object put together from so many parts, by the MD5 of their MD5s.
    pub const fn of_parts(md5: [u8; 16], parts: u16) -> Self {
        Self { md5, parts }
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
        // The same 32 digits as a version's.
        let md5 = digits.parse::<VersionId>().map_err(|_| EtagError)?;
        Ok(Self { md5: *md5.as_bytes(), parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_s3_writes_them() {
        for text in ["d41d8cd98f00b204e9800998ecf8427e", "59adb24ef3cdbe0297f05b395827453f-12"] {
            assert_eq!(text.parse::<Etag>().unwrap().to_string(), text);
        }
        for text in ["", "d41d", "d41d8cd98f00b204e9800998ecf8427e-0", "d41d8cd98f00b204e9800998ecf8427e-x"] {
            assert_eq!(text.parse::<Etag>(), Err(EtagError));
        }
    }
}

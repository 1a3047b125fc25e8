//! The head of a stream as `zfs send` writes it, read before anything of it reaches `zfs receive`. A stream can have
//! properties in it (where to mount, what may run), several datasets, or plain text: only one raw dataset without
//! properties is let through.

use thiserror::Error;

use crate::names::is_own;
use crate::shown::Kind;

/// How long a record is, and so the head.
pub const HEAD: usize = 312;
/// Where the name stands in it.
const NAME: usize = 56;
const MAGIC: u64 = 0x0002_f5ba_cbac;
/// A stream of one dataset, with no package of properties and others around it.
const ALONE: u64 = 1;
/// `DMU_BACKUP_FEATURE_RESUMING` and `DMU_BACKUP_FEATURE_RAW`.
const RESUMING: u64 = 1 << 20;
const RAW: u64 = 1 << 24;
const FLAG_CLONE: u32 = 1;
/// What follows a head: keys as they are wrapped, and where to go on.
const PAYLOAD_MAX: u32 = 1 << 20;

/// What a stream is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Of a filesystem or a volume.
    pub kind: Kind,
    /// The name of the snapshot that it makes, behind the `@`.
    pub name: String,
    /// What it has in it.
    pub guid: u64,
    /// The one that it begins from.
    pub from: Option<u64>,
    /// Whether it goes on where another one broke off.
    pub resumes: bool,
}

/// What is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadStream {
    /// It is none.
    #[error("it is no stream of zfs")]
    Other,
    /// It has several datasets or properties.
    #[error("it brings more than one snapshot of one dataset")]
    Package,
    /// It is not encrypted.
    #[error("it is not encrypted")]
    Plain,
    /// It is a clone of something.
    #[error("it is a clone of another dataset")]
    Clone,
    /// Its snapshot has a name that is none of ours, so that it would never be thinned out.
    #[error("its snapshot is none that is taken for backups")]
    Name,
}

impl Head {
    /// Reads the head.
    pub fn read(bytes: &[u8; HEAD]) -> Result<Self, BadStream> {
        let long = |at: usize| {
            bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
        };
        let short = |at: usize| {
            bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes)
        };
        let (begins, payload, magic, version) = (short(0), short(4), long(8), long(16));
        if begins != 0 || magic != MAGIC || payload > PAYLOAD_MAX {
            return Err(BadStream::Other);
        }
        // The lowest two bits say how it is packed, the 30 above them what is in it.
        let (packed, features) = (version & 3, (version >> 2) & ((1 << 30) - 1));
        if packed != ALONE {
            return Err(BadStream::Package);
        }
        if features & RAW == 0 {
            return Err(BadStream::Plain);
        }
        if short(36) & FLAG_CLONE != 0 {
            return Err(BadStream::Clone);
        }
        // `DMU_OST_ZFS` and `DMU_OST_ZVOL`.
        let kind = match short(32) {
            2 => Kind::Filesystem,
            3 => Kind::Volume,
            _ => return Err(BadStream::Other),
        };
        let name = bytes.get(NAME..).unwrap_or_default().split(|byte| *byte == 0).next();
        let name = name.and_then(|name| std::str::from_utf8(name).ok()).and_then(|name| name.split_once('@'));
        let name = name.map(|(_, name)| name.to_owned()).filter(|name| is_own(name));
        let from = Some(long(48)).filter(|from| *from != 0);
        let name = name.ok_or(BadStream::Name)?;
        Ok(Self { kind, name, guid: long(40), from, resumes: features & RESUMING != 0 })
    }
}

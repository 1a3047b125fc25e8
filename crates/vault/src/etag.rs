//! The ETag of an object that was uploaded in parts.

use freehold_index::Etag;
use md5::{Digest as _, Md5};

/// MD5 of the parts' MD5s.
pub(crate) fn of_parts(parts: &[[u8; 16]]) -> Etag {
    let mut all = Md5::new();
    for part in parts {
        all.update(part);
    }
    Etag::of_parts(all.finalize().into(), u16::try_from(parts.len()).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_s3_makes_them() {
        let empty: [u8; 16] = Md5::digest(b"").into();
        assert_eq!(Etag::single(empty).to_string(), "d41d8cd98f00b204e9800998ecf8427e");
        // `printf '' | md5sum | xxd -r -p | md5sum`
        assert_eq!(of_parts(&[empty]).to_string(), "59adb24ef3cdbe0297f05b395827453f-1");
    }
}

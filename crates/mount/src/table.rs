//! What is mounted, as the kernel's table says it (`/proc/self/mountinfo`). Pure.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::Path};

/// What stands as the source of mounts of ours.
pub(crate) const SOURCE: &str = "freehold";

/// Whether one of ours is mounted there, by the lines of the table.
pub(crate) fn is_ours(table: &[u8], folder: &Path) -> bool {
    table.split(|byte| *byte == b'\n').any(|line| {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let at = words.get(4).map(|at| OsString::from_vec(plain(at)));
        let rest = words.iter().position(|word| *word == b"-");
        let word = |after: usize| words.get(rest? + after).copied();
        let is_fuse = word(1).is_some_and(|kind| kind == b"fuse" || kind.starts_with(b"fuse."));
        is_fuse && word(2) == Some(SOURCE.as_bytes()) && at.is_some_and(|at| Path::new(&at) == folder)
    })
}

/// Without the kernel's escapes: a backslash and three octal digits.
fn plain(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            out.push(byte);
            rest = after.get(3..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &[u8] = b"22 28 0:20 / /proc rw,nosuid shared:5 - proc proc rw\n\
        90 28 0:52 / /home/ann/my\\040snap ro,nosuid,nodev shared:9 master:1 - fuse freehold ro,user_id=0\n\
        91 28 0:53 / /mnt/a ro - fuse.sshfs nas: ro\n\
        92 28 0:54 / /mnt/b ro - fuse.freehold freehold ro\n";

    #[test]
    fn ours_are_known_by_their_source() {
        for (folder, ours) in [
            ("/home/ann/my snap", true),
            ("/mnt/a", false),
            ("/mnt/b", true),
            ("/proc", false),
            ("/mnt", false),
        ] {
            assert_eq!(is_ours(TABLE, Path::new(folder)), ours, "{folder}");
        }
    }

    proptest! {
        #[test]
        fn no_table_is_too_odd(table: Vec<u8>) {
            is_ours(&table, Path::new("/mnt"));
        }

        #[test]
        fn escapes_are_undone(name in "[a-z \\\\\t\n]{1,20}") {
            let told: String = name
                .chars()
                .map(|c| if " \t\n\\".contains(c) { format!("\\{:03o}", u32::from(c)) } else { c.to_string() })
                .collect();
            prop_assert_eq!(plain(told.as_bytes()), name.into_bytes());
        }
    }
}

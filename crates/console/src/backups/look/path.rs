//! A path in a backup, which need not be text, in the addresses of pages.

use std::fmt::Write as _;

/// Names one below the other, the first below the root of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Vec<u8>>);

impl Path {
    /// Of the `path` in a query; the root where there is none.
    pub(super) fn of(query: Option<&str>) -> Self {
        let raw = value(query, "path").unwrap_or_default();
        Self::from_bytes(&raw)
    }

    pub(super) fn from_bytes(path: &[u8]) -> Self {
        Self(path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Each directory on the way, itself the last.
    pub(super) fn steps(&self) -> impl Iterator<Item = Self> {
        (1..=self.0.len()).map(|end| Self(self.0.iter().take(end).cloned().collect()))
    }

    pub(super) fn above(&self) -> Self {
        Self(self.0.iter().take(self.0.len().saturating_sub(1)).cloned().collect())
    }

    pub(super) fn with(&self, name: &[u8]) -> Self {
        Self(self.0.iter().cloned().chain([name.to_vec()]).collect())
    }

    /// Its last name, to be read.
    pub(super) fn last(&self) -> String {
        self.0.last().map_or_else(|| "/".to_owned(), |name| String::from_utf8_lossy(name).into_owned())
    }

    /// To be read.
    pub(super) fn text(&self) -> String {
        self.0.iter().fold(String::new(), |path, name| path + "/" + &String::from_utf8_lossy(name))
    }

    /// As the value of a query.
    pub(super) fn encoded(&self) -> String {
        self.0.iter().fold(String::new(), |path, name| path + "/" + &encoded(name))
    }
}

/// Bytes as part of an address.
pub(super) fn encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(*byte));
            }
            // Writing to a String cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
        out
    })
}

/// What a query says of a name, as bytes: a browser sends text in a form, and what a page links to need not be any.
pub(super) fn value(query: Option<&str>, name: &str) -> Option<Vec<u8>> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        let code = code.filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            out.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            out.push(if *first == b'+' { b' ' } else { *first });
            rest = after;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_text_comes_back_from_an_address() {
        for path in [&b"/home/ann/b\xfc cher/100%/a+b&c=d.txt"[..], b"", b"/", b"//a//b/", b"\xff/%41"] {
            let path = Path::from_bytes(path);
            let query = format!("from=3&path={}", path.encoded());
            assert_eq!(Path::of(Some(&query)), path, "{query}");
            assert!(query.is_ascii());
        }
    }

    #[test]
    fn what_makes_no_sense_is_taken_as_it_stands() {
        for (raw, read) in [("a%", "a%"), ("%zz", "%zz"), ("%+1", "% 1"), ("a+b", "a b"), ("%C3%BC", "ü")] {
            assert_eq!(value(Some(&format!("q={raw}")), "q").unwrap(), read.as_bytes());
        }
        assert_eq!((value(None, "q"), value(Some("p=1&q"), "q")), (None, None));
    }

    #[test]
    fn the_way_to_a_path_is_each_directory_above_it() {
        let path = Path::from_bytes(b"/home/ann/letter");
        assert_eq!(
            path.steps().map(|step| step.text()).collect::<Vec<_>>(),
            ["/home", "/home/ann", "/home/ann/letter"]
        );
        assert_eq!((path.above().text(), path.last()), ("/home/ann".to_owned(), "letter".to_owned()));
        assert_eq!(path.above().with(b"letter"), path);
        assert_eq!((Path::default().text(), Path::default().last()), (String::new(), "/".to_owned()));
    }
}

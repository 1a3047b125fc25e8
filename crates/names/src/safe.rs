//! Search engines that give strict results to who reaches them by another name, which they publish.

use crate::domain::labels;

/// Engines, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Engines(pub u8);

impl Engines {
    /// None.
    pub const NONE: Self = Self(0);
    /// Bing.
    pub const BING: Self = Self(1);
    /// Brave.
    pub const BRAVE: Self = Self(2);
    /// DuckDuckGo.
    pub const DUCKDUCKGO: Self = Self(4);
    /// Ecosia.
    pub const ECOSIA: Self = Self(8);
    /// Google, in every country.
    pub const GOOGLE: Self = Self(16);
    /// Pixabay.
    pub const PIXABAY: Self = Self(32);
    /// Yandex, in every country.
    pub const YANDEX: Self = Self(64);
    /// YouTube.
    pub const YOUTUBE: Self = Self(128);
    /// All.
    pub const ALL: Self = Self(255);

    /// Whether that engine is among them.
    pub const fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const GOOGLE: &str = "forcesafesearch.google.com";
const YANDEX: &str = "familysearch.yandex.ru";
const YOUTUBE: &str = "restrict.youtube.com";

/// Names as in messages.
const NAMES: [(&[u8], &str, Engines); 15] = [
    (b"\x03www\x04bing\x03com\x00", "strict.bing.com", Engines::BING),
    (b"\x04bing\x03com\x00", "strict.bing.com", Engines::BING),
    (b"\x06search\x05brave\x03com\x00", "forcesafe.search.brave.com", Engines::BRAVE),
    (b"\x0aduckduckgo\x03com\x00", "safe.duckduckgo.com", Engines::DUCKDUCKGO),
    (b"\x03www\x0aduckduckgo\x03com\x00", "safe.duckduckgo.com", Engines::DUCKDUCKGO),
    (b"\x05start\x0aduckduckgo\x03com\x00", "safe.duckduckgo.com", Engines::DUCKDUCKGO),
    (b"\x03www\x06ecosia\x03org\x00", "strict-safe-search.ecosia.org", Engines::ECOSIA),
    (b"\x07pixabay\x03com\x00", "safesearch.pixabay.com", Engines::PIXABAY),
    (b"\x02ya\x02ru\x00", YANDEX, Engines::YANDEX),
    (b"\x07youtube\x03com\x00", YOUTUBE, Engines::YOUTUBE),
    (b"\x03www\x07youtube\x03com\x00", YOUTUBE, Engines::YOUTUBE),
    (b"\x01m\x07youtube\x03com\x00", YOUTUBE, Engines::YOUTUBE),
    (b"\x08youtubei\x0agoogleapis\x03com\x00", YOUTUBE, Engines::YOUTUBE),
    (b"\x07youtube\x0agoogleapis\x03com\x00", YOUTUBE, Engines::YOUTUBE),
    (b"\x03www\x10youtube-nocookie\x03com\x00", YOUTUBE, Engines::YOUTUBE),
];

/// The name to answer with instead, for a name in lower case as in a message.
pub fn instead(name: &[u8], engines: Engines) -> Option<&'static str> {
    if engines == Engines::NONE {
        return None;
    }
    let exact = NAMES.iter().find(|(own, ..)| *own == name);
    if let Some((_, to, engine)) = exact {
        return engines.has(*engine).then_some(*to);
    }
    let (engine, to) = match name {
        [3, b'w', b'w', b'w', 6, b'g', ..] => (Engines::GOOGLE, GOOGLE),
        [3, b'w', b'w', b'w', 6, b'y', ..] | [6, b'y', ..] => (Engines::YANDEX, YANDEX),
        _ => return None,
    };
    if !engines.has(engine) {
        return None;
    }
    let mut all = labels(name).skip_while(|label| *label == b"www");
    let brand: &[u8] = if engine == Engines::GOOGLE { b"google" } else { b"yandex" };
    (all.next() == Some(brand) && is_country(all)).then_some(to)
}

/// `com`, `de`, `co.uk`, `com.br`.
fn is_country<'a>(mut rest: impl Iterator<Item = &'a [u8]>) -> bool {
    let two = |label: &[u8]| label.len() == 2 && label.iter().all(u8::is_ascii_lowercase);
    match (rest.next(), rest.next(), rest.next()) {
        (Some(top), None, None) => top == b"com" || two(top),
        (Some(b"co" | b"com"), Some(top), None) => two(top),
        _ => false,
    }
}

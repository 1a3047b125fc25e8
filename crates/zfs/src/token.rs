//! What a target says about a stream that came in part, as the sender's own `zfs` has read it. The token is the target's
//! word: it can name any dataset, and ask for it without its encryption.

use minicbor::{Decode, Encode};
use thiserror::Error;

const TOKEN_MAX: usize = 4096;

/// Where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Token {
    /// Of which snapshot, with its dataset.
    #[n(0)]
    pub name: String,
    /// What it has in it.
    #[n(1)]
    pub guid: u64,
    /// What it begins from; nothing for a whole one.
    #[n(2)]
    pub from: Option<u64>,
    /// Whether it goes on as it lies, encrypted.
    #[n(3)]
    pub raw: bool,
    /// How many bytes have come.
    #[n(4)]
    pub bytes: u64,
}

/// What says nothing of a token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("zfs does not say what a token means: {0}")]
pub struct BadToken(pub String);

/// Whether this can be a token, so that it may stand in an argument.
pub fn is_token(token: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    !token.is_empty() && token.len() <= TOKEN_MAX && !token.starts_with('-') && token.bytes().all(plain)
}

/// Reads what `zfs send -nvP -t TOKEN` prints: lines of a name, `=`, and a value. What stands behind them is an estimate.
pub fn told(output: &str) -> Result<Token, BadToken> {
    let fact = |name: &str| {
        output.lines().find_map(|line| {
            let (key, value) = line.trim().split_once(" = ")?;
            (key == name).then_some(value.trim())
        })
    };
    let number = |text: &str| {
        text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
    };
    let needed = |name: &str| fact(name).ok_or_else(|| BadToken(format!("it has no {name}")));
    let count = |name: &str| {
        let text = needed(name)?;
        number(text).ok_or_else(|| BadToken(format!("{name} is {text:?}")))
    };
    Ok(Token {
        name: needed("toname")?.to_owned(),
        guid: count("toguid")?,
        from: fact("fromguid").and_then(number).filter(|from| *from != 0),
        raw: fact("rawok").and_then(number) == Some(1),
        bytes: count("bytes")?,
    })
}

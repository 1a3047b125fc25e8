//! What a TLS client says before anything is secret: the name that it asks for. A gateway that has no
//! key for that name passes the connection on by it.

use crate::field::{array, u8_at, u16_at};

/// The longest ClientHello that is looked at, heads of records included.
pub const HELLO_MAX: usize = 16 * 1024;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;

/// What the first bytes of a connection name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peek {
    /// A ClientHello may be on its way.
    More,
    /// This name, in lower case.
    Name(String),
    /// A whole ClientHello that names none.
    None,
    /// Not TLS, or not as TLS is to be.
    Bad,
}

/// A ClientHello, as far as a gateway wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// The name asked for, in lower case.
    pub name: Option<String>,
    /// The protocols offered (ALPN), in the client's order.
    pub protocols: Vec<Vec<u8>>,
}

/// These bytes are not the beginning of a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the beginning of TLS")]
pub struct NotTls;

/// Looks for the name in all that has come so far.
pub fn server_name(bytes: &[u8]) -> Peek {
    match read(bytes) {
        Err(NotTls) => Peek::Bad,
        Ok(None) => Peek::More,
        Ok(Some(Hello { name: Some(name), .. })) => Peek::Name(name),
        Ok(Some(_)) => Peek::None,
    }
}

/// Reads the ClientHello at the beginning of all that has come so far; none if its end is yet to come.
pub fn read(bytes: &[u8]) -> Result<Option<Hello>, NotTls> {
    let Some(message) = handshake(bytes.get(..HELLO_MAX).unwrap_or(bytes))? else {
        return if bytes.len() < HELLO_MAX { Ok(None) } else { Err(NotTls) };
    };
    hello(&message).ok_or(NotTls).map(Some)
}

/// The body of the first handshake message, from as many records as it takes.
fn handshake(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, NotTls> {
    let mut message = Vec::new();
    loop {
        // What is there must be right before more is asked for.
        let kind = bytes.first().is_none_or(|kind| *kind == HANDSHAKE);
        let version = bytes.get(1).is_none_or(|major| *major == 3);
        if !kind || !version {
            return Err(NotTls);
        }
        let Some(len) = u16_at(bytes, 3).map(usize::from) else { return Ok(None) };
        if len == 0 || len > HELLO_MAX {
            return Err(NotTls);
        }
        let rest = bytes.get(5..).unwrap_or_default();
        let (part, rest) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        message.extend_from_slice(part);
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(NotTls);
        }
        if let Some([_, high, middle, low]) = array::<4>(&message, 0) {
            let wanted = u32::from_be_bytes([0, high, middle, low]) as usize + 4;
            if wanted > HELLO_MAX {
                return Err(NotTls);
            }
            if message.len() >= wanted {
                // Nothing may follow in the record: the keys change here.
                let exact = message.len() == wanted && part.len() == len;
                return if exact { Ok(Some(message.split_off(4))) } else { Err(NotTls) };
            }
        }
        if part.len() < len {
            return Ok(None);
        }
        bytes = rest;
    }
}

/// Bytes that are read from the front.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(part)
    }

    /// What a length of one byte announces.
    fn short(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(u8_at(self.take(1)?, 0)?);
        self.take(len)
    }

    fn number(&mut self) -> Option<u16> {
        u16_at(self.take(2)?, 0)
    }

    /// What a length of two bytes announces.
    fn long(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.number()?);
        self.take(len)
    }
}

fn hello(message: &[u8]) -> Option<Hello> {
    let mut rest = Rest(message);
    // Version, random; session, cipher suites, compressions.
    rest.take(2 + 32)?;
    rest.short().filter(|session| session.len() <= 32)?;
    rest.long().filter(|suites| !suites.is_empty() && suites.len() % 2 == 0)?;
    rest.short().filter(|compressions| !compressions.is_empty())?;
    let mut hello = Hello::default();
    if rest.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Rest(rest.long()?);
    if !rest.0.is_empty() {
        return None;
    }
    let (mut named, mut offered) = (false, false);
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let body = extensions.long()?;
        match kind {
            // Two names would let two readers see two different ones.
            SERVER_NAME if named => return None,
            SERVER_NAME => {
                named = true;
                hello.name = Some(name(body)?);
            }
            PROTOCOLS if offered => return None,
            PROTOCOLS => {
                offered = true;
                hello.protocols = protocols(body)?;
            }
            _ => {}
        }
    }
    Some(hello)
}

fn name(body: &[u8]) -> Option<String> {
    let mut rest = Rest(body);
    let mut list = Rest(rest.long()?);
    let kind = u8_at(list.take(1)?, 0)?;
    let name = list.long()?;
    if kind != 0 || !list.0.is_empty() || !rest.0.is_empty() {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    is_host(&name).then_some(name)
}

/// A name of the DNS without its last dot, and no address (RFC 6066, 3).
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(label) && !name.rsplit('.').next().is_none_or(number)
}

fn protocols(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = Rest(body);
    let mut list = Rest(rest.long()?);
    let mut found = Vec::new();
    while !list.0.is_empty() {
        found.push(list.short().filter(|name| !name.is_empty())?.to_vec());
    }
    (rest.0.is_empty() && !found.is_empty()).then_some(found)
}

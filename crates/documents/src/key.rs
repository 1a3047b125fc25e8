//! Scalars as bytes whose order is the order of the scalars: null, false, true, numbers, text, and
//! behind all of them what is no scalar, which is all alike.

use serde_json::{Number, Value};

const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const TEXT: u8 = 5;
const OTHER: u8 = 6;

/// In text a zero byte is written as two; the end is two others that come before them.
const ESCAPED_ZERO: [u8; 2] = [0, 0xff];
const END: [u8; 2] = [0, 1];
/// The distance of an integer from its nearest double, moved so that it has no sign.
const MIDDLE: i128 = 1 << 15;

/// What a component of a key can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Component {
    /// A scalar.
    Scalar(Value),
    /// An array or an object.
    Other,
}

/// Bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A component is of no known sort.
    #[error("a component of the key is of no known sort")]
    Sort,
    /// The bytes end within a component.
    #[error("the key ends within a component")]
    Cut,
    /// A component could have been written in another way.
    #[error("a component of the key is not written in the one way there is")]
    Spelling,
}

/// Appends a value; what is not there counts as null.
pub fn encode(value: Option<&Value>, out: &mut Vec<u8>) {
    match value {
        None | Some(Value::Null) => out.push(NULL),
        Some(Value::Bool(false)) => out.push(FALSE),
        Some(Value::Bool(true)) => out.push(TRUE),
        Some(Value::Number(number)) => {
            out.push(NUMBER);
            out.extend(number_bytes(number));
        }
        Some(Value::String(text)) => encode_text(text, out),
        Some(Value::Array(_) | Value::Object(_)) => out.push(OTHER),
    }
}

/// The same for several, one behind the other.
pub fn encode_all<'a>(values: impl IntoIterator<Item = Option<&'a Value>>) -> Vec<u8> {
    let mut out = Vec::new();
    values.into_iter().for_each(|value| encode(value, &mut out));
    out
}

/// Appends text.
pub(crate) fn encode_text(text: &str, out: &mut Vec<u8>) {
    text_without_end(text, out);
    out.extend(END);
}

/// What every text that begins with this one begins with.
pub(crate) fn text_without_end(text: &str, out: &mut Vec<u8>) {
    out.push(TEXT);
    for byte in text.bytes() {
        match byte {
            0 => out.extend(ESCAPED_ZERO),
            byte => out.push(byte),
        }
    }
}

/// Integers beyond 2^53 share doubles: how far they are from theirs decides.
fn number_bytes(number: &Number) -> [u8; 10] {
    let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    let (nearest, off) = match whole {
        Some(whole) => {
            let nearest = nearest_double(whole);
            (nearest, whole - whole_part(nearest))
        }
        None => (number.as_f64().unwrap_or(0.0), 0),
    };
    // Both zeros are one.
    let bits = if nearest == 0.0 { 0 } else { nearest.to_bits() };
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    let off = u16::try_from(off + MIDDLE).unwrap_or(u16::MAX);
    let mut out = [0; 10];
    let (high, low) = out.split_at_mut(8);
    high.copy_from_slice(&ordered.to_be_bytes());
    low.copy_from_slice(&off.to_be_bytes());
    out
}

#[expect(clippy::cast_precision_loss, reason = "what is lost is kept beside it")]
const fn nearest_double(whole: i128) -> f64 {
    whole as f64
}

#[expect(clippy::cast_possible_truncation, reason = "doubles nearest to 64-bit integers are whole")]
const fn whole_part(nearest: f64) -> i128 {
    nearest as i128
}

/// Reads all components of a key.
///
/// # Errors
/// [`KeyError`]
pub fn decode(mut bytes: &[u8]) -> Result<Vec<Component>, KeyError> {
    let mut components = Vec::new();
    while !bytes.is_empty() {
        let (component, rest) = decode_one(bytes)?;
        components.push(component);
        bytes = rest;
    }
    Ok(components)
}

/// Reads the first component.
pub(crate) fn decode_one(bytes: &[u8]) -> Result<(Component, &[u8]), KeyError> {
    let (sort, rest) = bytes.split_first().ok_or(KeyError::Cut)?;
    let scalar = |value| Component::Scalar(value);
    match *sort {
        NULL => Ok((scalar(Value::Null), rest)),
        FALSE => Ok((scalar(Value::Bool(false)), rest)),
        TRUE => Ok((scalar(Value::Bool(true)), rest)),
        NUMBER => {
            let (number, rest) = rest.split_first_chunk::<10>().ok_or(KeyError::Cut)?;
            Ok((scalar(Value::Number(decode_number(number)?)), rest))
        }
        TEXT => {
            let (text, rest) = decode_text(rest)?;
            Ok((scalar(Value::String(text)), rest))
        }
        OTHER => Ok((Component::Other, rest)),
        _ => Err(KeyError::Sort),
    }
}

fn decode_number(bytes: &[u8; 10]) -> Result<Number, KeyError> {
    let (high, low) = bytes.split_at(8);
    let ordered = u64::from_be_bytes(high.try_into().map_err(|_| KeyError::Cut)?);
    let off = u16::from_be_bytes(low.try_into().map_err(|_| KeyError::Cut)?);
    let bits = if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered };
    let nearest = f64::from_bits(bits);
    let off = i128::from(off) - MIDDLE;
    let whole =
        nearest.is_finite() && nearest.fract() == 0.0 && nearest.abs() <= 18_446_744_073_709_551_616.0;
    let number = if whole {
        let whole = whole_part(nearest) + off;
        let small = i64::try_from(whole).map(Number::from).ok();
        small.or_else(|| u64::try_from(whole).map(Number::from).ok()).or_else(|| Number::from_f64(nearest))
    } else {
        Number::from_f64(nearest)
    };
    let number = number.ok_or(KeyError::Spelling)?;
    if number_bytes(&number) == *bytes { Ok(number) } else { Err(KeyError::Spelling) }
}

/// Text up to its end, and what follows.
fn decode_text(bytes: &[u8]) -> Result<(String, &[u8]), KeyError> {
    let mut text = Vec::new();
    let mut rest = bytes;
    loop {
        let zero = rest.iter().position(|byte| *byte == 0).ok_or(KeyError::Cut)?;
        let (plain, from_zero) = rest.split_at(zero);
        text.extend_from_slice(plain);
        let (mark, after) = from_zero.split_first_chunk::<2>().ok_or(KeyError::Cut)?;
        rest = after;
        match *mark {
            ESCAPED_ZERO => text.push(0),
            END => break,
            _ => return Err(KeyError::Spelling),
        }
    }
    Ok((String::from_utf8(text).map_err(|_| KeyError::Spelling)?, rest))
}

/// The first key behind all that begin with these bytes; none if there is no such key.
pub(crate) fn after_all(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

//! Collections whose limit is part of their type, so that a peer cannot send more than was agreed.

use std::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// A collection or text is longer than its type allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{got} items, at most {max} are allowed")]
pub struct TooLong {
    /// Items (or bytes, for text) given.
    pub got: usize,
    /// The most allowed.
    pub max: usize,
}

/// A list of at most `N` items.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounded<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Bounded<T, N> {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes over `items`.
    ///
    /// # Errors
    /// [`TooLong`] if there are more than `N`.
    pub fn from_vec(items: Vec<T>) -> Result<Self, TooLong> {
        if items.len() > N { Err(TooLong { got: items.len(), max: N }) } else { Ok(Self(items)) }
    }

    /// Takes the first `N` items and leaves the rest in the iterator.
    pub fn fill(items: &mut impl Iterator<Item = T>) -> Self {
        Self(items.take(N).collect())
    }

    /// The items.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> std::ops::Deref for Bounded<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const N: usize> IntoIterator for Bounded<T, N> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a Bounded<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<C, T: Encode<C>, const N: usize> Encode<C> for Bounded<T, N> {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        self.0.encode(e, ctx)
    }
}

impl<'b, C, T: Decode<'b, C>, const N: usize> Decode<'b, C> for Bounded<T, N> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        let Some(len) = d.array()? else { return Err(decode::Error::message("indefinite length")) };
        let len = usize::try_from(len).map_err(|_| decode::Error::message("list too long"))?;
        if len > N {
            return Err(decode::Error::message("list longer than its bound"));
        }
        // Not `with_capacity(len)`: the claimed length must be backed by bytes first.
        let mut items = Vec::new();
        for _ in 0..len {
            items.push(T::decode(d, ctx)?);
        }
        Ok(Self(items))
    }
}

/// UTF-8 text of at most `N` bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<const N: usize>(String);

impl<const N: usize> Text<N> {
    /// Takes over `text`.
    ///
    /// # Errors
    /// [`TooLong`] if it has more than `N` bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, TooLong> {
        let text = text.into();
        if text.len() > N { Err(TooLong { got: text.len(), max: N }) } else { Ok(Self(text)) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<C, const N: usize> Encode<C> for Text<N> {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C, const N: usize> Decode<'b, C> for Text<N> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let text = d.str()?;
        Self::new(text).map_err(|_| decode::Error::message("text longer than its bound"))
    }
}

#[cfg(test)]
mod tests;

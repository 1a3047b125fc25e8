//! Cryptography behind wrappers that are hard to misuse: signatures, sealed streams, key wrapping,
//! boxes to a public key, guardian phrases and secret sharing. It is the only crate that names a
//! cryptographic library. It must never read files or clocks, print a secret, or draw randomness
//! by itself: [`Entropy`] is handed in. Start reading at [`sign`] and [`stream`].

mod boxed;
mod entropy;
#[cfg(test)]
mod fixture;
pub mod hash;
mod phrase;
mod secret;
mod share;
pub mod sign;
pub mod stream;
mod wrap;

pub use boxed::{BoxError, BoxPublic, BoxSecret};
pub use entropy::Entropy;
pub use phrase::{Phrase, PhraseError};
pub use secret::Secret;
pub use share::{Share, ShareError, combine, split};
pub use sign::{Algorithm, BadSignature, KeyError, Signature, SigningKey, VerifyingKey};
pub use wrap::{WrapError, WrappedKey, unwrap_key, wrap_key};

//! Shamir's secret sharing over GF(256), byte by byte.

use vsss_rs::Gf256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::entropy::Generator;
use crate::{Entropy, Secret};

/// Sharing or joining did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The threshold must be at least 2 and at most the number of shares (255).
    #[error("a threshold of {threshold} does not fit {shares} shares")]
    Threshold {
        /// Shares needed.
        threshold: u8,
        /// Shares made.
        shares: u8,
    },
    /// Shares of different secrets, repeated ones, or too few.
    #[error("these shares do not belong together, or are too few")]
    Mismatch,
}

/// One share: its number and 32 bytes.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Share(Vec<u8>);

impl Share {
    /// From its 33 bytes.
    ///
    /// # Errors
    /// [`ShareError::Mismatch`] for another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShareError> {
        if bytes.len() == 33 { Ok(Self(bytes.to_vec())) } else { Err(ShareError::Mismatch) }
    }

    /// Its 33 bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Share(..)")
    }
}

/// Splits `secret` into `shares` shares of which any `threshold` give it back.
///
/// # Errors
/// [`ShareError::Threshold`] if the numbers do not fit.
pub fn split(
    secret: &Secret,
    threshold: u8,
    shares: u8,
    entropy: &mut dyn Entropy,
) -> Result<Vec<Share>, ShareError> {
    let bad = ShareError::Threshold { threshold, shares };
    if threshold < 2 || threshold > shares {
        return Err(bad);
    }
    let rng = Generator(entropy);
    let made = Gf256::split_array(usize::from(threshold), usize::from(shares), secret.expose(), rng);
    let made = Zeroizing::new(made.map_err(|_| bad)?);
    made.iter().map(|share| Share::from_bytes(share).map_err(|_| bad)).collect()
}

/// Joins shares. Wrong shares give a wrong secret: whoever joins checks the result against
/// something public.
///
/// # Errors
/// [`ShareError::Mismatch`] for too few or repeated shares.
pub fn combine(shares: &[Share]) -> Result<Secret, ShareError> {
    let bytes: Zeroizing<Vec<Vec<u8>>> = Zeroizing::new(shares.iter().map(|share| share.0.clone()).collect());
    let joined = Zeroizing::new(Gf256::combine_array(bytes.as_slice()).map_err(|_| ShareError::Mismatch)?);
    let mut secret = Secret::zeroed();
    if joined.len() != 32 {
        return Err(ShareError::Mismatch);
    }
    secret.expose_mut().copy_from_slice(&joined);
    Ok(secret)
}

#[cfg(test)]
mod tests;

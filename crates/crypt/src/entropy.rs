//! Randomness as something handed in: the operating system's in the shell, a seeded generator in
//! the simulation.

use crate::Secret;

/// A source of random bytes. Outside tests it is the operating system's.
pub trait Entropy {
    /// Fills `out` with random bytes; a source that cannot must not return.
    fn fill(&mut self, out: &mut [u8]);

    /// A fresh 32-byte secret.
    fn secret(&mut self) -> Secret {
        let mut secret = Secret::zeroed();
        self.fill(secret.expose_mut());
        secret
    }

    /// 32 public random bytes: an id, a salt.
    fn bytes32(&mut self) -> [u8; 32] {
        let mut out = [0; 32];
        self.fill(&mut out);
        out
    }
}

/// Lets the libraries that want a `rand_core` generator draw from an [`Entropy`].
pub(crate) struct Generator<'a>(pub(crate) &'a mut dyn Entropy);

impl rand_core::TryRng for Generator<'_> {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut out = [0; 4];
        self.0.fill(&mut out);
        Ok(u32::from_le_bytes(out))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut out = [0; 8];
        self.0.fill(&mut out);
        Ok(u64::from_le_bytes(out))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(dst);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Generator<'_> {}

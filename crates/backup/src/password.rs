//! The password of a repository: random, long, never typed by hand but in an emergency.

use std::fmt;

use zeroize::Zeroizing;

/// A password, gone from memory when nobody needs it any more.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// One of 256 random bits, as 64 hexadecimal digits: what restic asks for when Freehold is gone.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut bits = Zeroizing::new([0_u8; 32]);
        getrandom::fill(bits.as_mut())?;
        Ok(Self(Zeroizing::new(hex::encode(bits.as_ref()))))
    }

    /// A password that exists: of a repository that another program made.
    pub const fn known(password: Zeroizing<String>) -> Self {
        Self(password)
    }

    /// Whether it looks as those do that are drawn here: nobody can guess it.
    pub(crate) fn is_drawn(&self) -> bool {
        self.0.len() == 64 && self.0.bytes().all(|digit| digit.is_ascii_hexdigit())
    }

    /// The password itself, to be kept sealed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

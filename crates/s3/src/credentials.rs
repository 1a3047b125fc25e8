//! The pair of strings that an S3 client signs its requests with.

use std::fmt;

use s3s::auth::SecretKey;

/// An access key id and its secret. The secret is wiped when the last copy goes, and never printed.
#[derive(Clone)]
pub struct Credentials {
    access_key_id: String,
    secret: SecretKey,
}

impl Credentials {
    /// Takes the two strings; the caller wipes its own copy of the secret.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: &str) -> Self {
        Self { access_key_id: access_key_id.into(), secret: SecretKey::from(secret_access_key) }
    }

    /// The half that is not secret.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(crate) fn secret(&self) -> SecretKey {
        self.secret.clone()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_printed() {
        let shown = format!("{:?}", Credentials::new("FHKEY", "hunter2hunter2"));
        assert!(shown.contains("FHKEY"));
        assert!(!shown.contains("hunter2"));
    }
}

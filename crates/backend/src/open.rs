//! Opening what lies in a backend's home.

use std::path::Path;
use std::sync::Arc;

use freehold_crypt::Secret;
use object_store::ObjectStore;

use crate::{ConnectError, Credentials, CredentialsError, Settings, connect};

/// A backend cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// No client can be made of its settings.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// Opens the backend whose home this is, as a store for a depot.
///
/// # Errors
/// [`OpenError`]
pub async fn open(
    home: &Path,
    settings: &Settings,
    _key: &Secret,
) -> Result<Arc<dyn ObjectStore>, OpenError> {
    Ok(connect(settings, &Credentials::read(home)?)?)
}

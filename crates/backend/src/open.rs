//! Opening what lies in a backend's home.

use std::path::Path;
use std::sync::Arc;

use freehold_crypt::Secret;

use crate::{ConnectError, Credentials, CredentialsError, MapError, Pace, Packed, Settings, connect};

/// A backend cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// No client can be made of its settings.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its map cannot be used, or not be made anew.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// Opens the backend whose home this is, as a store for a depot. Where its map is missing, it is made
/// anew from what lies on the store; otherwise the store need not answer yet.
///
/// # Errors
/// [`OpenError`]
pub async fn open(home: &Path, settings: &Settings, key: &Secret) -> Result<Arc<Packed>, OpenError> {
    let store = connect(settings, &Credentials::read(home)?)?;
    let packed = Packed::on(store, home, key.clone(), settings.capacity, Pace::default()).await?;
    Ok(Arc::new(packed))
}

//! Opening what lies in a backend's home.

use std::path::Path;
use std::sync::Arc;

use freehold_crypt::Secret;

use object_store::ObjectStore;

use crate::beside::{Beside, Screened};
use crate::{
    ConnectError, Credentials, CredentialsError, Errands, Lent, MapError, Pace, Packed, Settings, Spread,
    SpreadError, connect,
};

/// A backend cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// No client can be made of its settings.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its stores cannot be used together.
    #[error(transparent)]
    Spread(#[from] SpreadError),
    /// Its map cannot be used, or not be made anew.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// The stores of a backend.
#[derive(Debug, Clone)]
pub struct Stores {
    /// As one, without what lies beside the packs.
    pub all: Arc<dyn ObjectStore>,
    /// Each by itself, with all that lies there.
    pub each: Vec<Arc<dyn ObjectStore>>,
    /// The same, where there are several.
    pub spread: Option<Spread>,
    /// How to know what lies beside the packs.
    pub beside: Arc<[Beside]>,
}

/// The store of the backend whose home this is, or several as one; none is asked anything yet. `friends` reach what
/// other realms lend.
///
/// # Errors
/// [`OpenError`]
pub fn stores(
    home: &Path,
    settings: &Settings,
    key: &Secret,
    friends: Option<&Arc<dyn Errands>>,
) -> Result<Stores, OpenError> {
    let mut each: Vec<Arc<dyn ObjectStore>> = Vec::new();
    for (at, store) in settings.stores().enumerate() {
        each.push(match (store.grant(), friends) {
            (Some(grant), Some(friends)) => Arc::new(Lent::new(grant, Arc::clone(friends))),
            (Some(_), None) => return Err(ConnectError::Elsewhere.into()),
            (None, _) => connect(store, &Credentials::read_of(home, at)?)?,
        });
    }
    let without: Arc<[Beside]> = Beside::kept(home).into_iter().chain([Beside::claims(key)]).collect();
    let screened = |store: &Arc<dyn ObjectStore>| -> Arc<dyn ObjectStore> {
        Arc::new(Screened::new(Arc::clone(store), Arc::clone(&without)))
    };
    if let [one] = each.as_slice() {
        return Ok(Stores { all: screened(one), each, spread: None, beside: without });
    }
    let spread = Spread::new(each.iter().map(screened).collect(), settings.parity, key)?;
    Ok(Stores { all: Arc::new(spread.clone()), each, spread: Some(spread), beside: without })
}

/// Opens the backend whose home this is, as a store for a depot. Where its map is missing, it is made
/// anew from what lies on the store; otherwise the store need not answer yet.
///
/// # Errors
/// [`OpenError`]
pub async fn open(
    home: &Path,
    settings: &Settings,
    key: &Secret,
    friends: Option<&Arc<dyn Errands>>,
) -> Result<Arc<Packed>, OpenError> {
    let packed = look(home, settings, key, friends).await?;
    packed.tend();
    Ok(packed)
}

/// Opens it to read alone: nothing on the store is changed, for it may be another's.
///
/// # Errors
/// [`OpenError`]
pub async fn look(
    home: &Path,
    settings: &Settings,
    key: &Secret,
    friends: Option<&Arc<dyn Errands>>,
) -> Result<Arc<Packed>, OpenError> {
    let Stores { all, spread, .. } = stores(home, settings, key, friends)?;
    let (key, pace) = (key.clone(), Pace::default());
    Ok(Arc::new(Packed::read_only(all, spread, home, key, settings.capacity, pace).await?))
}

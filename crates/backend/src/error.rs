//! What can go wrong between a depot and a foreign store.

use std::sync::Arc;

use freehold_disk::StoreError;
use freehold_vault::Altered;

/// What is wrong with a pack on the foreign store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// It is not there.
    Missing,
    /// It is shorter or longer than it was.
    Cut,
    /// Its bytes are not those that were stored, or another pack lies in its place.
    Altered,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Cut => "shorter or longer than it was",
            Self::Altered => "altered",
        })
    }
}

/// Whether the store says that an object is not there. That its bucket is not there says nothing of the
/// object.
pub(crate) fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
        && !crate::packed::chain(error).contains("NoSuchBucket")
}

/// A backend failed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The store did not do what it was asked.
    #[error("{doing} failed")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: object_store::Error,
    },
    /// The store said that a pack was stored, and does not have it.
    #[error("the store said that pack {pack} was stored; asked for it, it is {damage}")]
    NotKept {
        /// The pack.
        pack: String,
        /// What was found.
        damage: Damage,
    },
    /// A pack is not what was stored.
    #[error("pack {pack} on the store is {damage}")]
    Bad {
        /// The pack.
        pack: String,
        /// What was found.
        damage: Damage,
    },
    /// As much lies there as was allowed.
    #[error("{kept} bytes lie on the store, {capacity} are allowed")]
    Full {
        /// Bytes there.
        kept: u64,
        /// Bytes allowed.
        capacity: u64,
        /// The same as the system says it of a disk, for those who know only that.
        source: std::io::Error,
    },
    /// The map on this machine failed.
    #[error("the map of the backend failed")]
    Map(#[source] StoreError),
    /// A name that no blob has.
    #[error("{0} is not the name of a blob")]
    Name(String),
    /// The backend is being closed.
    #[error("the backend is closing")]
    Closing,
}

/// One failure, told to many who waited for the same pack.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Shared(#[source] Arc<PackError>);

impl PackError {
    /// As a depot hears it.
    pub(crate) fn tell(self: Arc<Self>, path: &object_store::path::Path) -> object_store::Error {
        let damage = match &*self {
            Self::Bad { damage, .. } => Some(*damage),
            _ => None,
        };
        let text = self.to_string();
        let source = Box::new(Shared(self));
        match damage {
            Some(Damage::Missing) => object_store::Error::NotFound { path: path.to_string(), source },
            Some(_) => object_store::Error::Generic { store: "backend", source: Box::new(Altered(text)) },
            None => object_store::Error::Generic { store: "backend", source },
        }
    }
}

impl From<StoreError> for PackError {
    fn from(error: StoreError) -> Self {
        Self::Map(error)
    }
}

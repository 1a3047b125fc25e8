//! Where certificates and their keys are kept. What any gateway may take over lies in a bucket of the realm, sealed
//! to the machines that hold its secrets; what is this machine's alone lies in its home: certificates of the
//! realm's zone, which are soon made anew, and those of names for which only this machine has the key.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use async_trait::async_trait;
use freehold_api::Problem;
use freehold_certs::{Authority, Folder, Keep, KeepError, Scope};
use freehold_vault::{DeleteRequest, GetError};
use freehold_wire::BucketId;
use zeroize::Zeroizing;

use crate::clock;
use crate::problem::{chain, get_problem, put_problem};
use crate::shared::Shared;
use crate::strongbox::Strongbox;

/// As no bucket of somebody's can be called.
pub(crate) const BUCKET: &str = "net/certificates";
/// The secret that updates of the zone are signed with.
pub(crate) const ZONE_KEY: &str = "zone-key";
const CERTIFICATE: &str = "cert-";
const NOTE: &str = "note-";

/// Where failures to certify a name are noted.
pub(crate) fn note_of(name: &str) -> String {
    format!("{NOTE}{}", name.replace('*', "_"))
}

const BOX: Strongbox = Strongbox(BUCKET);

/// Reads what is in the bucket under a name.
pub(crate) async fn read(shared: &Shared, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, GetError> {
    BOX.read(shared, name).await
}

/// The bucket, which is made if it is not there.
pub(crate) async fn make_bucket(shared: &Shared) -> Result<BucketId, Problem> {
    BOX.make(shared, "certificates cannot be kept").await
}

/// Keeps a secret for all gateways.
pub(crate) async fn keep_secret(shared: &Shared, name: &str, bytes: &[u8]) -> Result<(), Problem> {
    let bucket = make_bucket(shared).await?;
    Strongbox::write(shared, bucket, name, bytes, false)
        .await
        .map_err(|error| put_problem(BUCKET, name, &error))
}

/// What the realm's own authority is for. It may sign names in the zone, and no address.
fn scope(zone: &str) -> Scope {
    Scope { zone: zone.to_owned(), network: None }
}

fn authority_name(zone: &str) -> String {
    format!("authority-{zone}")
}

/// The realm's own authority, if it was made and this machine may use it.
pub(crate) async fn authority(shared: &Shared, zone: &str) -> Result<Option<Authority>, Problem> {
    let name = authority_name(zone);
    let kept = read(shared, &name).await.map_err(|error| get_problem(BUCKET, &name, &error))?;
    kept.map(|pem| Authority::read(scope(zone), pem)).transpose().map_err(|error| {
        Problem::refused("the realm's own authority cannot be used", chain(&error), None::<&str>)
    })
}

/// The same, made if there is none.
pub(crate) async fn make_authority(shared: &Shared, zone: &str) -> Result<Authority, Problem> {
    let bucket = make_bucket(shared).await?;
    if let Some(known) = authority(shared, zone).await? {
        return Ok(known);
    }
    let unmade = |error: freehold_certs::AuthorityError| {
        Problem::bug("the realm's own authority was not made", chain(&error), None::<&str>)
    };
    let made = Authority::make(scope(zone), clock::wall()).map_err(unmade)?;
    let name = authority_name(zone);
    // Should another machine have been faster, its one counts.
    let written = Strongbox::write(shared, bucket, &name, made.pem(), true).await;
    if let Some(known) = authority(shared, zone).await? {
        return Ok(known);
    }
    written.map_err(|error| put_problem(BUCKET, &name, &error))?;
    Err(Problem::bug("the realm's own authority was made and is not there", name, None::<&str>))
}

/// Certificates and accounts, each where it belongs.
pub(crate) struct Kept {
    shared: Weak<Shared>,
    here: Folder,
    /// Names whose certificates stay on this machine.
    own: RwLock<BTreeSet<String>>,
}

impl Kept {
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, KeepError> {
        let here = Folder::new(shared.home.net().join("certificates"))?;
        Ok(Self { shared: Arc::downgrade(shared), here, own: RwLock::default() })
    }

    /// Says which names' certificates stay here.
    pub(crate) fn set_own(&self, own: BTreeSet<String>) {
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = own;
    }

    /// The bucket, if this is to be there. An account that can have certificates made for names whose key is here
    /// alone is nobody else's either.
    fn inside(&self, name: &str) -> Option<(Arc<Shared>, BucketId)> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let of = name.strip_prefix(CERTIFICATE).or_else(|| name.strip_prefix(NOTE));
        let is_public = |host: &String| !host.ends_with(".internal");
        let is_own = match of {
            Some(host) => own.contains(host) || own.contains(&host.replace('_', "*")),
            None => own.iter().any(is_public),
        };
        if is_own {
            return None;
        }
        let shared = self.shared.upgrade()?;
        let bucket = BOX.bucket(&shared)?;
        Some((shared, bucket))
    }
}

fn other(error: &dyn std::error::Error) -> KeepError {
    KeepError::Other(chain(error))
}

#[async_trait]
impl Keep for Kept {
    async fn load(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeepError> {
        match self.inside(name) {
            Some((shared, _)) => read(&shared, name).await.map_err(|error| other(&error)),
            None => self.here.load(name).await,
        }
    }

    async fn save(&self, name: &str, bytes: Zeroizing<Vec<u8>>) -> Result<(), KeepError> {
        match self.inside(name) {
            Some((shared, bucket)) => {
                Strongbox::write(&shared, bucket, name, &bytes, false).await.map_err(|error| other(&error))
            }
            None => self.here.save(name, bytes).await,
        }
    }

    async fn forget(&self, name: &str) -> Result<(), KeepError> {
        let Some((shared, bucket)) = self.inside(name) else { return self.here.forget(name).await };
        let gone = read(&shared, name).await.map_err(|error| other(&error))?.is_none();
        if gone {
            return Ok(());
        }
        let request = DeleteRequest { key: name.to_owned(), ..DeleteRequest::default() };
        shared.vault.delete(&bucket, request).await.map(drop).map_err(|error| other(&error))
    }
}

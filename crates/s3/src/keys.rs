//! Who holds which access key. The node knows; it is asked anew for each request, so that a key ends
//! the moment that its person does.

use std::sync::Arc;

use freehold_access::{Principal, Rights};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::credentials::Credentials;

/// An access key as a request finds it.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Whose it is.
    pub who: Principal,
    /// What it may be used for.
    pub rights: Rights,
}

/// The access keys of a node.
pub trait Keys: Send + Sync + 'static {
    /// The pair of that id, if it may be used now.
    fn pair(&self, access_key_id: &str) -> Option<Credentials>;

    /// Whose it is, if it may be used now.
    fn holder(&self, access_key_id: &str) -> Option<Holder>;

    /// Whether there is such a principal, so that it can be granted something.
    fn knows(&self, who: &Principal) -> bool;
}

/// One pair, the realm owner's.
impl Keys for Credentials {
    fn pair(&self, access_key_id: &str) -> Option<Credentials> {
        (access_key_id == self.access_key_id()).then(|| self.clone())
    }

    fn holder(&self, access_key_id: &str) -> Option<Holder> {
        let owner = || Holder { who: Principal::REALM, rights: Rights::all() };
        (access_key_id == self.access_key_id()).then(owner)
    }

    fn knows(&self, who: &Principal) -> bool {
        *who == Principal::REALM
    }
}

/// The keys as `s3s` asks for them, to check signatures.
pub(crate) struct Signatures(pub(crate) Arc<dyn Keys>);

#[async_trait::async_trait]
impl S3Auth for Signatures {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.0.pair(access_key).map(|pair| pair.secret()).ok_or_else(unknown)
    }
}

pub(crate) fn unknown() -> s3s::S3Error {
    s3_error!(
        InvalidAccessKeyId,
        "This node does not know the access key id, or it has ended. See `freehold key list`; the realm owner's is in the file s3-credentials of the node's home."
    )
}

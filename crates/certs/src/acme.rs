//! Certificates of a public authority, by ACME (RFC 8555).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use freehold_records::{Records, RecordsError};
use freehold_wire::Millis;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, ExternalAccountKey, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::keep::{Keep, KeepError};
use crate::shelf::{Put, Shelf};
use crate::{Bundle, BundleError};

/// The account's key is kept under this name and the authority's.
const ACCOUNT: &str = "account-";
/// What stands for a reason.
const SILENT: &str = "it does not say why";
/// Orders in a row, where nobody is at fault.
const TRIES: usize = 3;
/// How long a record is waited for when it is taken out, and what the authority suggests.
const TIDY: Duration = Duration::from_secs(30);

/// How an authority sees that a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// It asks for a text on port 80.
    Http,
    /// It looks at a certificate on port 443.
    TlsAlpn,
    /// It looks for a record in the zone; the only way to names with `*.`.
    Dns,
}

impl Method {
    const fn kind(self) -> ChallengeType {
        match self {
            Self::Http => ChallengeType::Http01,
            Self::TlsAlpn => ChallengeType::TlsAlpn01,
            Self::Dns => ChallengeType::Dns01,
        }
    }
}

/// Which authority, and as whom.
#[derive(Clone)]
pub struct AcmeSettings {
    /// Its directory, an address that begins with https://.
    pub directory: String,
    /// Where it may write to, `mailto:ada@example.org`; nowhere, without.
    pub contact: Vec<String>,
    /// Whether somebody has read its terms and agrees.
    pub agreed: bool,
    /// A file with the certificate (PEM) that the authority's own address is known by; the system's, without.
    pub roots: Option<PathBuf>,
    /// The account at the authority that this one belongs to: a name, and a secret.
    pub external: Option<(String, Zeroizing<Vec<u8>>)>,
    /// A certificate is there by then, or not.
    pub within: Duration,
    /// How long records of the zone take until all its servers have them.
    pub settle: Duration,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// Nobody has agreed to the terms.
    #[error("nobody has agreed to the terms of {0}; read them, and say so")]
    NotAgreed(String),
    /// The authority does not try the method.
    #[error("{directory} does not prove {name} by {method:?}; choose another method")]
    NoMethod {
        /// The authority.
        directory: String,
        /// The name.
        name: String,
        /// The method.
        method: Method,
    },
    /// There is nothing that puts records into the zone.
    #[error(
        "{0} is to be proved by a record in its zone, and nothing here can put one there; give a server or a program"
    )]
    NoRecords(String),
    /// It did not find what it looked for.
    #[error("the authority does not see that {name} is ours: {said}; {}", remedy(*.method))]
    NotSeen {
        /// The name.
        name: String,
        /// How it looked.
        method: Method,
        /// What it says.
        said: String,
    },
    /// It said no.
    #[error("the authority refused: {0}")]
    Refused(String),
    /// It is not reached, or not understood.
    #[error("asking {directory}: {source}; is it reached from here?")]
    Ask {
        /// The authority.
        directory: String,
        /// What went wrong.
        #[source]
        source: instant_acme::Error,
    },
    /// It took too long.
    #[error("no certificate came within {} s", .0.as_secs())]
    Late(Duration),
    /// Records could not be put into the zone.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The account cannot be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// A certificate could not be made or read.
    #[error("making a request: {0}")]
    Make(#[from] rcgen::Error),
    /// What came is no certificate for this.
    #[error("what the authority gave cannot be served: {0}")]
    Given(#[from] BundleError),
    /// What came is for other names.
    #[error("the authority gave a certificate for other names")]
    Other,
}

const fn remedy(method: Method) -> &'static str {
    match method {
        Method::Http => "does the name lead here, and does port 80 reach this machine from outside?",
        Method::TlsAlpn => "does the name lead here, and does port 443 reach this machine from outside?",
        Method::Dns => "do all servers of the zone have the record, and does anything else answer for it?",
    }
}

impl AcmeError {
    /// Whether it is of no use to come again before somebody has changed something.
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::NotAgreed(_) | Self::NoMethod { .. } | Self::NoRecords(_))
    }
}

/// An authority, with an account that is made when it is first needed, and kept.
pub struct Acme {
    settings: AcmeSettings,
    keep: Arc<dyn Keep>,
    shelf: Arc<Shelf>,
    records: Option<Arc<dyn Records>>,
    account: ArcSwapOption<Account>,
}

impl std::fmt::Debug for AcmeSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AcmeSettings").field(&self.directory).finish()
    }
}

impl std::fmt::Debug for Acme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Acme").field(&self.settings.directory).finish()
    }
}

impl Acme {
    /// Puts what the authority looks for on the shelf and into the zone.
    pub fn new(
        settings: AcmeSettings,
        keep: Arc<dyn Keep>,
        shelf: Arc<Shelf>,
        records: Option<Arc<dyn Records>>,
    ) -> Self {
        Self { settings, keep, shelf, records, account: ArcSwapOption::empty() }
    }

    /// A certificate for these names, in the place of one if there was one.
    ///
    /// # Errors
    /// [`AcmeError`]
    pub async fn obtain(
        &self,
        names: &[String],
        method: Method,
        before: Option<&Bundle>,
    ) -> Result<Bundle, AcmeError> {
        let mut done = self.once(names, method, before).await;
        for _ in 1..TRIES {
            // A nonce that was refused several times running is bad luck, and nobody's fault.
            if !is_api(&done, "badNonce") {
                break;
            }
            done = self.once(names, method, before).await;
        }
        if is_api(&done, "accountDoesNotExist") {
            // It has forgotten us: the next try makes another account.
            self.account.store(None);
            self.keep.forget(&self.account_name()).await?;
        }
        done
    }

    async fn once(
        &self,
        names: &[String],
        method: Method,
        before: Option<&Bundle>,
    ) -> Result<Bundle, AcmeError> {
        let mut up = Up::default();
        let work = self.order(names, method, before, &mut up);
        let done = timeout(self.settings.within, work).await;
        self.take_down(up).await;
        done.unwrap_or(Err(AcmeError::Late(self.settings.within)))
    }

    /// When the authority suggests to renew, and for how long that holds; none if it says nothing of it.
    pub async fn window(&self, bundle: &Bundle) -> Option<((Millis, Millis), Duration)> {
        let id = bundle.id()?;
        let ask = async { self.account().await.ok()?.renewal_info(id).await.ok() };
        let (info, again) = timeout(TIDY, ask).await.ok()??;
        let millis =
            |at: time::OffsetDateTime| u64::try_from(at.unix_timestamp()).ok().map(|at| Millis(at * 1000));
        let window = (millis(info.suggested_window.start)?, millis(info.suggested_window.end)?);
        Some((window, again))
    }

    fn ask(&self, source: instant_acme::Error) -> AcmeError {
        AcmeError::Ask { directory: self.settings.directory.clone(), source }
    }

    fn account_name(&self) -> String {
        // Of an address, what may stand in a name.
        let plain =
            |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
        let host: String = self.settings.directory.chars().map(plain).take(120).collect();
        format!("{ACCOUNT}{host}")
    }

    async fn account(&self) -> Result<Account, AcmeError> {
        if let Some(account) = self.account.load_full() {
            return Ok(Account::clone(&account));
        }
        let builder = match &self.settings.roots {
            Some(roots) => Account::builder_with_root(roots),
            None => Account::builder(),
        };
        let builder = builder.map_err(|error| self.ask(error))?;
        let name = self.account_name();
        let kept = self.keep.load(&name).await?;
        let kept = kept.and_then(|bytes| serde_json::from_slice::<AccountCredentials>(&bytes).ok());
        let account = if let Some(kept) = kept {
            builder.from_credentials(kept).await.map_err(|error| self.ask(error))?
        } else {
            if !self.settings.agreed {
                return Err(AcmeError::NotAgreed(self.settings.directory.clone()));
            }
            let contact: Vec<&str> = self.settings.contact.iter().map(String::as_str).collect();
            let wanted =
                NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
            let external =
                self.settings.external.as_ref().map(|(id, key)| ExternalAccountKey::new(id.clone(), key));
            let made = builder.create(&wanted, self.settings.directory.clone(), external.as_ref()).await;
            let (account, credentials) = made.map_err(|error| self.ask(error))?;
            let bytes = serde_json::to_vec(&credentials).map_err(|error| self.ask(error.into()))?;
            self.keep.save(&name, Zeroizing::new(bytes)).await?;
            account
        };
        self.account.store(Some(Arc::new(account.clone())));
        Ok(account)
    }

    async fn order(
        &self,
        names: &[String],
        method: Method,
        before: Option<&Bundle>,
        up: &mut Up,
    ) -> Result<Bundle, AcmeError> {
        let account = self.account().await?;
        let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
        let mut wanted = NewOrder::new(&identifiers);
        if let Some(id) = before.and_then(Bundle::id) {
            wanted = wanted.replaces(id.clone());
        }
        let order = match account.new_order(&wanted).await {
            // Not everybody knows what a certificate replaces.
            Err(_) if before.is_some() => account.new_order(&NewOrder::new(&identifiers)).await,
            order => order,
        };
        let mut order = order.map_err(|error| self.ask(error))?;
        self.put_up(&mut order, method, up).await?;
        let retry = RetryPolicy::new().timeout(self.settings.within);
        self.be_seen(&mut order, method).await?;
        match order.poll_ready(&retry).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) => return Err(self.not_seen(&mut order, method, None).await),
            Err(instant_acme::Error::Api(problem)) if order.state().status == OrderStatus::Invalid => {
                return Err(self.not_seen(&mut order, method, Some(problem)).await);
            }
            Err(error) => return Err(self.ask(error)),
        }
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        let key = KeyPair::generate()?;
        let csr = params.serialize_request(&key)?;
        order.finalize_csr(csr.der()).await.map_err(|error| self.ask(error))?;
        let chain = order.poll_certificate(&retry).await.map_err(|error| self.ask(error))?;
        let secret = Zeroizing::new(key.serialize_pem());
        let bundle = Bundle::read(Zeroizing::new(format!("{chain}\n{}", *secret).into_bytes()))?;
        if bundle.is_for(names) { Ok(bundle) } else { Err(AcmeError::Other) }
    }

    /// Puts up what the authority is to find, for all names before any is looked at.
    async fn put_up(&self, order: &mut Order, method: Method, up: &mut Up) -> Result<(), AcmeError> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.ask(error))?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let name = plain(&authorization.identifier().to_string());
            let Some(challenge) = authorization.challenge(method.kind()) else {
                return Err(AcmeError::NoMethod { directory: self.settings.directory.clone(), name, method });
            };
            let text = challenge.key_authorization();
            match method {
                Method::Http => up.here.push(self.shelf.put_token(&name, &challenge.token, text.as_str())),
                Method::TlsAlpn => {
                    let key = challenge_key(&name, text.digest().as_ref())?;
                    up.here.push(self.shelf.put_challenge(&name, &key));
                }
                Method::Dns => {
                    let Some(records) = &self.records else { return Err(AcmeError::NoRecords(name)) };
                    let record = (format!("_acme-challenge.{name}"), text.dns_value());
                    // What may be there has to be taken out, whatever is heard of it.
                    up.records.push(record.clone());
                    records.add(&record.0, &record.1).await?;
                }
            }
        }
        if !up.records.is_empty() {
            tokio::time::sleep(self.settings.settle).await;
        }
        Ok(())
    }

    async fn be_seen(&self, order: &mut Order, method: Method) -> Result<(), AcmeError> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.ask(error))?;
            if authorization.status != AuthorizationStatus::Valid
                && let Some(mut challenge) = authorization.challenge(method.kind())
            {
                challenge.set_ready().await.map_err(|error| self.ask(error))?;
            }
        }
        Ok(())
    }

    /// What the authority says of the name that it did not find.
    async fn not_seen(&self, order: &mut Order, method: Method, why: Option<Problem>) -> AcmeError {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let name = plain(&authorization.identifier().to_string());
            let Ok(now) = authorization.refresh().await else { continue };
            let problem = now.challenges.iter().find_map(|challenge| challenge.error.as_ref());
            if let Some(problem) = problem {
                return AcmeError::NotSeen { name, method, said: words(problem) };
            }
        }
        AcmeError::Refused(why.as_ref().map_or_else(|| SILENT.to_owned(), words))
    }

    async fn take_down(&self, up: Up) {
        let Some(records) = &self.records else { return };
        for (name, text) in &up.records {
            match timeout(TIDY, records.remove(name, text)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a record stays in the zone"),
                Err(_) => tracing::warn!("a record stays in the zone"),
            }
        }
    }
}

/// What is up for an authority to find.
#[derive(Debug, Default)]
struct Up {
    here: Vec<Put>,
    records: Vec<(String, String)>,
}

/// A name without `*.`, which is proved as the name below.
fn plain(name: &str) -> String {
    name.strip_prefix("*.").unwrap_or(name).to_owned()
}

/// Whether the authority gave this as its reason (RFC 8555, 6.7).
fn is_api<T>(done: &Result<T, AcmeError>, kind: &str) -> bool {
    let Err(AcmeError::Ask { source: instant_acme::Error::Api(problem), .. }) = done else { return false };
    problem.r#type.as_deref().is_some_and(|own| own.rsplit(':').next() == Some(kind))
}

fn words(problem: &Problem) -> String {
    problem.detail.clone().or_else(|| problem.r#type.clone()).unwrap_or_else(|| SILENT.to_owned())
}

/// RFC 8737, 3: signed by itself, for this name, with the digest where nobody else looks.
fn challenge_key(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, AcmeError> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let secret = PrivatePkcs8KeyDer::from(key.serialize_der());
    // Not checked against each other: what it says to the authority is a critical extension, which TLS here does
    // not know.
    let signer = rustls::crypto::ring::sign::any_ecdsa_type(&secret.into());
    let signer = signer.map_err(|_| AcmeError::Given(BundleError::Key))?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signer)))
}

//! A client of an S3.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use freehold_backup::Pacing;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};

use crate::slowly::Slowly;
use crate::{Credentials, Settings, SettingsError};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// For one request: a piece of 8 MiB over a slow line.
const REQUEST: Duration = Duration::from_mins(5);
/// For an answer to begin, or to go on.
const ANSWER: Duration = Duration::from_secs(90);
/// For one request with all its repetitions.
const RETRY: Duration = Duration::from_secs(30);

/// No client can be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A setting cannot be right.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file with certificates cannot be used.
    #[error("the certificates in {path} cannot be used: {detail}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Whoever asks does not know the machines of other realms.
    #[error("it lies at another realm's, under a grant: only the running node reaches it")]
    Elsewhere,
    /// The library refused them.
    #[error("no client can be made of these settings")]
    Client(#[source] object_store::Error),
    /// What sends at a pace cannot be made of them.
    #[error("no client can be made of these settings")]
    Sender(#[source] reqwest::Error),
}

/// A client of the store, which says nothing to it yet. Every request is repeated a few times if the
/// store is busy, and has an end.
///
/// # Errors
/// [`ConnectError`]
pub fn connect(settings: &Settings, credentials: &Credentials) -> Result<Arc<dyn ObjectStore>, ConnectError> {
    connect_with(settings, credentials, Patience { answer: ANSWER, request: REQUEST }, None)
}

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a sign of life, while all of a body is sent, too.
    pub(crate) answer: Duration,
    /// For all of an answer.
    pub(crate) request: Duration,
}

pub(crate) fn connect_with(
    settings: &Settings,
    credentials: &Credentials,
    patience: Patience,
    pacing: Option<Pacing>,
) -> Result<Arc<dyn ObjectStore>, ConnectError> {
    settings.check()?;
    if settings.grant().is_some() {
        return Err(ConnectError::Elsewhere);
    }
    // The client's TLS takes the program's one provider of cryptography; that of an earlier call stays.
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut options = ClientOptions::new()
        .with_allow_http(settings.is_plain_http())
        .with_connect_timeout(CONNECT)
        .with_read_timeout(patience.answer)
        .with_timeout(patience.request);
    let certificates = settings.ca.as_deref().map(certificates).transpose()?;
    if let Some((path, pem)) = &certificates {
        let failed = |error: object_store::Error| no_certificates(path, &error);
        for certificate in Certificate::from_pem_bundle(pem).map_err(failed)? {
            options = options.with_root_certificate(certificate);
        }
    }
    let endpoint = settings.endpoint.trim_end_matches('/');
    // The library takes the endpoint as it is: the bucket's own host has to be spelled out.
    let endpoint = match endpoint.split_once("://") {
        Some((scheme, host)) if !settings.path_style => format!("{scheme}://{}.{host}", settings.bucket),
        _ => endpoint.to_owned(),
    };
    let mut builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_region(&settings.region)
        .with_bucket_name(&settings.bucket)
        .with_virtual_hosted_style_request(!settings.path_style)
        .with_access_key_id(&credentials.access_key_id)
        .with_secret_access_key(credentials.secret_access_key.as_str())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(options)
        .with_retry(RetryConfig { backoff: BackoffConfig::default(), max_retries: 4, retry_timeout: RETRY });
    if let Some(token) = &credentials.session_token {
        builder = builder.with_token(token.as_str());
    }
    if let Some(pacing) = pacing {
        let client = client(settings, patience, certificates.as_ref())?;
        builder = builder.with_http_connector(Slowly { client, pacing });
    }
    let store = builder.build().map_err(ConnectError::Client)?;
    let prefix = settings.prefix.trim_matches('/');
    if prefix.is_empty() {
        return Ok(Arc::new(store));
    }
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// The file with certificates, and what is in it.
fn certificates(path: &Path) -> Result<(PathBuf, Vec<u8>), ConnectError> {
    let read = std::fs::read(path);
    read.map(|pem| (path.to_owned(), pem)).map_err(|error| no_certificates(path, &error))
}

fn no_certificates(path: &Path, error: &dyn std::error::Error) -> ConnectError {
    ConnectError::Certificates { path: path.to_owned(), detail: error.to_string() }
}

/// A client as the library makes them by the same settings.
fn client(
    settings: &Settings,
    patience: Patience,
    certificates: Option<&(PathBuf, Vec<u8>)>,
) -> Result<reqwest::Client, ConnectError> {
    let mut builder = reqwest::Client::builder()
        .https_only(!settings.is_plain_http())
        .http1_only()
        .connect_timeout(CONNECT)
        .read_timeout(patience.answer)
        .timeout(patience.request);
    if let Some((path, pem)) = certificates {
        let failed = |error: reqwest::Error| no_certificates(path, &error);
        for certificate in reqwest::Certificate::from_pem_bundle(pem).map_err(failed)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(ConnectError::Sender)
}

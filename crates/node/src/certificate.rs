//! The console's certificate: made once for this node, signed by itself, told apart by its
//! fingerprint, which `up` prints.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificate cannot be made, kept or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Making it failed.
    #[error("making the console's certificate")]
    Make(#[source] rcgen::Error),
    /// Keeping or reading it failed.
    #[error("keeping the console's certificate in {path}")]
    Keep {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It may not be this user's.
    #[error("{0}")]
    NotOurs(#[source] freehold_disk::OwnError),
    /// The file holds something else; it may be deleted, a new one is made.
    #[error("{0} is not a certificate and key; delete it and start again")]
    Unreadable(std::path::PathBuf),
    /// The TLS library refused it.
    #[error("using the console's certificate")]
    Tls(#[source] rustls::Error),
}

/// What the console's listener needs.
#[derive(Debug)]
pub struct Identity {
    /// TLS settings, HTTP/1.1 and 2.
    pub tls: Arc<rustls::ServerConfig>,
    /// SHA-256 of the certificate, in hex pairs with colons, as browsers show it.
    pub fingerprint: String,
}

/// Reads the certificate, or makes one for `names` and the addresses.
///
/// # Errors
/// [`CertificateError`]
pub fn load_or_make(
    path: &Path,
    names: &[String],
    addresses: &[IpAddr],
) -> Result<Identity, CertificateError> {
    let keep = |source| CertificateError::Keep { path: path.to_owned(), source };
    let kept = freehold_disk::read_private(path).map_err(CertificateError::NotOurs)?;
    let pem = if let Some(pem) = kept {
        zeroize::Zeroizing::new(pem)
    } else {
        let pem = zeroize::Zeroizing::new(make(names, addresses)?.into_bytes());
        freehold_disk::replace(path, &pem, 0o600).map_err(keep)?;
        pem
    };
    let unreadable = || CertificateError::Unreadable(path.to_owned());
    let chain =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|_| unreadable())?;
    let certificate = chain.first().ok_or_else(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unreadable())?;
    let fingerprint = fingerprint(certificate);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Tls)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(CertificateError::Tls)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity { tls: Arc::new(tls), fingerprint })
}

fn make(names: &[String], addresses: &[IpAddr]) -> Result<String, CertificateError> {
    let subjects = names.iter().cloned().chain(addresses.iter().map(ToString::to_string)).collect::<Vec<_>>();
    let mut params = rcgen::CertificateParams::new(subjects).map_err(CertificateError::Make)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Freehold console");
    let key = rcgen::KeyPair::generate().map_err(CertificateError::Make)?;
    let certificate = params.self_signed(&key).map_err(CertificateError::Make)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}

pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = freehold_crypt::hash::sha256(certificate);
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_start_uses_the_same_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.pem");
        let names = ["localhost".to_owned()];
        let first = load_or_make(&path, &names, &[]).unwrap();
        let second = load_or_make(&path, &names, &[]).unwrap();
        assert_eq!(first.fingerprint, second.fingerprint);
        assert_eq!(first.fingerprint.len(), 32 * 3 - 1);
        #[expect(clippy::disallowed_methods, reason = "a damaged file is what the test is about")]
        std::fs::write(&path, "nonsense").unwrap();
        assert!(matches!(load_or_make(&path, &names, &[]), Err(CertificateError::Unreadable(_))));
    }
}

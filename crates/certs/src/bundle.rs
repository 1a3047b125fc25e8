//! A certificate with those above it and its key.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use freehold_wire::Millis;
use instant_acme::CertificateIdentifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

/// What was given as a certificate is none that can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// There is no certificate, or it cannot be read.
    #[error("there is no certificate in it that can be read")]
    Certificate,
    /// There is no key, or it cannot be read.
    #[error("there is no private key in it that can be read")]
    Key,
    /// The key is another one's.
    #[error("the private key is not the certificate's")]
    Other,
    /// It ends before it begins.
    #[error("the certificate is never good")]
    Never,
}

/// A certificate, those above it, and its key.
pub struct Bundle {
    pem: Zeroizing<Vec<u8>>,
    names: Vec<String>,
    from: Millis,
    until: Millis,
    draw: u64,
    id: Option<CertificateIdentifier<'static>>,
    key: Arc<CertifiedKey>,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("names", &self.names)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Bundle {
    /// Reads certificates, the leaf first, and a key, as PEM.
    ///
    /// # Errors
    /// [`BundleError`]
    pub fn read(pem: Zeroizing<Vec<u8>>) -> Result<Self, BundleError> {
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| BundleError::Certificate)?;
        let leaf = chain.first().ok_or(BundleError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| BundleError::Key)?;
        let id = CertificateIdentifier::try_from(leaf).ok().map(CertificateIdentifier::into_owned);
        // A signature is as good as a draw, and the same after a restart.
        let draw = leaf.iter().rev().take(8).fold(0, |draw, byte| draw << 8 | u64::from(*byte));
        let (names, from, until) = about(leaf).ok_or(BundleError::Certificate)?;
        if from >= until {
            return Err(BundleError::Never);
        }
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => BundleError::Other,
            rustls::Error::InvalidCertificate(_) => BundleError::Certificate,
            _ => BundleError::Key,
        })?;
        Ok(Self { pem, names, from, until, draw, id, key: Arc::new(key) })
    }

    /// As it is kept.
    pub fn pem(&self) -> &Zeroizing<Vec<u8>> {
        &self.pem
    }

    /// The names and addresses that it is for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// From when it is good.
    pub const fn from(&self) -> Millis {
        self.from
    }

    /// Until when it is good.
    pub const fn until(&self) -> Millis {
        self.until
    }

    /// A number that is any, and always the same.
    pub(crate) const fn draw(&self) -> u64 {
        self.draw
    }

    /// How its authority calls it (RFC 9773, 4.1).
    pub(crate) const fn id(&self) -> Option<&CertificateIdentifier<'static>> {
        self.id.as_ref()
    }

    /// As TLS wants it.
    pub fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// Whether it is for all of these names.
    pub fn is_for(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }
}

fn about(leaf: &CertificateDer<'_>) -> Option<(Vec<String>, Millis, Millis)> {
    let (_, read) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let millis = |seconds: i64| u64::try_from(seconds).ok()?.checked_mul(1000).map(Millis);
    let from = millis(read.validity().not_before.timestamp())?;
    let until = millis(read.validity().not_after.timestamp())?;
    let names = read.subject_alternative_name().ok()?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
        _ => None,
    });
    Some((names.collect(), from, until))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::authority::tests::{authority, now};

    #[test]
    fn a_certificate_goes_with_its_own_key() {
        let (one, two) = (authority(), authority());
        let issue = |authority: &crate::Authority| {
            authority.issue(&["a.home.internal".to_owned()], &[], now()).unwrap().pem().to_vec()
        };
        let (one, two) = (issue(&one), issue(&two));
        let split = |pem: &[u8]| {
            let text = String::from_utf8(pem.to_vec()).unwrap();
            let at = text.find("-----BEGIN PRIVATE").unwrap();
            (text[..at].to_owned(), text[at..].to_owned())
        };
        let ((certificate, key), (_, other)) = (split(&one), split(&two));
        let read = |text: String| Bundle::read(Zeroizing::new(text.into_bytes())).err();
        assert_eq!(read(format!("{key}{certificate}")), None, "in any order");
        assert_eq!(read(format!("{certificate}{other}")), Some(BundleError::Other));
        assert_eq!(read(certificate), Some(BundleError::Key));
        assert_eq!(read(key), Some(BundleError::Certificate));
    }

    proptest! {
        #[test]
        fn whatever_is_given_is_read_or_refused(bytes: Vec<u8>, der: Vec<u8>) {
            prop_assert!(Bundle::read(Zeroizing::new(bytes)).is_err());
            prop_assert!(about(&CertificateDer::from(der)).is_none());
        }

        #[test]
        fn a_damaged_certificate_is_read_or_refused(at: prop::sample::Index, by in 1_u8..) {
            let bundle = authority().issue(&["a.home.internal".to_owned()], &[], now()).unwrap();
            let mut der = bundle.key().cert[0].to_vec();
            let at = at.index(der.len());
            der[at] ^= by;
            // It may be read, as another one: whose signature is good is for the client to say.
            drop(about(&CertificateDer::from(der)));
        }
    }
}

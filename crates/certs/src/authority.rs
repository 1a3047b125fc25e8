//! The realm's own authority, for names that mean something only inside. What it signs is good for its zone and
//! nothing else, whoever has its key: who trusts it trusts it for no bank.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use freehold_wire::Millis;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{Bundle, BundleError};

/// The life of the authority's certificate.
const LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// The life of what it signs: it is made anew by itself, and a stolen one is soon worth nothing.
const LEAF: Duration = Duration::from_hours(7 * 24);
/// Clocks differ.
const BEFORE: Duration = Duration::from_hours(1);

/// Why the authority signs nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The name is not in its zone.
    #[error("{name} is not in {zone}, and this authority signs nothing else")]
    Outside {
        /// The name or address.
        name: String,
        /// The zone.
        zone: String,
    },
    /// Nothing was asked for.
    #[error("a certificate needs a name")]
    Nothing,
    /// What was kept of it cannot be read.
    #[error("what is kept of the realm's authority cannot be read: {0}")]
    Unreadable(#[source] BundleError),
    /// It is an authority for something else.
    #[error("what is kept is not the authority of {0}")]
    Foreign(String),
    /// Making it failed.
    #[error("making a certificate")]
    Make(#[from] rcgen::Error),
    /// What was made cannot be used.
    #[error("using a certificate that was made here: {0}")]
    Made(#[source] BundleError),
    /// The clock is far off.
    #[error("the clock is wrong; set it and try again")]
    Clock,
}

/// What the authority is for: a zone, and the network in which its machines have addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The zone, in lower case, without a last dot.
    pub zone: String,
    /// The network's first address and the length of its prefix; it signs for no address without.
    pub network: Option<(Ipv6Addr, u8)>,
}

impl Scope {
    fn holds(&self, name: &str) -> bool {
        let name = name.strip_prefix("*.").unwrap_or(name);
        let below = || name.strip_suffix(self.zone.as_str()).is_some_and(|label| label.ends_with('.'));
        name == self.zone || below()
    }

    fn holds_address(&self, ip: IpAddr) -> bool {
        let (Some((first, length)), IpAddr::V6(ip)) = (self.network, ip) else { return false };
        let shift = 128_u32.saturating_sub(u32::from(length));
        let head = |ip: Ipv6Addr| u128::from(ip).checked_shr(shift).unwrap_or_default();
        head(first) == head(ip)
    }

    fn constraints(&self) -> NameConstraints {
        let mut permitted = vec![GeneralSubtree::DnsName(self.zone.clone())];
        let mut excluded = Vec::new();
        if let Some((first, length)) = self.network {
            permitted.push(GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(first.octets(), length)));
        } else {
            excluded.push(GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([0; 4], 0)));
            excluded.push(GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix([0; 16], 0)));
        }
        NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded }
    }
}

/// An authority for one zone.
pub struct Authority {
    scope: Scope,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authority").field(&self.scope).finish()
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn make(scope: Scope, now: Millis) -> Result<Self, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Freehold {}", scope.zone));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(scope.constraints());
        // The authority's own name says its zone, and is found by it when it is read.
        params.subject_alt_names = vec![SanType::DnsName(scope.zone.as_str().try_into()?)];
        (params.not_before, params.not_after) = validity(now, LIFE)?;
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let secret = Zeroizing::new(key.serialize_pem());
        let pem = Zeroizing::new(format!("{}{}", certificate.pem(), *secret).into_bytes());
        Self::read(scope, pem)
    }

    /// Reads what [`Self::pem`] gave.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn read(scope: Scope, pem: Zeroizing<Vec<u8>>) -> Result<Self, AuthorityError> {
        let unreadable = |_| AuthorityError::Unreadable(BundleError::Certificate);
        let bundle = Bundle::read(Zeroizing::new(pem.to_vec())).map_err(AuthorityError::Unreadable)?;
        if bundle.names() != [scope.zone.clone()] {
            return Err(AuthorityError::Foreign(scope.zone));
        }
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(unreadable)?;
        let key = PrivateKeyDer::from_pem_slice(&pem);
        let key = key.map_err(|_| AuthorityError::Unreadable(BundleError::Key))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, KeyPair::try_from(&key)?)?;
        Ok(Self { scope, issuer, certificate, pem })
    }

    /// The certificate and its key, to be kept.
    pub const fn pem(&self) -> &Zeroizing<Vec<u8>> {
        &self.pem
    }

    /// The certificate, for machines that are to trust it.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What it is for.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// A certificate for names and addresses in its scope, with a key of its own.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn issue(
        &self,
        names: &[String],
        addresses: &[IpAddr],
        now: Millis,
    ) -> Result<Bundle, AuthorityError> {
        let outside = |name: String| AuthorityError::Outside { name, zone: self.scope.zone.clone() };
        if let Some(name) = names.iter().find(|name| !self.scope.holds(name)) {
            return Err(outside(name.clone()));
        }
        if let Some(ip) = addresses.iter().find(|ip| !self.scope.holds_address(**ip)) {
            return Err(outside(ip.to_string()));
        }
        if names.is_empty() && addresses.is_empty() {
            return Err(AuthorityError::Nothing);
        }
        let mut params = CertificateParams::new(names)?;
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.distinguished_name = DistinguishedName::new();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = validity(now, LEAF)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let secret = Zeroizing::new(key.serialize_pem());
        let pem = format!("{}{}", certificate.pem(), *secret);
        Bundle::read(Zeroizing::new(pem.into_bytes())).map_err(AuthorityError::Made)
    }
}

fn validity(now: Millis, life: Duration) -> Result<(OffsetDateTime, OffsetDateTime), AuthorityError> {
    let seconds = i64::try_from(now.0 / 1000).map_err(|_| AuthorityError::Clock)?;
    let now = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AuthorityError::Clock)?;
    let until = now.checked_add(life.try_into().map_err(|_| AuthorityError::Clock)?);
    Ok((now - BEFORE, until.ok_or(AuthorityError::Clock)?))
}

#[cfg(test)]
pub(crate) mod tests;

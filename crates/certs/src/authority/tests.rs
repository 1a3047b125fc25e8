use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{ServerName, UnixTime};

use super::*;

pub(crate) fn now() -> Millis {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Millis(u64::try_from(now.as_millis()).unwrap())
}

fn scope() -> Scope {
    Scope { zone: "home.internal".to_owned(), network: Some(("fd00:1:2::".parse().unwrap(), 48)) }
}

pub(crate) fn authority() -> Authority {
    Authority::make(scope(), now()).unwrap()
}

/// What TLS says to a certificate under the authority.
fn verified(authority: &Authority, bundle: &Bundle, name: &str, at: Millis) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_millis(at.0));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(&bundle.key().cert[0], &[], &name, &[], at).map(drop)
}

#[test]
fn what_it_signs_is_good_for_a_week_in_its_zone() {
    let authority = authority();
    let names = ["node.home.internal".to_owned(), "*.apps.home.internal".to_owned()];
    let bundle = authority.issue(&names, &["fd00:1:2::7".parse().unwrap()], now()).unwrap();
    for name in ["node.home.internal", "x.apps.home.internal", "fd00:1:2::7"] {
        verified(&authority, &bundle, name, now()).unwrap();
    }
    assert!(verified(&authority, &bundle, "other.home.internal", now()).is_err());
    assert!(verified(&authority, &bundle, "node.home.internal", Millis(now().0 + 8 * 86_400_000)).is_err());
    let again = Authority::read(scope(), authority.pem().clone()).unwrap();
    let later = again.issue(&names, &[], now()).unwrap();
    verified(&authority, &later, "node.home.internal", now()).unwrap();
}

#[test]
fn it_signs_for_nobody_else() {
    let authority = authority();
    let names = ["bank.example", "xhome.internal", "internal", "home.internal.evil.example", "*.internal"];
    for name in names {
        let refused = authority.issue(&[name.to_owned()], &[], now());
        assert!(matches!(refused, Err(AuthorityError::Outside { .. })), "{name}");
    }
    for ip in ["fd00:1:3::1", "192.0.2.1"] {
        assert!(matches!(
            authority.issue(&[], &[ip.parse().unwrap()], now()),
            Err(AuthorityError::Outside { .. })
        ));
    }
    assert!(matches!(authority.issue(&[], &[], now()), Err(AuthorityError::Nothing)));
    let other = Scope { zone: "other.internal".to_owned(), network: None };
    assert!(matches!(Authority::read(other, authority.pem().clone()), Err(AuthorityError::Foreign(_))));
}

/// Somebody has the authority's key, and signs what the authority never would: neither TLS here nor OpenSSL
/// takes it.
#[test]
fn a_stolen_key_signs_for_its_zone_alone() {
    let authority = authority();
    let dir = tempfile::tempdir().unwrap();
    let (root, leaf) = (dir.path().join("root"), dir.path().join("leaf"));
    freehold_disk::replace(&root, authority.pem(), 0o600).unwrap();
    let cases: [(&str, bool); 4] =
        [("node.home.internal", true), ("bank.example", false), ("192.0.2.1", false), ("fd00:1:3::1", false)];
    for (name, good) in cases {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = validity(now(), LEAF).unwrap();
        let key = KeyPair::generate().unwrap();
        let stolen = params.signed_by(&key, &authority.issuer).unwrap();
        let pem = format!("{}{}", stolen.pem(), key.serialize_pem());
        let bundle = Bundle::read(Zeroizing::new(pem.clone().into_bytes())).unwrap();
        assert_eq!(verified(&authority, &bundle, name, now()).is_ok(), good, "{name}");
        freehold_disk::replace(&leaf, pem.as_bytes(), 0o600).unwrap();
        let openssl =
            Command::new("openssl").arg("verify").arg("-CAfile").args([&root, &leaf]).output().unwrap();
        let said = String::from_utf8_lossy(&[openssl.stdout, openssl.stderr].concat()).into_owned();
        assert_eq!(openssl.status.success(), good, "{name}: {said}");
        assert!(good || said.contains("permitted subtree violation"), "{said}");
    }
}

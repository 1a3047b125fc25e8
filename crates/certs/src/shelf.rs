//! Certificates where TLS finds them, and what authorities are to find here. Whatever is put on it counts for
//! the next handshake.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::Bundle;

/// What an authority speaks to see who answers for a name (RFC 8737, 6.2).
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// Certificates by name, and answers to what authorities ask.
#[derive(Debug, Default)]
pub struct Shelf {
    certificates: ArcSwap<BTreeMap<String, Arc<CertifiedKey>>>,
    challenges: ArcSwap<BTreeMap<String, Arc<CertifiedKey>>>,
    tokens: ArcSwap<BTreeMap<(String, String), String>>,
}

impl Shelf {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts these in the place of all that there were. Of two for one name, the later counts.
    pub fn fill<'a>(&self, bundles: impl IntoIterator<Item = &'a Bundle>) {
        let mut next = BTreeMap::new();
        for bundle in bundles {
            for name in bundle.names() {
                next.insert(name.clone(), Arc::clone(bundle.key()));
            }
        }
        self.certificates.store(Arc::new(next));
    }

    /// The certificate of a name in lower case: its own, or one for `*.` and what follows the first dot.
    pub fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let certificates = self.certificates.load();
        let wild = || certificates.get(&format!("*.{}", name.split_once('.')?.1));
        certificates.get(name).or_else(wild).map(Arc::clone)
    }

    /// The text of a token, for who asks under a name (HTTP-01).
    pub fn text(&self, host: &str, token: &str) -> Option<String> {
        self.tokens.load().get(&(host.to_owned(), token.to_owned())).cloned()
    }

    pub(crate) fn put_token(self: &Arc<Self>, host: &str, token: &str, text: &str) -> Put {
        let key = (host.to_owned(), token.to_owned());
        change(&self.tokens, |tokens| {
            tokens.insert(key.clone(), text.to_owned());
        });
        Put { shelf: Arc::clone(self), what: What::Token(key) }
    }

    pub(crate) fn put_challenge(self: &Arc<Self>, host: &str, key: &Arc<CertifiedKey>) -> Put {
        change(&self.challenges, |challenges| {
            challenges.insert(host.to_owned(), Arc::clone(key));
        });
        Put { shelf: Arc::clone(self), what: What::Challenge(host.to_owned()) }
    }
}

fn change<K: Ord + Clone, V: Clone>(of: &ArcSwap<BTreeMap<K, V>>, how: impl Fn(&mut BTreeMap<K, V>)) {
    of.rcu(|now| {
        let mut next = BTreeMap::clone(now);
        how(&mut next);
        next
    });
}

/// What lies on the shelf for an authority, until this is dropped.
#[derive(Debug)]
pub(crate) struct Put {
    shelf: Arc<Shelf>,
    what: What,
}

#[derive(Debug)]
enum What {
    Token((String, String)),
    Challenge(String),
}

impl Drop for Put {
    fn drop(&mut self) {
        match &self.what {
            What::Token(key) => change(&self.shelf.tokens, |tokens| {
                tokens.remove(key);
            }),
            What::Challenge(host) => change(&self.shelf.challenges, |challenges| {
                challenges.remove(host);
            }),
        }
    }
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        // Only who offers this and nothing else gets that certificate, and no other (RFC 8737, 3).
        if hello.alpn().is_some_and(|mut offered| offered.any(|one| one == ACME_TLS)) {
            return self.challenges.load().get(&name).map(Arc::clone);
        }
        self.find(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::tests::{authority, now};

    #[test]
    fn the_nearest_certificate_is_found_and_what_is_put_up_is_taken_down() {
        let shelf = Arc::new(Shelf::new());
        let issue = |name: &str| authority().issue(&[name.to_owned()], &[], now()).unwrap();
        let (own, wild) = (issue("a.home.internal"), issue("*.home.internal"));
        shelf.fill([&own, &wild]);
        let is =
            |name: &str, bundle: &Bundle| shelf.find(name).is_some_and(|key| Arc::ptr_eq(&key, bundle.key()));
        assert!(is("a.home.internal", &own) && is("b.home.internal", &wild));
        assert!(shelf.find("home.internal").is_none() && shelf.find("x.b.home.internal").is_none());
        shelf.fill([]);
        assert!(shelf.find("a.home.internal").is_none());

        let put = shelf.put_token("a.b", "token", "text");
        assert_eq!(shelf.text("a.b", "token").as_deref(), Some("text"));
        assert_eq!(shelf.text("c.d", "token"), None);
        drop(put);
        assert_eq!(shelf.text("a.b", "token"), None);
    }
}

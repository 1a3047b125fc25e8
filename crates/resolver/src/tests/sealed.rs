//! Over TLS and HTTPS: as a server, and to servers. One resolver asks another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use freehold_names::{Rcode, Why};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::house::{House, Other, address, ok, until, v4, zone};
use crate::{Roots, Server, Setting, Speaks, Upstream, Way};

/// A certificate for a name, and who trusts it.
fn certificate(name: &str) -> (Arc<rustls::ServerConfig>, Roots) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (Arc::new(tls), Roots::Only(vec![certificate]))
}

async fn house(setting: Setting, roots: Roots) -> House {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    House::serving(setting, folder, &[Speaks::Plain], None, roots).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_asks_another_sealed_and_takes_nobody_else_for_it() {
    let (tls, roots) = certificate("dns.example");
    let rows = vec![zone("far"), v4("a.far", [192, 0, 2, 1]), v4("b.far", [192, 0, 2, 2])];
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let speaks = [Speaks::Tls, Speaks::Https];
    let far =
        House::serving(Setting { rows, ..Setting::default() }, folder, &speaks, Some(tls), Roots::default())
            .await;
    let bound = far.handle.bound();
    for (place, way) in [
        (0, Way::Tls("dns.example".to_owned())),
        (1, Way::Https("dns.example".to_owned(), "/dns-query".to_owned())),
    ] {
        let server = Server { address: bound[place].address, way };
        let upstream = |servers| Upstream { servers, ..Upstream::default() };
        let setting = Setting { upstreams: vec![upstream(vec![server.clone()])], ..Setting::default() };
        let near = house(setting.clone(), roots.clone()).await;
        assert_eq!(address(near.plain, "a.far").await.pair(), ok([192, 0, 2, 1]), "{server}");
        assert_eq!(address(near.plain, "b.far").await.pair(), ok([192, 0, 2, 2]));
        assert_eq!(address(near.plain, "c.far").await.code, Rcode::NO_NAME);
        near.end().await;

        // Somebody with another certificate is not asked, and the next one is.
        let (_, others) = certificate("dns.example");
        let honest = Other::start(&[zone("far"), v4("a.far", [192, 0, 2, 7])]).await;
        let near = house(setting, others.clone()).await;
        let said = address(near.plain, "a.far").await;
        assert_eq!((said.code, said.why), (Rcode::FAILED, Some(Why::Unreachable as u16)));
        let servers = vec![server, honest.server()];
        near.handle
            .change(Setting { upstreams: vec![upstream(servers)], ..Setting::default() })
            .await
            .unwrap();
        assert_eq!(address(near.plain, "a.far").await.pair(), ok([192, 0, 2, 7]));
        near.end().await;
    }
    far.end().await;
}

/// Carries bytes to a server, until it is told to carry no more on the connections that there are.
struct Wire {
    address: SocketAddr,
    /// How many have come, and how many of these are carried no more.
    accepted: Arc<AtomicUsize>,
    frozen: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Wire {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, frozen) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (mut tasks, cold) = (JoinSet::new(), Arc::clone(&frozen));
        let accepted = Arc::new(AtomicUsize::new(0));
        let came = Arc::clone(&accepted);
        tasks.spawn(async move {
            let mut carried = JoinSet::new();
            for number in 1.. {
                let (near, _) = listener.accept().await.unwrap();
                came.store(number, Ordering::SeqCst);
                let far = TcpStream::connect(server).await.unwrap();
                let (near, far) = (near.into_split(), far.into_split());
                for (mut from, mut to) in [(near.0, far.1), (far.0, near.1)] {
                    let cold = Arc::clone(&cold);
                    carried.spawn(async move {
                        let mut room = vec![0; 4096];
                        while let Ok(len @ 1..) = from.read(&mut room).await {
                            if cold.load(Ordering::SeqCst) >= number {
                                std::future::pending::<()>().await;
                            }
                            to.write_all(&room[..len]).await.unwrap();
                        }
                    });
                }
            }
        });
        Self { address, accepted, frozen, _tasks: tasks }
    }

    /// As a router does that forgets its connections; later ones are carried.
    fn forget(&self) {
        self.frozen.store(self.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_goes_silent_is_left_for_a_new_one() {
    let (tls, roots) = certificate("dns.example");
    let rows = vec![zone("far"), v4("a.far", [192, 0, 2, 1]), v4("b.far", [192, 0, 2, 2])];
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let setting = Setting { rows, ..Setting::default() };
    let far = House::serving(setting, folder, &[Speaks::Tls], Some(tls), Roots::default()).await;
    let wire = Wire::to(far.plain).await;
    let servers = vec![Server { address: wire.address, way: Way::Tls("dns.example".to_owned()) }];
    let upstreams = vec![Upstream { servers, ..Upstream::default() }];
    let near = house(Setting { upstreams, ..Setting::default() }, roots).await;
    assert_eq!(address(near.plain, "a.far").await.pair(), ok([192, 0, 2, 1]));
    wire.forget();
    until("a new one", async || address(near.plain, "b.far").await.pair() == ok([192, 0, 2, 2])).await;
    near.end().await;
    far.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_nothing_is_served_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let listen = vec![crate::Listen::at(super::house::at("127.0.0.1:0"), Speaks::Tls)];
    let config = crate::Config {
        listen,
        tls: None,
        parties: Arc::new(|_| None),
        clock: Arc::new(|| freehold_names::LocalTime::at(freehold_wire::Millis(0), 0)),
        cache: 1 << 16,
        folder: folder.path().to_owned(),
        roots: Roots::default(),
        names_max: 10,
        setting: Setting::default(),
    };
    let error = crate::Resolver::start(config).await.unwrap_err();
    assert!(matches!(error, crate::StartError::NoCertificate(_)), "{error}");
    assert!(!error.remedy().is_empty());
}

#[test]
fn servers_are_written_and_read() {
    for (text, whole) in [
        ("192.0.2.1", "192.0.2.1:53"),
        ("192.0.2.1:5353", "192.0.2.1:5353"),
        ("2001:db8::1", "[2001:db8::1]:53"),
        ("tls://dns.example@192.0.2.1", "tls://dns.example@192.0.2.1:853"),
        ("https://dns.example/q@[2001:db8::1]:8443", "https://dns.example/q@[2001:db8::1]:8443"),
        ("https://dns.example@192.0.2.1", "https://dns.example/dns-query@192.0.2.1:443"),
    ] {
        let server: Server = text.parse().unwrap();
        assert_eq!(server.to_string(), whole);
        assert_eq!(whole.parse(), Ok(server));
    }
    for bad in ["", "dns.example", "tls://192.0.2.1", "tls://a b@192.0.2.1", "https://dns.example/dns-query"]
    {
        assert!(bad.parse::<Server>().is_err(), "{bad}");
    }
}

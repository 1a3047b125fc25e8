use std::time::Duration;

use freehold_gateway::{
    Access, Announced, Dial, Host, Judgement, Line, Pass, Service, Target, Upstream, read_announced,
};
use freehold_wire::ServiceId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::around::{
    CLOUD, Certificate, HERE, House, Keeper, LONG, Server, cloud, curl, said, settings, shake, task, until,
};

fn passed(at: std::net::SocketAddr, announce: bool) -> Service {
    Service {
        id: ServiceId::from_bytes([9; 32]),
        hosts: vec![Host::parse("own.test").unwrap()],
        access: Access::Public,
        target: Target::Pass(Pass {
            upstreams: vec![Upstream::Tcp(at)],
            announce,
            quiet: Duration::from_mins(1),
            proofs: None,
        }),
    }
}

/// Two doors: a friend's, which has the address and no key, and the owner's, which has the key.
#[tokio::test]
async fn a_friends_door_sees_the_name_and_the_owner_sees_the_client() {
    let echo = Server::echo().await;
    let owners =
        House::with(settings(), Keeper { believes: true, ..Keeper::default() }, vec![cloud(&[echo.at])]);
    let mut to_owner = passed(owners.at(), true);
    to_owner.hosts = vec![Host::parse(CLOUD).unwrap()];
    let here = Server::echo().await;
    let friends = House::open(vec![to_owner, crate::around::service(2, "other.test", &[here.at], |_| {})]);
    let port = friends.at().port();
    let resolve = format!("{CLOUD}:{port}:127.0.0.1");
    // The owner's certificate, by the friend's address, from an address that the owner cannot see itself.
    let ca = owners.certificate.pem.path().to_str().unwrap();
    let arguments = ["--interface", "127.0.0.77", "--cacert", ca, "--resolve", &resolve];
    for version in ["--http1.1", "--http2"] {
        let url = format!("https://{CLOUD}:{port}/");
        let seen = curl(&[&arguments[..], &[version, &url]].concat()).await;
        assert_eq!((seen.exit, seen.status), (0, 200), "{seen:?}");
        assert!(seen.text().contains("x-forwarded-for: 127.0.0.77\n"), "{}", seen.text());
    }
    // What the friend publishes itself goes on beside it.
    assert_eq!(friends.curl("other.test", "/", &[]).await.status, 200);
    let shown = friends.door.counted().into_iter().find(|one| one.service == ServiceId::from_bytes([9; 32]));
    assert!(shown.unwrap().shown.sent > 0);
    // Who is believed has to say for whom it speaks.
    assert!(shake(owners.at(), &owners.certificate, CLOUD, &["h2"]).await.is_err());
}

/// What an authority asks without TLS reaches whoever keeps the key, and nothing else without TLS does.
#[tokio::test]
async fn an_authoritys_question_is_passed_on_to_who_keeps_the_key_and_nothing_else() {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = std::sync::Arc::clone(&asked);
    let home = Server::new(move |request| {
        let path = request.uri().path().to_owned();
        let token = path.rsplit('/').next().unwrap_or_default().to_owned();
        noted.lock().unwrap().push(token.clone());
        async move {
            match token.as_str() {
                "known" => said(200, "known.of-the-key"),
                "page" => said(200, "<html>"),
                "large" => said(200, format!("large.{}", "x".repeat(4096))),
                "others" => said(200, "any.of-the-key"),
                _ => said(404, "no.such"),
            }
        }
    })
    .await;
    let mut to_home = passed(HERE, true);
    let Target::Pass(pass) = &mut to_home.target else { unreachable!() };
    pass.proofs = Some(Upstream::Tcp(home.at));
    let house = House::open(vec![to_home]);
    let port = house.plain_at().port();
    let ask = async |path: &str| {
        let resolve = format!("own.test:{port}:127.0.0.1");
        curl(&["--path-as-is", "--resolve", &resolve, &format!("http://own.test:{port}{path}")]).await
    };
    let challenge = "/.well-known/acme-challenge/";
    let seen = ask(&format!("{challenge}known")).await;
    assert_eq!((seen.status, seen.text()), (200, "known.of-the-key".into()));
    for token in ["page", "large", "others", "unknown"] {
        assert_eq!(ask(&format!("{challenge}{token}")).await.status, 404, "{token}");
    }
    for path in ["/", "/known", &format!("{challenge}../known"), &format!("{challenge}kn%6fwn"), challenge] {
        assert_eq!(ask(path).await.status, 308, "{path}");
    }
    assert_eq!(*asked.lock().unwrap(), ["known", "page", "large", "others", "unknown"]);
    house.say(Judgement::Hidden);
    assert_eq!(ask(&format!("{challenge}known")).await.status, 404);
    assert_eq!(asked.lock().unwrap().len(), 5, "it was asked for somebody who may not come");
}

#[tokio::test]
async fn what_is_passed_on_is_as_it_came_and_ends_with_its_right() {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let at = listener.local_addr().unwrap();
    let own = Certificate::of(&["own.test"]);
    let key = std::sync::Arc::clone(&own.key);
    let _server = task(async move {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(key)));
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 28];
        stream.read_exact(&mut head).await.unwrap();
        assert!(matches!(read_announced(&head), Announced::Client { len: 28, .. }));
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut said = [0; 5];
        while stream.read_exact(&mut said).await.is_ok() {
            stream.write_all(&said).await.unwrap();
        }
    });
    let house = House::open(vec![passed(at, true)]);
    let mut stream = shake(house.at(), &own, "own.test", &[]).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"hello").await.unwrap();
        let mut said = [0; 5];
        timeout(LONG, stream.read_exact(&mut said)).await.unwrap().unwrap();
        assert_eq!(&said, b"hello");
    }
    assert_eq!(house.shown().tunnels, 1);
    house.say(Judgement::Hidden);
    let mut rest = Vec::new();
    drop(timeout(LONG, stream.read_to_end(&mut rest)).await.expect("cut"));
    until("the end", || house.shown().tunnels == 0).await;
    // And nobody comes in anew.
    assert!(shake(house.at(), &own, "own.test", &[]).await.is_err());
}

/// Takes eight bytes, and no more.
struct Full(std::sync::Mutex<Vec<tokio::io::DuplexStream>>);

#[async_trait::async_trait]
impl Dial for Full {
    async fn dial(&self, _: &Upstream) -> std::io::Result<Line> {
        let (near, far) = tokio::io::duplex(8);
        self.0.lock().unwrap().push(far);
        Ok(Line::Other(Box::new(near)))
    }
}

#[tokio::test]
async fn a_service_that_reads_nothing_holds_its_place_no_longer_than_others() {
    for ends in [true, false] {
        let mut service = passed(HERE, true);
        let Target::Pass(pass) = &mut service.target else { unreachable!() };
        pass.quiet = if ends { Duration::from_mins(5) } else { Duration::from_millis(300) };
        let house = House::reaching(Full(std::sync::Mutex::default()), vec![service]);
        let (at, certificate) = (house.at(), Certificate::of(&["own.test"]));
        let client = task(async move {
            assert!(shake(at, &certificate, "own.test", &[]).await.is_err());
        });
        if ends {
            until("it is carried", || house.shown().tunnels == 1).await;
            house.say(Judgement::Hidden);
        }
        timeout(LONG, client).await.expect("cut").unwrap();
        until("the end", || house.shown().tunnels == 0).await;
    }
}

//! HTTP/3: the same door by QUIC, asked by a client that is not ours.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use freehold_gateway::{Door, Judgement, Table};
use h3::client::SendRequest;
use h3_quinn::quinn::{self, Endpoint};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::around::{
    CLOUD, Certificate, HERE, House, LONG, Server, Task, cloud, handed, said, service, settings, task, until,
};

/// A client's connection.
struct Web {
    requests: SendRequest<h3_quinn::OpenStreams, Bytes>,
    connection: quinn::Connection,
    endpoint: Endpoint,
    _driver: Task,
}

async fn connect(at: SocketAddr, certificate: &Certificate, name: &str) -> Result<Web, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = Endpoint::client(HERE).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    let connection = endpoint.connect(at, name).unwrap().await.map_err(|error| error.to_string())?;
    let (mut driver, requests) =
        h3::client::new(h3_quinn::Connection::new(connection.clone())).await.unwrap();
    let driver = task(async move { drop(poll_fn(|cx| driver.poll_close(cx)).await) });
    Ok(Web { requests, connection, endpoint, _driver: driver })
}

impl House {
    async fn http3(&self) -> Web {
        connect(self.at(), &self.certificate, CLOUD).await.unwrap()
    }
}

fn request(method: Method, path: &str, lines: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(format!("https://{CLOUD}{path}"));
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

impl Web {
    /// Asks, and hears the whole answer.
    async fn ask(&mut self, request: Request<()>, body: &[u8]) -> Result<(Response<()>, Vec<u8>), String> {
        let asked = async {
            let mut stream = self.requests.send_request(request).await?;
            for piece in body.chunks(64 << 10) {
                stream.send_data(Bytes::copy_from_slice(piece)).await?;
            }
            stream.finish().await?;
            let answer = stream.recv_response().await?;
            let mut all = Vec::new();
            while let Some(mut piece) = stream.recv_data().await? {
                all.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
            }
            Ok::<_, h3::error::StreamError>((answer, all))
        };
        timeout(LONG, asked).await.expect("an answer").map_err(|error| error.to_string())
    }

    async fn get(&mut self, path: &str) -> (StatusCode, String) {
        let (answer, text) = self.ask(request(Method::GET, path, &[]), b"").await.unwrap();
        (answer.status(), String::from_utf8(text).unwrap())
    }
}

#[tokio::test]
async fn the_service_hears_the_same_as_from_others() {
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[echo.at])]);
    assert!(house.door.no_http3().is_none());
    let mut web = house.http3().await;
    let forged = [("x-forwarded-for", "10.9.8.7"), ("forwarded", "for=x"), ("content-length", "5")];
    let (answer, text) = web.ask(request(Method::POST, "/a/b?c=d", &forged), b"hello").await.unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(answer.status(), 200);
    let expected = format!(
        "POST /a/b?c=d HTTP/1.1\ncontent-length: 5\nforwarded: for=127.0.0.1;host=\"{CLOUD}\";proto=https\n\
         host: {CLOUD}\nx-forwarded-for: 127.0.0.1\nx-forwarded-host: {CLOUD}\nx-forwarded-proto: https\n\
         x-real-ip: 127.0.0.1\nbody: 5\n"
    );
    assert_eq!(text, expected);
    // Without a length, in pieces; and nothing at all.
    let (_, text) = web.ask(request(Method::POST, "/", &[]), &vec![7; 100_000]).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("transfer-encoding: chunked\n") && text.ends_with("body: 100000\n"), "{text}");
    let (status, text) = web.get("/").await;
    assert!(status == 200 && text.ends_with("body: 0\n") && !text.contains("chunked"), "{text}");
    let (head, text) = web.ask(request(Method::HEAD, "/", &[]), b"").await.unwrap();
    assert!(head.status() == 200 && head.headers().contains_key("content-length") && text.is_empty());
    let shown = house.shown();
    assert_eq!((shown.classes, shown.received, shown.under_way), ([0, 4, 0, 0, 0], 100_005, 0));
    // Those who come by TCP hear of it, and only if it is so.
    let seen = house.curl(CLOUD, "/", &[]).await;
    let said = format!("alt-svc: h3=\":{}\"; ma=86400\r\n", house.at().port());
    assert!(seen.head.contains(&said), "{seen:?}");
    let mut without = settings();
    without.http3 = false;
    let house = House::with(without, crate::around::Keeper::default(), vec![cloud(&[echo.at])]);
    assert!(!house.curl(CLOUD, "/", &[]).await.head.contains("alt-svc"));
}

#[tokio::test]
async fn large_bodies_stream_both_ways_by_quic() {
    let server = Server::new(|request: Request<Incoming>| async move {
        Response::new(request.into_body().map_err(std::io::Error::other).boxed())
    })
    .await;
    let house = House::open(vec![cloud(&[server.at])]);
    let web = house.http3().await;
    let block: Vec<u8> = (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut requests = web.requests.clone();
    let stream = requests.send_request(request(Method::PUT, "/", &[])).await.unwrap();
    let (mut send, mut recv) = stream.split();
    let block2 = block.clone();
    let sending = async {
        for _ in 0..8 {
            send.send_data(Bytes::from(block2.clone())).await.unwrap();
        }
        send.finish().await.unwrap();
    };
    let receiving = async {
        assert_eq!(recv.recv_response().await.unwrap().status(), 200);
        let mut all = Vec::new();
        while let Some(mut piece) = recv.recv_data().await.unwrap() {
            all.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
        }
        all
    };
    let (all, ()) = timeout(LONG, futures::future::join(receiving, sending)).await.unwrap();
    assert!(all.len() == 8 << 20 && all.chunks(1 << 20).all(|chunk| chunk == block));
}

#[tokio::test]
async fn rights_and_limits_are_the_same_by_quic() {
    let endless = Server::new(|request: Request<Incoming>| async move {
        if request.uri() == "/quick" {
            return said(200, "quick");
        }
        let first = futures::stream::once(async { Ok(http_body::Frame::data("first".into())) });
        let endless = futures::StreamExt::chain(first, futures::stream::pending());
        Response::new(http_body_util::StreamBody::new(endless).boxed())
    })
    .await;
    let limited = service(1, CLOUD, &[endless.at], |web| (web.limits.body, web.limits.share) = (Some(10), 1));
    let house = House::open(vec![limited]);
    let mut web = house.http3().await;
    let (large, _) = web.ask(request(Method::POST, "/quick", &[]), b"0123456789a").await.unwrap();
    assert_eq!(large.status(), 413);
    // A client that says another length than it sends, or what only HTTP/1 knows.
    let longer = [("content-length", "3")];
    let answer = web.ask(request(Method::POST, "/quick", &longer), b"01").await;
    assert!(answer.is_err() || answer.unwrap().0.status() == 408);
    for bad in [("transfer-encoding", "chunked"), ("connection", "close")] {
        assert!(web.ask(request(Method::GET, "/quick", &[bad]), b"").await.is_err(), "{bad:?}");
    }
    // One at a time is this client's share; who wants no answer any more holds none.
    let mut first = web.requests.send_request(request(Method::GET, "/", &[])).await.unwrap();
    first.finish().await.unwrap();
    assert_eq!(first.recv_response().await.unwrap().status(), 200);
    assert_eq!(web.get("/quick").await.0, 429);
    first.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
    until("the end of it", || house.shown().under_way == 0).await;
    assert_eq!(web.get("/quick").await, (StatusCode::OK, "quick".to_owned()));
    // A right that ends cuts what is under way.
    let mut second = web.requests.send_request(request(Method::GET, "/", &[])).await.unwrap();
    second.finish().await.unwrap();
    assert_eq!(second.recv_response().await.unwrap().status(), 200);
    house.say(Judgement::Hidden);
    let cut = async { while let Ok(Some(_)) = second.recv_data().await {} };
    timeout(Duration::from_secs(2), cut).await.expect("cut");
    timeout(Duration::from_secs(2), web.connection.closed()).await.expect("closed");
    // Nor is a certificate shown any more.
    let hidden = connect(house.at(), &house.certificate, CLOUD).await.err().unwrap();
    let nothing = connect(house.at(), &house.certificate, "nobody.test").await.err().unwrap();
    assert_eq!(hidden, nothing);
    assert!(connect(house.at(), &house.certificate, "a.wild.test").await.is_ok());
}

#[tokio::test]
async fn one_connection_is_for_one_name_and_one_address() {
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[echo.at])]);
    let mut web = house.http3().await;
    let misled = Request::builder().uri("https://other.test/").body(()).unwrap();
    assert_eq!(web.ask(misled, b"").await.unwrap().0.status(), 421);
    assert_eq!(web.get("/").await.0, 200);
    // Judged by the address, a client that has another one is another client.
    web.endpoint.rebind(std::net::UdpSocket::bind(HERE).unwrap()).unwrap();
    let asked = web.ask(request(Method::GET, "/", &[]), b"");
    assert!(timeout(LONG, asked).await.expect("it ends").is_err());
    assert_eq!(house.http3().await.get("/").await.0, 200);
}

#[tokio::test]
async fn an_address_that_comes_later_speaks_http_3_as_well() {
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[echo.at])]);
    let later = SocketAddr::from(([127, 0, 0, 2], house.at().port()));
    assert!(house.door.listen(&[later], &[], &[]).is_empty());
    let mut web = connect(later, &house.certificate, CLOUD).await.unwrap();
    assert_eq!(web.get("/").await.0, 200);
    // What is there goes on when the address goes, as by TCP.
    assert!(house.door.listen(&[], &[], &[]).is_empty());
    assert_eq!(web.get("/").await.0, 200);
    assert_eq!(house.http3().await.get("/").await.0, 200);
}

#[tokio::test]
async fn where_datagrams_do_not_come_through_nobody_is_told_of_http_3() {
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[echo.at])]);
    let later = SocketAddr::from(([127, 0, 0, 3], house.at().port()));
    assert!(house.door.listen(&[], &[later], &[]).is_empty());
    assert!(std::net::UdpSocket::bind(later).is_ok(), "it hears there all the same");
    assert!(house.curl(CLOUD, "/", &[]).await.head.contains("alt-svc: h3="));
    let told = house.curl(CLOUD, "/", &["--connect-to", "::127.0.0.3:"]).await;
    assert_eq!(told.status, 200);
    assert!(!told.head.contains("alt-svc"), "{}", told.head);
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_gathered() {
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[echo.at])]);
    let web = house.http3().await;
    let (mut send, _recv) = web.connection.open_bi().await.unwrap();
    // A frame of HEADERS that says it has a gigabyte.
    send.write_all(&[1, 0x80 | 0x40, 0, 0, 0, 0x40, 0, 0, 0]).await.unwrap();
    let mut written = 0;
    let flood = async {
        let piece = vec![0; 16 << 10];
        while let Ok(len) = send.write(&piece).await {
            written += len;
        }
    };
    timeout(LONG, flood).await.expect("it is stopped");
    assert!(written < 2 << 20, "{written} were taken");
}

#[tokio::test]
async fn a_door_that_closes_lets_requests_end_by_quic_and_another_may_not_have_its_port() {
    let (gate, came) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (gate, came) = (Arc::clone(&gate), Arc::clone(&came));
        Server::new(move |_| {
            let (gate, came) = (Arc::clone(&gate), Arc::clone(&came));
            async move {
                came.add_permits(1);
                gate.acquire().await.unwrap().forget();
                said(200, vec![7; 1 << 20])
            }
        })
        .await
    };
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[slow.at])]);
    // What is under way ends as it began, over a change of the table too.
    let mut web = house.http3().await;
    let (closed, at) = (web.connection.clone(), house.at());
    let answer = task(async move {
        let (answer, body) = web.ask(request(Method::GET, "/", &[]), b"").await.unwrap();
        assert_eq!((answer.status().as_u16(), body.len()), (200, 1 << 20));
    });
    came.acquire().await.unwrap().forget();
    house.door.swap(Table::new(vec![cloud(&[echo.at])]).unwrap());
    assert!(house.http3().await.get("/").await.1.starts_with("GET /"));
    let closing = task(house.door.close());
    gate.add_permits(1);
    timeout(LONG, answer).await.unwrap().unwrap();
    timeout(LONG, closing).await.expect("it closes").unwrap();
    timeout(LONG, closed.closed()).await.expect("its client is told");

    // Where somebody else has the port by UDP, TCP is served all the same.
    let other = std::net::UdpSocket::bind(at).unwrap();
    let mut again = settings();
    again.https = vec![at];
    let door = Door::open(again, handed(), Table::default()).unwrap();
    let error = door.no_http3().unwrap().to_string();
    assert!(error.contains("for HTTP/3") && error.contains("ss -lunp"), "{error}");
    drop(other);
}

use std::time::{Duration, Instant};

use freehold_gateway::{OpenError, Slowest};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::around::{
    CLOUD, HERE, House, Keeper, LONG, Server, Task, cloud, get1, said, service, settings, task,
};

/// A service that reads a head and then writes this, once for each connection.
async fn raw(answer: &'static [u8]) -> (std::net::SocketAddr, Task) {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let at = listener.local_addr().unwrap();
    let serve = async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            // What is not read makes the kernel say RST, which may overtake the answer.
            drop(stream.read(&mut head).await);
            drop(stream.write_all(answer).await);
        }
    };
    (at, task(serve))
}

#[tokio::test]
async fn a_service_that_dies_within_an_answer_leaves_no_answer_that_looks_whole() {
    let (sized, _one) = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
    let (chunked, _two) = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
    for at in [sized, chunked] {
        let house = House::open(vec![cloud(&[at])]);
        for version in ["--http1.1", "--http2"] {
            let seen = house.curl(CLOUD, "/", &[version]).await;
            assert!(seen.exit != 0, "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_service_that_is_away_or_speaks_no_http_is_told_of() {
    let away = TcpListener::bind(HERE).await.unwrap().local_addr().unwrap();
    let (silent, _one) = raw(b"").await;
    let (garbage, _two) = raw(b"SSH-2.0-x\r\n\r\n").await;
    let (unasked, _three) = raw(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").await;
    for at in [away, silent, garbage, unasked] {
        let house = House::open(vec![cloud(&[at])]);
        let seen = house.curl(CLOUD, "/", &[]).await;
        assert_eq!((seen.exit, seen.status), (0, 502), "{seen:?}");
        assert_eq!(house.shown().failed, 1);
    }
}

#[tokio::test]
async fn another_address_is_asked_where_one_is_away() {
    let away = TcpListener::bind(HERE).await.unwrap().local_addr().unwrap();
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[away, echo.at])]);
    for _ in 0..4 {
        assert_eq!(house.curl(CLOUD, "/", &["-d", "body"]).await.status, 200);
    }
}

/// The connection that the door kept has been closed meanwhile: the client does not hear of it.
#[tokio::test]
async fn a_kept_connection_that_died_is_nobodys_trouble() {
    let (at, _server) = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    let house = House::open(vec![cloud(&[at])]);
    let (mut client, _task) = house.http1().await;
    for _ in 0..20 {
        let answer = client.send_request(get1("/")).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hi");
    }
}

#[tokio::test]
async fn a_service_that_takes_too_long_is_not_waited_for() {
    let server = Server::new(|_| std::future::pending()).await;
    let house = House::open(vec![service(1, CLOUD, &[server.at], |web| {
        web.limits.answer = Duration::from_millis(200);
    })]);
    assert_eq!(house.curl(CLOUD, "/", &[]).await.status, 504);
}

#[tokio::test]
async fn a_client_that_dawdles_is_cut() {
    let mut settings = settings();
    settings.head_within = Duration::from_secs(1);
    let echo = Server::echo().await;
    let patient = service(1, CLOUD, &[echo.at], |web| web.limits.quiet = Duration::from_millis(300));
    let house = House::with(settings, Keeper::default(), vec![patient]);
    let began = Instant::now();
    let mut answer = Vec::new();

    // Before TLS.
    let mut stream = tokio::net::TcpStream::connect(house.at()).await.unwrap();
    stream.write_all(&[0x16, 3]).await.unwrap();
    drop(timeout(LONG, stream.read_to_end(&mut answer)).await.expect("cut"));
    // Within a head, byte by byte.
    let mut stream = house.tls(CLOUD, &["http/1.1"]).await;
    let slow = async {
        for byte in b"GET / HTTP/1.1\r\nHost: cloud.test\r\nX: 0123456789".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, slow).await.expect("cut");
    // Within a body, byte by byte.
    let slowest = Some(Slowest { each_second: 1000, grace: Duration::from_secs(1) });
    let hasty = service(1, CLOUD, &[echo.at], |web| web.limits.slowest = slowest);
    let slow = House::open(vec![hasty]);
    let mut stream = slow.tls(CLOUD, &["http/1.1"]).await;
    let head = format!("POST / HTTP/1.1\r\nHost: {CLOUD}\r\nContent-Length: 1000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let dawdle = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let heard = async {
        let mut answer = [0; 13];
        timeout(LONG, read.read_exact(&mut answer)).await.expect("told").unwrap();
        answer
    };
    tokio::select! {
        () = dawdle => panic!("cut before it was told"),
        answer = heard => assert_eq!(&answer, b"HTTP/1.1 408 "),
    }
    // Who sends as fast as it can is not hurried, however long that takes.
    let all = slow.curl(CLOUD, "/", &["-d", &"x".repeat(20_000), "--limit-rate", "20000"]).await;
    assert_eq!(all.status, 200, "{all:?}");
    // Not at all.
    let mut stream = house.tls(CLOUD, &["http/1.1"]).await;
    let head = format!("POST / HTTP/1.1\r\nHost: {CLOUD}\r\nContent-Length: 10\r\n\r\nhalf");
    stream.write_all(head.as_bytes()).await.unwrap();
    answer.clear();
    drop(timeout(LONG, stream.read_to_end(&mut answer)).await.expect("cut"));
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    assert!(began.elapsed() < LONG);
}

#[tokio::test]
async fn heads_have_a_size() {
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[echo.at])]);
    let long = format!("X-Long: {}", "x".repeat(80 << 10));
    for version in ["--http1.1", "--http2"] {
        let seen = house.curl(CLOUD, "/", &[version, "-H", &long]).await;
        assert!(seen.status != 200, "{seen:?}");
    }
    assert_eq!(house.curl(CLOUD, "/", &["-H", &long[..8 << 10]]).await.status, 200);
    let many: Vec<String> = (0..200).map(|n| format!("X-{n}: y")).collect();
    let many: Vec<&str> = many.iter().flat_map(|line| ["-H", line.as_str()]).collect();
    let seen = house.curl(CLOUD, "/", &[&["--http1.1"], &many[..]].concat()).await;
    assert_eq!(seen.status, 431, "{seen:?}");
}

#[tokio::test]
async fn no_more_than_so_many_are_under_way() {
    let (enter, mut entered) = tokio::sync::mpsc::channel(1);
    let server = Server::new(move |_| {
        let enter = enter.clone();
        async move {
            enter.send(()).await.unwrap();
            std::future::pending().await
        }
    })
    .await;
    let house = House::open(vec![service(1, CLOUD, &[server.at], |web| web.limits.at_once = 1)]);
    let (mut client, _task) = house.http2().await;
    let first = client.send_request(crate::around::get("/"));
    let second = async {
        entered.recv().await.unwrap();
        house.curl(CLOUD, "/", &[]).await
    };
    let seen = tokio::select! {
        _ = first => panic!("nobody answers"),
        seen = second => seen,
    };
    assert_eq!((seen.status, house.shown().busy), (503, 1));
}

/// However many connections it has: others have their places.
#[tokio::test]
async fn one_client_does_not_take_all_places() {
    let (enter, mut entered) = tokio::sync::mpsc::channel(8);
    let server = Server::new(move |request: http::Request<hyper::body::Incoming>| {
        let enter = enter.clone();
        async move {
            if request.uri() == "/slow" {
                enter.send(()).await.unwrap();
                std::future::pending::<()>().await;
            }
            said(200, "quick")
        }
    })
    .await;
    let keeper = Keeper { believes: true, ..Keeper::default() };
    let house = House::with(settings(), keeper, vec![]);
    let shared = service(1, CLOUD, &[server.at], |web| (web.limits.at_once, web.limits.share) = (4, 3));
    house.door.swap(freehold_gateway::Table::new(vec![shared]).unwrap());
    // Two clients, who come by a gateway that speaks for them.
    let gateway = |from: &'static str| forward_as(house.at(), from);
    let ((one, _one), (other, _other)) = (gateway("192.0.2.1:1").await, gateway("192.0.2.2:1").await);
    let at = |port: u16| format!("{CLOUD}:{port}:127.0.0.1");
    let ca = house.certificate.pem.path().to_str().unwrap().to_owned();
    let ask = async |port: u16, path: &str| {
        let url = format!("https://{CLOUD}:{port}{path}");
        crate::around::curl(&["--cacert", &ca, "--resolve", &at(port), &url]).await.status
    };
    let slow = futures::future::join3(ask(one, "/slow"), ask(one, "/slow"), ask(one, "/slow"));
    let others = async {
        for _ in 0..3 {
            entered.recv().await.unwrap();
        }
        assert_eq!(ask(one, "/").await, 429);
        assert_eq!(ask(other, "/").await, 200);
    };
    tokio::select! {
        _ = slow => panic!("nobody answers"),
        () = others => {}
    }
    assert_eq!(house.shown().busy, 1);
}

/// What a gateway does: says who comes, and passes all on.
async fn forward_as(to: std::net::SocketAddr, from: &'static str) -> (u16, Task) {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async move {
        let mut open = Vec::new();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            open.push(task(async move {
                let mut door = tokio::net::TcpStream::connect(to).await.unwrap();
                let said = freehold_gateway::announce(from.parse().unwrap(), to);
                door.write_all(&said).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut client, &mut door).await);
            }));
        }
    };
    (port, task(serve))
}

/// The workers share their ports with each other, and with nobody else.
#[tokio::test]
async fn a_second_door_at_the_same_port_is_told_so() {
    let first = House::open(vec![]);
    let (https, http) = (first.at(), first.plain_at());
    for (https, http) in [(https, HERE), (HERE, http)] {
        let mut again = settings();
        (again.https, again.http) = (vec![https], vec![http]);
        let handed = crate::around::handed();
        let error =
            freehold_gateway::Door::open(again, handed, freehold_gateway::Table::default()).unwrap_err();
        let OpenError::Listen { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("ss -ltnp"), "{error}");
    }
    first.door.close().await;
    let mut again = settings();
    (again.https, again.http) = (vec![https], vec![http]);
    assert!(
        freehold_gateway::Door::open(again, crate::around::handed(), freehold_gateway::Table::default())
            .is_ok()
    );
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_cut() {
    let mut settings = settings();
    settings.stall = Duration::from_millis(300);
    let server = Server::new(|_| async { said(200, vec![0; 64 << 20]) }).await;
    let house = House::with(settings, Keeper::default(), vec![cloud(&[server.at])]);
    let mut stream = house.tls(CLOUD, &["http/1.1"]).await;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {CLOUD}\r\n\r\n").as_bytes()).await.unwrap();
    crate::around::until("the request", || house.shown().sent > 0).await;
    crate::around::until("the cut", || house.shown().under_way == 0).await;
    let mut taken = Vec::new();
    drop(timeout(LONG, stream.read_to_end(&mut taken)).await.unwrap());
    assert!(taken.len() < 64 << 20);
}

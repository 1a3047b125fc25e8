use std::time::{Duration, Instant};

use freehold_gateway::{Judgement, SignOn, Table, Upstream};
use http::{HeaderName, HeaderValue, header};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::around::{CLOUD, House, LONG, Seen, Server, cloud, curl, get, get1, said, service};

async fn plainly(house: &House, host: &str) -> Seen {
    let port = house.plain_at().port();
    let resolve = format!("{host}:{port}:127.0.0.1");
    curl(&["--resolve", &resolve, &format!("http://{host}:{port}/")]).await
}

#[tokio::test]
async fn who_may_not_know_sees_what_is_seen_where_nothing_is() {
    let echo = Server::echo().await;
    let wild = service(2, "a.wild.test", &[echo.at], |_| {});
    let house = House::open(vec![cloud(&[echo.at]), wild]);
    house.say(Judgement::Hidden);
    // One certificate is for all names there, so it says nothing of this one.
    let nothing = house.curl("b.wild.test", "/", &[]).await;
    let hidden = house.curl("a.wild.test", "/", &[]).await;
    assert_eq!((hidden.status, hidden.text()), (404, nothing.text()));
    // One that has the name is not shown.
    let nothing = house.curl("nobody.test", "/", &["-k"]).await;
    let hidden = house.curl(CLOUD, "/", &["-k"]).await;
    assert!(hidden.exit != 0 && hidden.status == 0, "{hidden:?}");
    assert_eq!((hidden.exit, hidden.trouble), (nothing.exit, nothing.trouble));
    // Nor is anything said without TLS.
    let nothing = plainly(&house, "nobody.test").await;
    let hidden = plainly(&house, CLOUD).await;
    assert_eq!((hidden.status, hidden.text()), (404, nothing.text()));
    // A connection that was made before is told the same.
    house.say(Judgement::Allowed);
    let (mut client, _task) = house.http1().await;
    house.say(Judgement::Hidden);
    let answer = client.send_request(get1("/")).await.unwrap();
    assert_eq!(answer.status(), 404);
    house.say(Judgement::Refused("Only machines of the realm come in here.".into()));
    let refused = house.curl(CLOUD, "/", &[]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("Only machines of the realm"), "{refused:?}");
    assert_eq!(plainly(&house, CLOUD).await.status, 308);
    assert_eq!(house.shown().turned_away, 2);
    let seen = house.keeper.seen.lock().unwrap().clone();
    assert!(seen.iter().all(|client| client.from.ip().is_loopback()));
    assert!(seen.iter().all(|client| client.to == house.at() || client.to == house.plain_at()));
}

/// An answer without end, on a connection that is there.
#[tokio::test]
async fn a_right_that_ends_cuts_what_is_under_way() {
    let server = Server::new(|_| async {
        let first = futures::stream::once(async { Ok(http_body::Frame::data("first".into())) });
        let endless = futures::StreamExt::chain(first, futures::stream::pending());
        http::Response::new(http_body_util::StreamBody::new(endless).boxed())
    })
    .await;
    let house = House::open(vec![cloud(&[server.at])]);
    for gone in [false, true] {
        let (mut client, _task) = house.http2().await;
        let mut answer = client.send_request(get("/")).await.unwrap();
        assert!(answer.frame().await.unwrap().is_ok());
        // Judged again, and allowed: it goes on.
        house.door.judge_again();
        assert!(timeout(Duration::from_millis(200), answer.frame()).await.is_err());
        let began = Instant::now();
        if gone {
            house.door.swap(Table::new(vec![]).unwrap());
        } else {
            house.say(Judgement::Hidden);
        }
        let end = timeout(LONG, answer.frame()).await.expect("cut");
        assert!(end.is_none_or(|frame| frame.is_err()));
        assert!(began.elapsed() < Duration::from_secs(2));
        house.say(Judgement::Allowed);
    }
}

async fn sign_on() -> Server {
    Server::new(|request: http::Request<hyper::body::Incoming>| async move {
        assert_eq!(request.method(), "GET");
        assert_eq!(request.uri(), "/verify");
        let headers = request.headers();
        assert_eq!(headers.get("x-forwarded-host").unwrap().to_str().unwrap().split(':').next(), Some(CLOUD));
        assert_eq!(headers.get(header::HOST).unwrap(), "auth.test");
        let about = format!("{:?} {:?}", headers["x-forwarded-method"], headers["x-forwarded-uri"]);
        if headers.get(header::COOKIE).is_some_and(|cookie| cookie == "session=good") {
            let mut said = said(204, "");
            said.headers_mut().insert("remote-user", HeaderValue::from_static("ada"));
            said.headers_mut().insert("x-private", HeaderValue::from_static("not for the service"));
            return said;
        }
        if headers.get(header::COOKIE).is_some_and(|cookie| cookie == "session=mute") {
            return said(200, "");
        }
        let mut said = said(302, about);
        said.headers_mut().insert(header::LOCATION, HeaderValue::from_static("https://auth.test/"));
        said
    })
    .await
}

#[tokio::test]
async fn only_who_has_signed_on_gets_through() {
    let (auth, echo) = (sign_on().await, Server::echo().await);
    let hook = |at| SignOn {
        upstream: Upstream::Tcp(at),
        host: "auth.test".to_owned(),
        path: "/verify".to_owned(),
        copy: vec![HeaderName::from_static("remote-user"), HeaderName::from_static("remote-groups")],
        within: Duration::from_secs(5),
    };
    let house = House::open(vec![service(1, CLOUD, &[echo.at], |web| web.sign_on = Some(hook(auth.at)))]);
    let sent_away = house.curl(CLOUD, "/wish?x=1", &["-X", "DELETE"]).await;
    assert_eq!((sent_away.status, sent_away.text().as_str()), (302, "\"DELETE\" \"/wish?x=1\""));
    assert!(sent_away.head.contains("location: https://auth.test/\r\n"));
    let forged = ["-H", "Remote-User: root", "-H", "Remote_Groups: admins", "-H", "Remote-Groups: admins"];
    for version in ["--http1.1", "--http2"] {
        let signed = ["-b", "session=good", "-d", "body", version];
        let seen = house.curl(CLOUD, "/", &[&signed[..], &forged].concat()).await;
        assert_eq!(seen.status, 200, "{seen:?}");
        assert!(seen.text().contains("remote-user: ada\n"), "{}", seen.text());
        assert!(seen.text().contains("body: 4\n"), "{}", seen.text());
        assert!(!seen.text().contains("admins") && !seen.text().contains("private"), "{}", seen.text());
    }
    // Nor does a client take it out, by saying that it is for the next machine only.
    let hidden = ["-b", "session=good", "--http1.1", "-H", "Connection: close, Remote-User"];
    let seen = house.curl(CLOUD, "/", &hidden).await;
    assert!(seen.text().contains("remote-user: ada\n"), "{}", seen.text());
    // What says yes and not to whom is no sign-on.
    assert_eq!(house.curl(CLOUD, "/", &["-b", "session=mute"]).await.status, 502);
    // Without it nobody is let in.
    let away = tokio::net::TcpListener::bind(crate::around::HERE).await.unwrap().local_addr().unwrap();
    let shut = service(1, CLOUD, &[echo.at], |web| web.sign_on = Some(hook(away)));
    house.door.swap(Table::new(vec![shut]).unwrap());
    assert_eq!(house.curl(CLOUD, "/", &["-b", "session=good"]).await.status, 503);
}

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use freehold_gateway::{OpenError, announce};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::around::{CLOUD, House, Keeper, Server, cloud, curl, settings, shake, until};

/// A port of another of this machine's addresses that was free a moment ago.
fn elsewhere() -> SocketAddr {
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
    std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn it_listens_where_it_is_told_and_no_longer() {
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[echo.at])]);
    let (secure, plain) = (elsewhere(), elsewhere());
    let others = TcpListener::bind((secure.ip(), 0)).await.unwrap();
    let taken = others.local_addr().unwrap();
    let failed = house.door.listen(&[secure, taken], &[], &[plain]);
    assert!(matches!(failed.as_slice(), [OpenError::Listen { at, .. }] if *at == taken), "{failed:?}");

    let (ca, port) = (house.certificate.pem.path().to_str().unwrap(), secure.port());
    let resolve = format!("{CLOUD}:{port}:127.0.0.9");
    let url = format!("https://{CLOUD}:{port}/");
    let insist = ["--retry", "9", "--retry-connrefused"];
    let ask =
        || async { curl(&[&insist[..], &["--cacert", ca, "--resolve", &resolve, &url]].concat()).await };
    assert_eq!(ask().await.status, 200);
    assert_eq!(curl(&[&insist[..], &[&format!("http://{plain}/")]].concat()).await.status, 404);
    // Said again it stays, and who is there stays.
    let stays = shake(secure, &house.certificate, CLOUD, &["h2"]).await.unwrap();
    assert!(house.door.listen(&[secure], &[], &[]).is_empty());
    assert_eq!(ask().await.status, 200);
    assert!(house.door.listen(&[], &[], &[]).is_empty());
    let mut tries = 0;
    while TcpStream::connect(secure).await.is_ok() {
        tries += 1;
        assert!(tries < 3000, "it listens still");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(stays);
    assert_eq!(house.curl(CLOUD, "/", &[]).await.status, 200, "where it was opened it goes on");
    until("the port is free", || std::net::TcpListener::bind(secure).is_ok()).await;
}

#[tokio::test]
async fn who_may_speak_for_others_may_speak_for_itself() {
    let echo = Server::echo().await;
    let house = House::with(settings(), Keeper { may: true, ..Keeper::default() }, vec![cloud(&[echo.at])]);
    assert_eq!(house.curl(CLOUD, "/", &[]).await.status, 200);
    // For those that it is believed to know, and nobody else.
    for (from, is_believed) in [("192.0.2.7:5", true), ("127.0.0.66:5", false)] {
        let mut stream = TcpStream::connect(house.at()).await.unwrap();
        let said = announce(from.parse().unwrap(), "192.0.2.1:443".parse().unwrap());
        stream.write_all(&said).await.unwrap();
        let shaken = house.certificate.shake(stream, CLOUD).await;
        assert_eq!(shaken.is_ok(), is_believed, "{from}");
    }
}

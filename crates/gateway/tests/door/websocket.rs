use std::time::Duration;

use freehold_gateway::Judgement;
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::around::{CLOUD, HERE, House, Keeper, LONG, Task, cloud, settings, task, until};

/// A service that says what is said to it.
async fn echo() -> (std::net::SocketAddr, Task) {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let at = listener.local_addr().unwrap();
    let serve = async move {
        let mut open = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            open.push(task(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                        return;
                    }
                }
            }));
        }
    };
    (at, task(serve))
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>;

async fn open(house: &House) -> Socket {
    let stream = house.tls(CLOUD, &["http/1.1"]).await;
    let (socket, answer) =
        tokio_tungstenite::client_async(format!("wss://{CLOUD}/live"), stream).await.unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

#[tokio::test]
async fn a_websocket_carries_both_ways_until_one_side_closes() {
    let (at, _server) = echo().await;
    let house = House::open(vec![cloud(&[at])]);
    let mut socket = open(&house).await;
    let large = Message::binary(vec![7; 1 << 20]);
    for message in [Message::text("hello"), large, Message::text("again")] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(timeout(LONG, socket.next()).await.unwrap().unwrap().unwrap(), message);
    }
    assert_eq!(house.shown().tunnels, 1);
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = timeout(LONG, socket.next()).await.unwrap() {}
    drop(socket);
    until("the end", || house.shown().tunnels == 0).await;
    let shown = house.shown();
    assert!(shown.received > 1 << 20 && shown.sent > 1 << 20 && shown.classes[0] == 1, "{shown:?}");
}

#[tokio::test]
async fn a_websocket_ends_with_its_right_or_when_the_door_closes() {
    let (at, _server) = echo().await;
    let mut settings = settings();
    settings.drain = Duration::from_millis(200);
    let house = House::with(settings, Keeper::default(), vec![cloud(&[at])]);
    let mut one = open(&house).await;
    house.say(Judgement::Hidden);
    assert!(!matches!(timeout(LONG, one.next()).await.expect("cut"), Some(Ok(_))));
    house.say(Judgement::Allowed);
    let mut two = open(&house).await;
    house.door.close().await;
    assert!(!matches!(timeout(LONG, two.next()).await.expect("cut"), Some(Ok(_))));
}

//! Noise on every port.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};

use bytes::Bytes;
use freehold_mesh::Channel;

use crate::world::{Node, Realm, id, with_relay};

/// Noise with heads that look like something: QUIC long and short headers, HTTP, TLS.
fn noise() -> Vec<Vec<u8>> {
    let heads: [&[u8]; 8] = [
        b"",
        &[0xc0, 0, 0, 0, 1, 8],
        &[0xff; 6],
        &[0x40],
        b"GET /relay HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 99999999999999\r\n\r\n",
        &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3],
        b"GET /generate_204 HTTP/9.9\r\n",
    ];
    let mut state = 0x9e37_79b9_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let mut all = Vec::new();
    for head in heads {
        for length in [0, 1, 20, 1180, 1400] {
            let tail: Vec<u8> = (0..length).map(|_| random()).collect();
            all.push([head, &tail].concat());
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_every_port_does_no_harm() {
    let realm = Realm::of(&[id(1), id(2)]);
    let mut a = Node::with(with_relay(1), &realm).await;
    let mut b = Node::start(2, &realm).await;
    a.expect(&[&b]).await;
    b.expect(&[&a]).await;
    a.up(b.id()).await;
    b.up(a.id()).await;
    let relay = a.mesh.relay_bound().unwrap();
    let mesh = a.mesh.bound()[0];
    tokio::task::block_in_place(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..20 {
            for bytes in noise() {
                for to in [mesh, relay] {
                    socket.send_to(&bytes, to).unwrap();
                }
            }
        }
        for bytes in noise() {
            let mut stream = TcpStream::connect(relay).unwrap();
            // The relay may hang up before it has read all.
            drop(stream.write_all(&bytes));
        }
    });
    for number in 0..20_u8 {
        a.mesh.send_wait(b.id(), Channel::Log, Bytes::copy_from_slice(&[number])).await.unwrap();
        assert_eq!(b.message(a.id()).await.1[..], [number]);
    }
    assert!(a.told.try_recv().is_err());
    // The relay still answers.
    let answer = tokio::task::block_in_place(|| ask(relay, "/healthz"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn ask(relay: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(relay).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n").unwrap();
    std::io::read_to_string(stream).unwrap()
}

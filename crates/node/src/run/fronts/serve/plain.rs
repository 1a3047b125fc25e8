//! What somebody hears who typed `http://` at the console's port.

use std::io;

use freehold_ports::Stall;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::STALL;

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;
/// As much of a plain request as is read: closing a port on what was not read loses the answer.
const READ: usize = 4096;
const SAID: &str = "This is Freehold's console. It speaks HTTPS: put https:// in front of the address.\n";

/// Shakes hands, or tells who speaks without encryption how to come.
pub(super) async fn shake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> io::Result<TlsStream<Stall<TcpStream>>> {
    let mut first = [0; 1];
    stream.peek(&mut first).await?;
    if first == [HANDSHAKE] {
        return acceptor.accept(Stall::new(stream, STALL)).await;
    }
    tell(stream).await?;
    Err(io::ErrorKind::InvalidData.into())
}

async fn tell(mut stream: TcpStream) -> io::Result<()> {
    let mut asked = [0; READ];
    // Who says nothing, or no HTTP, is owed nothing.
    let read = stream.read(&mut asked).await?;
    if !asked.get(..read).is_some_and(|asked| asked.windows(5).any(|part| part == b"HTTP/")) {
        return Ok(());
    }
    let length = SAID.len();
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close";
    stream.write_all(format!("{head}\r\nContent-Length: {length}\r\n\r\n{SAID}").as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answer(to: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(to).await.unwrap();
        tell(listener.accept().await.unwrap().0).await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        said
    }

    #[tokio::test]
    async fn who_forgets_the_s_is_told() {
        let said = answer(b"GET / HTTP/1.1\r\nHost: localhost:8443\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 400 ") && said.ends_with(SAID), "{said}");
        assert_eq!(answer(b"SSH-2.0-x\r\n").await, "");
    }
}

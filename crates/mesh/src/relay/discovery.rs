//! Tells an endpoint its public address: QUIC whose only message is the address that a packet came
//! from. iroh's own server of it lets in whoever comes, for as long as they like; so connections have
//! places here, and there is nothing to hold but a place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_ports::{Guest, Places, Porter};
use iroh_relay::quic::ALPN_QUIC_ADDR_DISC;
use noq::crypto::rustls::QuicServerConfig;
use noq::{Endpoint, IdleTimeout, Incoming, ServerConfig, VarInt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::self_signed;
use crate::StartError;

/// Honest clients keep one connection for each relay that they know, so that they hear when their
/// address changes; one that has to go makes another.
const PLACES: Places = Places { total: 256, each: 32, reserve: 0, rest: Duration::from_mins(10) };
/// Handshakes that nobody has looked at yet, and what may come with them before.
const WAITING: usize = 64;
const WAITING_BYTES: u64 = 4 << 10;
/// For the handshake.
const SHAKE_WITHIN: Duration = Duration::from_secs(5);
/// Clients say something every 25 s.
const SILENCE_MS: u32 = 35_000;
/// Nothing is ever said on a stream.
const WINDOW: u32 = 1 << 10;
/// What clients end with.
const FINISHED: VarInt = VarInt::from_u32(1);

/// The socket, ready to be served.
pub(super) fn open(at: SocketAddr) -> Result<Endpoint, StartError> {
    let mut tls = self_signed()?;
    tls.alpn_protocols = vec![ALPN_QUIC_ADDR_DISC.to_vec()];
    let tls = QuicServerConfig::try_from(tls).map_err(|e| StartError::Discovery(Box::new(e)))?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.max_incoming(WAITING).incoming_buffer_size(WAITING_BYTES);
    config.incoming_buffer_size_total(WAITING_BYTES * WAITING as u64);
    let mut transport = noq::TransportConfig::default();
    transport
        .max_concurrent_uni_streams(0_u8.into())
        .max_concurrent_bidi_streams(0_u8.into())
        .receive_window(WINDOW.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(SILENCE_MS))))
        .keep_alive_interval(None)
        .send_observed_address_reports(true);
    config.transport_config(Arc::new(transport));
    Endpoint::server(config, at).map_err(|source| super::bind_error(at, source))
}

/// Answers until told to stop.
pub(super) async fn serve(endpoint: Endpoint, stop: CancellationToken) {
    let (porter, connections) = (Porter::new(PLACES), TaskTracker::new());
    loop {
        let incoming = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { break };
        // A place belongs to an address, so it has to be shown first that the address is not forged.
        if !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                tracing::debug!(%error, "asking for another try");
            }
            continue;
        }
        match porter.admit(incoming.remote_address().ip().into()) {
            Some(guest) => drop(connections.spawn(serve_one(incoming, guest, stop.clone()))),
            None => incoming.refuse(),
        }
    }
    endpoint.close(FINISHED, b"");
    connections.close();
    connections.wait().await;
    endpoint.wait_idle().await;
}

async fn serve_one(incoming: Incoming, guest: Guest, stop: CancellationToken) {
    let visit = async {
        let Ok(connecting) = incoming.accept() else { return };
        let Ok(Ok(connection)) = tokio::time::timeout(SHAKE_WITHIN, connecting).await else { return };
        tokio::select! {
            biased;
            _ = connection.closed() => {}
            () = guest.has_to_go() => connection.close(FINISHED, b""),
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = visit => {}
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use noq::crypto::rustls::QuicClientConfig;
    use noq::{ClientConfig, Connection, TransportConfig};

    use super::*;
    use crate::relay::{AnyRelay, provider};

    fn client() -> Endpoint {
        let mut tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyRelay(provider())))
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN_QUIC_ADDR_DISC.to_vec()];
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let mut transport = TransportConfig::default();
        transport.receive_observed_address_reports(true);
        transport.keep_alive_interval(Some(Duration::from_secs(1)));
        config.transport_config(Arc::new(transport));
        let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        client.set_default_client_config(config);
        client
    }

    async fn its_address(connection: &Connection) -> SocketAddr {
        connection.observed_external_addr().next().await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_source_holds_few_places_and_is_still_answered() {
        let house = open("127.0.0.1:0".parse().unwrap()).unwrap();
        let (at, stop) = (house.local_addr().unwrap(), CancellationToken::new());
        let serving = TaskTracker::new();
        serving.spawn(serve(house, stop.clone()));
        serving.close();
        let client = client();
        let mut held = Vec::new();
        for _ in 0..PLACES.each + 5 {
            let connection = client.connect(at, "freehold").unwrap().await.unwrap();
            assert_eq!(its_address(&connection).await, client.local_addr().unwrap());
            held.push(connection);
        }
        let first = held.drain(..5).map(|connection| async move { connection.closed().await });
        let first = tokio::time::timeout(Duration::from_secs(20), futures::future::join_all(first)).await;
        first.expect("those that came first make room");
        assert!(held.iter().all(|connection| connection.close_reason().is_none()));
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), serving.wait()).await.unwrap();
    }
}

//! What can go wrong at the start.

use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;

use freehold_mesh::{Config, Mesh, RelayServe, StartError};

use crate::world::{Node, Realm, config, id, loopback, seed};

async fn refused(config: Config) -> StartError {
    let realm = Realm::of(&[]);
    match Mesh::start(config, Arc::clone(&realm) as _, Arc::clone(&realm) as _, realm).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_type() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let error = refused(Config::new(seed(1), vec![at])).await;
    assert!(matches!(error, StartError::PortInUse(port) if port == at));
    let text = error.to_string();
    assert!(text.contains(&at.port().to_string()) && text.contains("--mesh-port"), "{text}");
}

#[tokio::test]
async fn so_is_the_relays() {
    let held = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    for at in [held.0.local_addr().unwrap(), held.1.local_addr().unwrap()] {
        let mut config = config(1);
        config.relay_serve = Some(RelayServe { bind: at, url: None, connections: 64 });
        let error = refused(config).await;
        assert!(matches!(error, StartError::RelayPortInUse(port) if port == at), "{error:?}");
    }
}

#[tokio::test]
async fn an_address_of_another_machine_and_no_socket_at_all() {
    let elsewhere = "192.0.2.1:0".parse().unwrap();
    let error = refused(Config::new(seed(1), vec![elsewhere])).await;
    assert!(matches!(error, StartError::Bind { at, .. } if at == elsewhere), "{error:?}");
    assert!(matches!(refused(Config::new(seed(1), Vec::new())).await, StartError::Sockets));
    assert!(matches!(refused(Config::new(seed(1), vec![loopback(), loopback()])).await, StartError::Sockets));
}

/// A host may have no IPv6; the start must not depend on it.
#[tokio::test(flavor = "multi_thread")]
async fn both_families_or_as_many_as_there_are() {
    let realm = Realm::of(&[id(1)]);
    let bind = vec!["0.0.0.0:0".parse().unwrap(), "[::]:0".parse().unwrap()];
    let node = Node::with(Config::new(seed(1), bind), &realm).await;
    assert!(node.mesh.bound().iter().any(std::net::SocketAddr::is_ipv4));
    node.stop().await;
}

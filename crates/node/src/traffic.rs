//! What comes from the mesh, to whom it belongs.

use std::sync::Arc;

use freehold_mesh::{Channel, Event, Mesh};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::log::Ask;
use crate::replica;
use crate::shared::Shared;

/// Works until told to stop.
///
/// # Errors
/// If the mesh ended by itself.
pub async fn run(
    shared: Arc<Shared>,
    mesh: Arc<Mesh>,
    mut events: mpsc::Receiver<Event>,
    cancel: CancellationToken,
) -> Result<(), String> {
    loop {
        let event = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            event = events.recv() => event,
        };
        match event {
            Some(Event::Up(node, path)) => {
                tracing::info!(node = %node.short(), ?path, "a node is connected");
                shared.log.tell(Ask::Up(node)).await;
                tell(&shared, replica::Ask::Up(node)).await;
            }
            Some(Event::Down(node, why)) => {
                tracing::info!(node = %node.short(), ?why, "a node is gone");
                shared.log.tell(Ask::Down(node)).await;
                tell(&shared, replica::Ask::Down(node)).await;
            }
            Some(Event::Message(node, Channel::Log, body)) => shared.log.tell(Ask::Heard(node, body)).await,
            Some(Event::Message(node, Channel::Replica, body)) => {
                tell(&shared, replica::Ask::Heard(node, body)).await;
            }
            None => return Err("the mesh ended".to_owned()),
        }
    }
    mesh.shutdown(std::time::Duration::from_secs(5)).await.map_err(|late| late.to_string())
}

async fn tell(shared: &Shared, ask: replica::Ask) {
    if let Some(replica) = shared.replica.get() {
        replica.tell(ask).await;
    }
}

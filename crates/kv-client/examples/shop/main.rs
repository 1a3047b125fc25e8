//! A shop that sells lamps: `cargo run -p freehold-kv-client --example shop -- CONTROL_SOCKET`, with
//! the socket of a node, for instance `~/.local/share/freehold/control.sock`.

mod shop;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let socket = std::env::args_os().nth(1).map(PathBuf::from).context("give the node's control socket")?;
    shop::run(&socket).await
}

//! The console over a pretended node, to look at: `cargo run -p freehold-console --example preview`.
//! `WORLD` is `family` (one machine is away), `calm`, `guest`, `stopped` or `fresh`; `LISTEN` is a loopback address.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use freehold_api::Sessions;
use freehold_crypt::Entropy;

#[path = "../../api/testing/pretend.rs"]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a stand-in"
)]
mod pretend;

/// The same every time: there is nothing to protect.
struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(77).wrapping_add(13);
            *byte = self.0;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let world = match std::env::var("WORLD").as_deref() {
        Ok("fresh") => pretend::World::fresh(),
        Ok("calm") => pretend::World::calm(),
        Ok("guest") => pretend::World::guest(),
        Ok("stopped") => pretend::World::stopped(),
        _ => pretend::World::family(),
    };
    let sessions = Arc::new(Sessions::new("preview", Box::new(Fixed(1))));
    let api = freehold_api::router(Arc::new(pretend::Pretend::new(world)), Arc::clone(&sessions));
    let console = freehold_console::router(api, Arc::clone(&sessions));
    let listen = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    let code = sessions.issue_code(Duration::from_hours(24));
    writeln!(std::io::stdout(), "BASE_URL=http://{} CODE={}", listener.local_addr()?, code.code)?;
    axum::serve(listener, console).await?;
    Ok(())
}

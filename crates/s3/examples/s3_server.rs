//! A front over a vault in a temporary directory (or the one named), for benchmarks and by hand:
//! `cargo run --release -p freehold-s3 --example s3_server -- [port] [directory]`.

#[global_allocator]
static ALLOCATOR: freehold_allocator::Allocator = freehold_allocator::Allocator;

#[path = "../tests/clients/world.rs"]
#[expect(clippy::expect_used, reason = "shared with the tests")]
mod world;

use freehold_s3::Limits;
use tokio_util::sync::CancellationToken;

#[expect(clippy::expect_used, reason = "a tool for developers")]
fn main() {
    freehold_allocator::give_back_soon();
    // As the daemon has it.
    let runtime = tokio::runtime::Builder::new_multi_thread().max_blocking_threads(32).enable_all().build();
    runtime.expect("a runtime").block_on(run());
}

#[expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for developers")]
async fn run() {
    let mut words = std::env::args().skip(1);
    let port = words.next().map_or(0, |port| port.parse().expect("the port is a number"));
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let home = words.next().map_or_else(|| scratch.path().to_owned(), std::path::PathBuf::from);
    let (listener, address) = world::listen(port).await;
    println!("endpoint http://{address}\naccess key id {}\nsecret {}", world::KEY_ID, world::SECRET);
    let cancel = CancellationToken::new();
    let serve = world::run(&home, listener, Limits::default(), cancel.clone());
    tokio::pin!(serve);
    tokio::select! {
        done = &mut serve => { done.expect("serving"); }
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            serve.await.expect("stopping");
        }
    }
}

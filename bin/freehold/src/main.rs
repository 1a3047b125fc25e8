//! The program: one binary that is both the daemon on every node and the command that people type.
//! It joins the command line to the node and holds no logic of its own.

mod host;
mod tenant;

use std::process::ExitCode;

/// The system's allocator gives memory of large streams back late; this one halves the time of a
/// GET and keeps an idle node small.
#[global_allocator]
static ALLOCATOR: freehold_allocator::Allocator = freehold_allocator::Allocator;

fn main() -> ExitCode {
    freehold_allocator::give_back_soon();
    freehold_node::process::keep_memory_private();
    freehold_node::process::keep_memory_small();
    freehold_node::process::hand_on_no_rights();
    let cli = match freehold_cli::parse() {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each blocking thread keeps buffers of its own; a disk is busy long before 32 of them wait.
        .max_blocking_threads(32)
        .build();
    let Ok(runtime) = runtime else { return ExitCode::from(3) };
    let code = runtime.block_on(freehold_cli::run(cli, &host::NodeHost));
    // Blocking reads of a terminal that never comes must not hold the end up.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ExitCode::from(code)
}

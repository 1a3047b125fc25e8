//! Log lines: text for people, JSON for programs, to standard error.

use tracing_subscriber::EnvFilter;

/// Starts logging. `FREEHOLD_LOG` sets the filter (as in `info,freehold_mesh=debug`); without it
/// our own warnings are shown and the engines' errors, but for what strangers can make the relay
/// say: it calls every malformed request an error, as `s3s` calls every refused one.
pub fn start(json: bool) {
    let filter = EnvFilter::try_from_env("FREEHOLD_LOG").unwrap_or_else(|_| {
        EnvFilter::new(
            "error,iroh_relay::server=off,s3s=off,freehold_node=info,freehold_mesh=warn,freehold_vault=warn,freehold_s3=warn",
        )
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    if json {
        drop(builder.json().try_init());
    } else {
        drop(builder.with_target(false).compact().try_init());
    }
}

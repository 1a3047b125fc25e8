//! Log lines: text for people, JSON for programs, to standard error.

use tracing_subscriber::EnvFilter;

/// Our own warnings are shown and the engines' errors, but for what is none: the relay calls every
/// malformed request of a stranger an error, `s3s` every refused one, and iroh its own end.
const SHOWN: &str = "error,iroh_relay::server=off,s3s=off,\
    iroh::socket::transports::relay=off,iroh::socket::transports::relay::actor=error,\
    freehold_node=info,freehold_mesh=warn,freehold_vault=warn,freehold_s3=warn";

/// Starts logging. `FREEHOLD_LOG` sets another filter (as in `info,freehold_mesh=debug`).
pub fn start(json: bool) {
    let filter = EnvFilter::try_from_env("FREEHOLD_LOG").unwrap_or_else(|_| EnvFilter::new(SHOWN));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    if json {
        drop(builder.json().try_init());
    } else {
        drop(builder.with_target(false).compact().try_init());
    }
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn the_end_of_the_mesh_is_no_error() {
        let subscriber = tracing_subscriber::registry().with(EnvFilter::new(SHOWN));
        tracing::subscriber::with_default(subscriber, || {
            assert!(!tracing::enabled!(target: "iroh::socket::transports::relay", tracing::Level::ERROR));
            assert!(
                tracing::enabled!(target: "iroh::socket::transports::relay::actor", tracing::Level::ERROR)
            );
            assert!(tracing::enabled!(target: "freehold_node", tracing::Level::INFO));
        });
        assert_eq!(EnvFilter::new(SHOWN).max_level_hint(), Some(LevelFilter::INFO));
    }
}

//! Log lines: text for people, JSON for programs, to standard error.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

/// Our own warnings are shown and the engines' errors, but for what is none: the relay calls every
/// malformed request of a stranger an error, `s3s` every refused one, and iroh its own end.
const SHOWN: &str = "error,iroh_relay::server=off,s3s=off,\
    iroh::socket::transports::relay=off,iroh::socket::transports::relay::actor=error,\
    freehold_node=info,freehold_mesh=warn,freehold_vault=warn,freehold_s3=warn,\
    freehold_resolver=warn";

/// Engines that write requests into the log as they are: names of objects, signatures, cookies. What
/// they say below a warning is never logged, whatever is asked for.
const TALKATIVE: [&str; 7] = ["h2", "hyper", "hyper_util", "axum", "axum_core", "tower", "object_store"];
/// These do so even where they call something an error: a body that could not be read, a name that was asked
/// for.
const SILENT: [&str; 3] = ["hickory_net", "hickory_proto", "s3s"];

/// Starts logging. `FREEHOLD_LOG` sets another filter (as in `info,freehold_mesh=debug`).
pub fn start(json: bool) {
    let filter = EnvFilter::try_from_env("FREEHOLD_LOG").unwrap_or_else(|_| EnvFilter::new(SHOWN));
    let filter = filter.and(filter_fn(|about| may_log(about.target(), *about.level())));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    // A second start in one process (tests) keeps the first.
    if json {
        drop(registry().with(lines.json().with_filter(filter)).try_init());
    } else {
        drop(registry().with(lines.with_target(false).compact().with_filter(filter)).try_init());
    }
}

fn may_log(target: &str, level: Level) -> bool {
    let engine = target.split("::").next().unwrap_or_default();
    !SILENT.contains(&engine) && (level <= Level::WARN || !TALKATIVE.contains(&engine))
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn the_end_of_the_mesh_is_no_error() {
        let subscriber = registry().with(EnvFilter::new(SHOWN));
        tracing::subscriber::with_default(subscriber, || {
            assert!(!tracing::enabled!(target: "iroh::socket::transports::relay", Level::ERROR));
            assert!(tracing::enabled!(target: "iroh::socket::transports::relay::actor", Level::ERROR));
            assert!(tracing::enabled!(target: "freehold_node", Level::INFO));
        });
        assert_eq!(EnvFilter::new(SHOWN).max_level_hint(), Some(LevelFilter::INFO));
    }

    #[test]
    fn requests_are_not_logged_even_if_asked_for() {
        for target in
            ["s3s::service", "s3s", "hickory_net::dnssec", "hyper::proto::h1::io", "h2::codec::framed_read"]
        {
            assert!(!may_log(target, Level::TRACE) && !may_log(target, Level::INFO), "{target}");
            let silent = target.starts_with("s3s") || target.starts_with("hickory");
            assert_eq!(may_log(target, Level::ERROR), !silent, "{target}");
        }
        assert!(may_log("freehold_s3::server", Level::TRACE) && may_log("hypertext", Level::TRACE));
    }
}

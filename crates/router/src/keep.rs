//! One port that is kept passed on: asked for, renewed, asked for anew at another router, and given back.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::home::Home;
use crate::pcp::{self, Ask};
use crate::soap::Control;
use crate::{Mapped, Promise, Protocol, RouterError, Standing, Way, upnp};

/// For so long a port is asked for, in seconds: a router that was not told goes back to what it was (RFC 6886, 3.3).
const LEASE: u32 = 7200;
/// What is renewed, at the soonest and the latest: a router that forgot at its restart is noticed.
const RENEW: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(10));
/// After a failure, and twice as long with each.
const AGAIN: (Duration, Duration) = (Duration::from_secs(20), Duration::from_mins(10));
/// How often it is looked whether the way out is another one.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a question that is under way at the end may still take.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// How long giving a port back may take.
const BACK_WITHIN: Duration = Duration::from_secs(3);

/// A port that is to be reached from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// What goes through it.
    pub protocol: Protocol,
    /// The port of this machine.
    pub inside: u16,
    /// The router's, if it can be had.
    pub outside: u16,
    /// Whether no other will do.
    pub exact: bool,
}

/// What is mapped now.
#[derive(Debug)]
struct Open {
    home: Home,
    mapped: Mapped,
    /// The service that was asked, if it was UPnP.
    control: Option<Control>,
    renew: Duration,
}

/// Keeps a port passed on until it is told to stop, and gives it back then; how it stands goes out by `told`.
pub async fn keep(wanted: Wanted, told: &watch::Sender<Standing>, cancel: &CancellationToken) {
    let mut nonce = [0; 12];
    if getrandom::fill(&mut nonce).is_err() {
        return;
    }
    let Wanted { protocol, inside, outside, .. } = wanted;
    let mut ask = Ask { protocol, inside, outside, seconds: LEASE, nonce };
    // What was promised last stays ours to give back, even where asking again has failed since.
    let (mut open, mut holds, mut failures): (Option<Open>, bool, u32) = (None, false, 0);
    while !cancel.is_cancelled() {
        let known = open.as_ref().filter(|_| holds);
        let asked = asked(obtain(wanted, &ask, known), cancel, ENDS_WITHIN).await;
        let Some(asked) = asked else { break };
        let wait = match asked {
            Ok(now) => {
                (failures, holds) = (0, true);
                // A port that others know is asked for again.
                ask.outside = now.mapped.outside.port();
                say(told, Standing::Open(now.mapped));
                open.insert(now).renew
            }
            Err(error) => {
                holds = false;
                ask.outside = outside;
                tracing::debug!(%error, port = inside, "no port of the router's is ours");
                say(told, Standing::Shut(error.to_string()));
                let doubled = AGAIN.0.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
                failures = failures.saturating_add(1);
                doubled.min(AGAIN.1)
            }
        };
        let router = open.as_ref().filter(|_| holds).map(|open| open.home);
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
            () = moved(router) => failures = 0,
        }
    }
    let Some(open) = open else { return };
    // Another router cannot take it back, and must not be asked to.
    if Home::find().await == Some(open.home) {
        give_back(&open, &ask).await;
    }
}

/// The end of a question that is under way; once all is to end, it has a moment: what it opens would stay open.
async fn asked<T>(
    question: impl Future<Output = T>,
    cancel: &CancellationToken,
    moment: Duration,
) -> Option<T> {
    let mut question = pin!(question);
    tokio::select! {
        biased;
        asked = &mut question => return Some(asked),
        () = cancel.cancelled() => {}
    }
    timeout(moment, question).await.ok()
}

fn say(told: &watch::Sender<Standing>, standing: Standing) {
    told.send_if_modified(|known| {
        let is_new = *known != standing;
        *known = standing;
        is_new
    });
}

/// Waits until the way out is another one than this; with none, until there is another than now.
async fn moved(from: Option<Home>) {
    let from = match from {
        Some(home) => Some(home),
        None => Home::find().await,
    };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if Home::find().await != from {
            return;
        }
    }
}

/// An address that a router stands before: of a house (RFC 1918), or of a provider's (RFC 6598).
fn is_inside(own: Ipv4Addr) -> bool {
    let [first, second, ..] = own.octets();
    own.is_private() || (first == 100 && second & 0xc0 == 64)
}

async fn obtain(wanted: Wanted, ask: &Ask, before: Option<&Open>) -> Result<Open, RouterError> {
    let home = Home::find().await.ok_or(RouterError::NoRouter)?;
    if !is_inside(home.own) {
        return Err(RouterError::Outside(home.own));
    }
    let known = before.filter(|before| before.home == home);
    // Who was asked by UPnP is: its other doors were shut.
    let asked = match known.and_then(|known| known.control.as_ref()) {
        Some(_) => None,
        None => pcp::ask(home, ask).await?,
    };
    let (way, promise, control) = if let Some((way, promise)) = asked {
        (way, promise, None)
    } else {
        let control = match known.and_then(|known| known.control.clone()) {
            Some(control) => control,
            None => upnp::find(home).await?.ok_or(RouterError::Silent(home.router))?,
        };
        let promise = upnp::map(home, &control, ask, wanted.exact).await?;
        (Way::Upnp, promise, Some(control))
    };
    let Promise { outside, lasts } = promise;
    let renew = (lasts / 2).clamp(RENEW.0, RENEW.1);
    let open = Open { home, mapped: Mapped { outside, way }, control, renew };
    // No address, or another port: of no use, so nobody is to have it.
    let is_usable = !outside.ip().is_unspecified() && outside.port() != 0;
    if !is_usable || (wanted.exact && outside.port() != wanted.outside) {
        give_back(&open, ask).await;
        return Err(RouterError::OtherPort { got: outside.port(), wanted: wanted.outside });
    }
    Ok(open)
}

async fn give_back(open: &Open, ask: &Ask) {
    let back = async {
        match &open.control {
            Some(control) => upnp::unmap(open.home, control, ask, open.mapped.outside.port()).await,
            None => pcp::ask(open.home, &Ask { seconds: 0, ..*ask }).await.map(drop),
        }
    };
    match timeout(BACK_WITHIN, back).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the router did not take the port back"),
        Err(_) => tracing::debug!("the router did not take the port back in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whom_a_router_stands_before_asks_one() {
        let at = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        assert!(
            ["192.168.1.7", "10.1.2.3", "172.31.0.1", "100.64.0.9", "100.127.1.1"]
                .map(at)
                .map(is_inside)
                .iter()
                .all(|yes| *yes)
        );
        assert!(
            ["44.128.7.5", "100.128.0.1", "172.32.0.1", "8.8.8.8"]
                .map(at)
                .map(is_inside)
                .iter()
                .all(|yes| !*yes)
        );
    }

    #[tokio::test]
    async fn what_is_under_way_at_the_end_has_a_moment_and_no_more() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let soon = async {
            tokio::task::yield_now().await;
            7
        };
        assert_eq!(asked(soon, &cancel, ENDS_WITHIN).await, Some(7));
        assert_eq!(asked(std::future::pending::<u8>(), &cancel, Duration::from_millis(1)).await, None);
    }
}

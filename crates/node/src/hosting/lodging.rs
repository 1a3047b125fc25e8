//! The life of a backend: its store is opened, its node runs on it, and when the store is gone for a
//! while so is the node, until it answers again.

use std::sync::Arc;
use std::time::Duration;

use freehold_api::BackendState;
use freehold_backend::{Claims, Settings, Stores};
use freehold_disk::HomeLock;
use tokio_util::sync::CancellationToken;

use super::holder::{self, Refused};
use super::store::Opened;
use super::{Lodger, journal, store};
use crate::problem::{chain, lock_problem};
use crate::run::inner::{Begun, Inner, MeshWish};
use crate::shared::Shared;
use crate::supervisor::Supervisor;

/// What opening a store may take: its map may have to be made anew.
const OPEN_WITHIN: Duration = Duration::from_mins(10);
/// How long after a failure it is tried again: at first, and at most.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_MOST: Duration = Duration::from_mins(2);
/// How often a store is asked for a sign of life, and how soon again if there was none.
const ASK_EVERY: Duration = Duration::from_secs(20);
const ASK_AGAIN: Duration = Duration::from_secs(3);
/// So many times in a row it must be silent before its node goes down.
const SILENCES: u32 = 2;

/// Why a node on a backend does not run any more.
enum Ended {
    /// It was told to stop.
    Told,
    /// Its store does not answer.
    Away(String),
    /// Something else is wrong.
    Broken(String),
}

/// Runs a backend until it or its host is told to stop.
pub(super) async fn lodge(lodger: Arc<Lodger>, host: Arc<Shared>) {
    again_and_again(&lodger, &host, &lodger.cancel).await;
    // Nothing of it is open any more.
    lodger.is(lodger.state(), "", None);
    lodger.ended.cancel();
}

async fn again_and_again(lodger: &Lodger, host: &Arc<Shared>, cancel: &CancellationToken) {
    let mut wait = AGAIN_FIRST;
    while !cancel.is_cancelled() {
        let was_up = {
            let ended = Box::pin(live(lodger, host, cancel)).await;
            let was_up = lodger.state() == BackendState::Up;
            match ended {
                Ended::Told => return,
                Ended::Away(why) => lodger.is(BackendState::Away, &why, None),
                Ended::Broken(why) => lodger.is(BackendState::Broken, &why, None),
            }
            was_up
        };
        wait = if was_up { AGAIN_FIRST } else { wait.saturating_mul(2).min(AGAIN_MOST) };
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// One life, from opening the store to the end of the node on it.
async fn live(lodger: &Lodger, host: &Arc<Shared>, cancel: &CancellationToken) -> Ended {
    let found = lodger
        .reread()
        .and_then(|settings| Ok((store::stores(&settings, &lodger.home, &lodger.friends)?, settings)));
    let (stores, settings) = match found {
        Ok(found) => found,
        Err(why) => return Ended::Broken(why),
    };
    let claims = match store::claims(&settings, &stores, &lodger.home) {
        Ok(claims) => claims,
        Err(why) => return Ended::Broken(why),
    };
    let may_run = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ended::Told,
        may_run = holder::may_run(&lodger.home, &claims) => may_run,
    };
    match may_run {
        Ok(()) => {}
        Err(Refused::Taken) => return Ended::Broken(holder::TAKEN.to_owned()),
        Err(Refused::Unknown(why)) => return Ended::Away(why),
    }
    let opened = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ended::Told,
        opened = tokio::time::timeout(OPEN_WITHIN, open(lodger, &settings, &stores)) => opened,
    };
    let opened = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(why)) => return Ended::Away(why),
        Err(_) => return Ended::Away("opening it took too long".to_owned()),
    };
    let _lock = match HomeLock::take(lodger.home.root()) {
        Ok(lock) => lock,
        Err(error) => return Ended::Broken(lock_problem(&error).why),
    };
    let on = opened.depot.clone();
    let inner = Inner::open(lodger.home.clone(), |_| async move { Ok(on) }, host.neighbours.clone()).await;
    let inner = match inner {
        Ok(inner) => inner,
        Err(problem) => return Ended::Broken(problem.to_string()),
    };
    let mut supervisor = Supervisor::default();
    let node = inner.begin(&mut supervisor);
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Ended::Told,
        ended = run(lodger, host, &node, &mut supervisor, &opened, &claims) => ended,
        why = silence(lodger, &settings, &stores, &opened) => Ended::Away(why),
    };
    node.shared.stop.cancel();
    let late = supervisor.stop().await;
    if !late.is_empty() {
        tracing::warn!(backend = lodger.folder, ?late, "these planes of a backend did not stop in time");
    }
    opened.packed.close().await;
    ended
}

/// A store that answers, opened.
async fn open(lodger: &Lodger, settings: &Settings, stores: &Stores) -> Result<Opened, String> {
    lodger.is_without(store::reach(settings, stores).await?);
    store::open(&lodger.home, settings, &lodger.friends).await
}

async fn run(
    lodger: &Lodger,
    host: &Shared,
    node: &Begun,
    supervisor: &mut Supervisor,
    opened: &Opened,
    claims: &Claims,
) -> Ended {
    // Beside the host's, so that who opens one in a firewall finds the other.
    let host_at = host.mesh.get().and_then(|mesh| mesh.bound().first().map(std::net::SocketAddr::port));
    let wish = MeshWish { port: host_at.map_or(0, |port| port.saturating_add(1)), relay: None };
    if let Err(problem) = node.join_in(supervisor, &wish, &mut Vec::new()).await {
        return Ended::Broken(problem.to_string());
    }
    lodger.is(BackendState::Up, "", Some(opened.clone()));
    tokio::select! {
        biased;
        why = supervisor.broke() => Ended::Broken(why),
        why = mending(node, opened) => Ended::Broken(why),
        why = holder::hold(&lodger.home, claims) => Ended::Broken(why),
        never = journal::keep(lodger, &node.shared, &opened.packed) => match never {},
    }
}

/// Fetches anew what the store is found to have lost. Returns only if its map fails.
async fn mending(node: &Begun, opened: &Opened) -> String {
    loop {
        let blobs = match opened.packed.damaged().await {
            Ok(blobs) => blobs,
            Err(error) => return chain(&error),
        };
        match node.shared.vault.mend(&blobs).await {
            Ok(report) => {
                let mended = report.findings.iter().filter(|finding| finding.repaired).count();
                tracing::warn!(lost = blobs.len(), mended, "a backend's store had lost blobs");
            }
            Err(error) => tracing::error!(error = %chain(&error), "what a store has lost is not mended yet"),
        }
    }
}

/// Returns when the store has stopped answering, with what it said last. Of several, those that may be
/// lost are told, and get what they lack when they are there again.
async fn silence(lodger: &Lodger, settings: &Settings, stores: &Stores, opened: &Opened) -> String {
    let (mut silent, mut last) = (0, String::new());
    loop {
        tokio::time::sleep(if silent == 0 { ASK_EVERY } else { ASK_AGAIN }).await;
        match store::reach(settings, stores).await {
            Ok(quiet) => {
                silent = 0;
                if quiet != last {
                    opened.packed.mend_soon();
                    last.clone_from(&quiet);
                }
                lodger.is_without(quiet);
            }
            Err(why) => {
                silent += 1;
                if silent >= SILENCES {
                    return why;
                }
            }
        }
    }
}

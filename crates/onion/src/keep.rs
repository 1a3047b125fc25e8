//! Keeps the service as it is wanted: `tor` runs while somebody is let in, is started again when it ends, and hears of
//! who is new. Whoever is let in no longer is cut off by a new `tor`: a running one goes by the old keys still.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::control::Control;
use crate::process::{Tor, find_tor};
use crate::said::Word;
use crate::{Doing, Folder, Standing, Trouble, Wish};

/// After a failure, and twice as long with each, up to a minute.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_mins(1);
/// Clocks that are so wrong do no harm.
const CLOCK: u64 = 10 * 60;

/// Keeps an onion service as wanted until it is told to stop; how it stands goes out by `told`.
pub async fn keep(
    folder: &Folder,
    mut wish: watch::Receiver<Wish>,
    told: &watch::Sender<Standing>,
    cancel: &CancellationToken,
) {
    let mut failures: u32 = 0;
    while !cancel.is_cancelled() {
        let now = wish.borrow_and_update().clone();
        let idle = if !now.on {
            Some(Doing::Off)
        } else if now.clients.is_empty() {
            Some(Doing::Waiting)
        } else {
            None
        };
        let wait = if let Some(doing) = idle {
            say(told, folder, now.number, doing);
            None
        } else {
            let mut run = Run { folder, told, cancel, failures: &mut failures, is_up: false };
            match run.serve(now, &mut wish).await {
                Ended::Wished => continue,
                Ended::Cancelled => break,
                Ended::Trouble(number, trouble) => {
                    tracing::info!(%trouble, "the onion service does not run");
                    say(told, folder, number, Doing::Down(trouble));
                    let wait = AGAIN.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
                    failures = failures.saturating_add(1);
                    Some(wait.min(AGAIN_MAX))
                }
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            changed = wish.changed() => if changed.is_err() { break },
            () = pause(wait) => {}
        }
    }
}

/// For good, without a time.
async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn say(told: &watch::Sender<Standing>, folder: &Folder, number: u64, doing: Doing) {
    let standing = Standing { number, address: folder.address(), doing };
    told.send_if_modified(|known| {
        let is_new = *known != standing;
        *known = standing;
        is_new
    });
}

/// Why a `tor` does not run any more.
enum Ended {
    /// Something else is wanted.
    Wished,
    Cancelled,
    Trouble(u64, Trouble),
}

/// One `tor`, from its start to its end.
struct Run<'a> {
    folder: &'a Folder,
    told: &'a watch::Sender<Standing>,
    cancel: &'a CancellationToken,
    failures: &'a mut u32,
    is_up: bool,
}

impl Run<'_> {
    async fn serve(&mut self, mut now: Wish, wish: &mut watch::Receiver<Wish>) -> Ended {
        let number = now.number;
        let started = match self.start(&now) {
            Ok(tor) => tor,
            Err(trouble) => return Ended::Trouble(number, trouble),
        };
        let mut tor = started;
        let opened = tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(None),
            trouble = tor.ended() => Err(Some(trouble)),
            opened = Control::open(self.folder) => opened.map_err(Some),
        };
        let ended = match opened {
            Ok(control) => self.watch(&mut tor, control, &mut now, wish).await,
            Err(None) => Ended::Cancelled,
            Err(Some(trouble)) => Ended::Trouble(now.number, trouble),
        };
        // Before anything else is said: who is let in no longer is out when it is.
        tor.end().await;
        ended
    }

    fn start(&self, now: &Wish) -> Result<Tor, Trouble> {
        let program = find_tor().map_err(|_| Trouble::NoTor)?;
        let files = |error: crate::FolderError| Trouble::Files(error.to_string().into());
        self.folder.write(&now.ports, &now.clients).map_err(files)?;
        let tor = Tor::start(&program, self.folder)?;
        say(self.told, self.folder, now.number, Doing::Starting { percent: 0, trouble: None });
        Ok(tor)
    }

    async fn watch(
        &mut self,
        tor: &mut Tor,
        mut control: Control,
        now: &mut Wish,
        wish: &mut watch::Receiver<Wish>,
    ) -> Ended {
        let mut seen = Seen::default();
        loop {
            say(self.told, self.folder, now.number, seen.doing());
            if seen.announced && !self.is_up {
                self.is_up = true;
                *self.failures = 0;
            }
            let failed = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ended::Cancelled,
                trouble = tor.ended() => trouble,
                changed = wish.changed() => {
                    if changed.is_err() {
                        return Ended::Cancelled;
                    }
                    let wanted = wish.borrow_and_update().clone();
                    match self.change(&mut control, now, wanted).await {
                        Ok(true) => continue,
                        Ok(false) => return Ended::Wished,
                        Err(trouble) => trouble,
                    }
                }
                word = control.next() => match word {
                    Ok(word) => {
                        seen.hear(word);
                        continue;
                    }
                    Err(trouble) => trouble,
                },
            };
            return Ended::Trouble(now.number, failed);
        }
    }

    /// Goes by another wish, if a running `tor` can: whether it did.
    async fn change(&self, control: &mut Control, now: &mut Wish, wanted: Wish) -> Result<bool, Trouble> {
        if !adds_alone(now, &wanted) {
            return Ok(false);
        }
        if wanted.clients != now.clients {
            let files = |error: crate::FolderError| Trouble::Files(error.to_string().into());
            self.folder.let_in(&wanted.clients).map_err(files)?;
            control.reload().await?;
        }
        *now = wanted;
        Ok(true)
    }
}

/// Whether somebody is let in besides, and nothing else is new.
fn adds_alone(now: &Wish, wanted: &Wish) -> bool {
    let stays = |(name, key)| wanted.clients.get(name) == Some(key);
    wanted.on == now.on && wanted.ports == now.ports && now.clients.iter().all(stays)
}

/// What `tor` has told.
#[derive(Debug, Default)]
struct Seen {
    percent: u8,
    announced: bool,
    warning: Option<String>,
    clock: Option<u64>,
    is_cut_off: bool,
}

impl Seen {
    fn hear(&mut self, word: Word) {
        match word {
            Word::Way { percent, warning } => {
                (self.percent, self.warning) = (self.percent.max(percent), warning);
            }
            Word::Clock { seconds } => self.clock = Some(seconds).filter(|seconds| *seconds >= CLOCK),
            Word::Announced => (self.announced, self.is_cut_off, self.clock) = (true, false, None),
            Word::Reached(yes) => self.is_cut_off = !yes,
            Word::Nothing => {}
        }
    }

    fn doing(&self) -> Doing {
        let network = || {
            let warning = self.warning.as_deref().map(Into::into);
            let cut = self.is_cut_off.then(|| "no relay of it answers".into());
            warning.or(cut).map(Trouble::Network)
        };
        let trouble = self.clock.map(|seconds| Trouble::Clock { seconds }).or_else(network);
        if self.announced {
            return Doing::Up { trouble };
        }
        Doing::Starting { percent: self.percent, trouble }
    }
}

#[cfg(test)]
mod tests;

//! This machine's own programs: whom they ask for names. With systemd-resolved and the tunnel's device they find
//! the realm's names at once, by a rule for that device that sends the realm's names here and no other one; the
//! rest stays as it was. A `resolv.conf` cannot say that, so all names would come here: only if somebody wants it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use freehold_names::{Domain, Row};
use freehold_resolver::system::{self, SystemError, Taken, Wish};

use super::DEVICE;

const FILE: &str = "/etc/resolv.conf";

/// What is wanted of this machine's own settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SystemWish {
    /// The realm's names come here where nothing else is changed by that.
    #[default]
    Gently,
    /// Names come here, all of them if it cannot be had otherwise.
    Yes,
    /// Everything stays as it is.
    No,
}

/// What this machine's settings are now.
#[derive(Debug)]
pub(super) struct Settings {
    wish: SystemWish,
    folder: PathBuf,
    taken: Option<(Wish, Taken)>,
    /// Where we served, and which names were ours, when it was looked at last.
    seen: Option<(Option<SocketAddr>, Vec<SocketAddr>, Vec<Domain>)>,
    /// systemd-resolved lets others say that: it may think better of it, as when polkit has come up.
    denied: bool,
}

impl Settings {
    /// Puts back first what a crash left.
    pub(super) fn of(wish: SystemWish, folder: PathBuf) -> Self {
        match system::mend(&folder) {
            Ok(Some(file)) => tracing::info!(file = %file.display(), "what was here before is put back"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, remedy = error.remedy(), "an earlier setting stays"),
        }
        Self { wish, folder, taken: None, seen: None, denied: false }
    }

    /// Sees to it that the settings are as is wanted: `at` is where the network's device is served, `plain` where
    /// else. What is wrong, if anything.
    pub(super) async fn hold(
        &mut self,
        at: Option<SocketAddr>,
        plain: &[SocketAddr],
        own: &[Domain],
    ) -> Option<String> {
        let now = Some((at, plain.to_vec(), own.to_vec()));
        let is_same = self.seen == now;
        self.seen = now;
        // Other programs are asked only where something has changed, or somebody waits for it.
        if is_same && (self.taken.is_some() || (self.wish != SystemWish::Yes && !self.denied)) {
            let (_, taken) = self.taken.as_mut()?;
            return taken.hold().err().map(|error| told(&error));
        }
        let wanted = self.wanted(at, plain, own).await;
        if self.taken.as_ref().map(|(wish, _)| wish) == wanted.as_ref() {
            let (_, taken) = self.taken.as_mut()?;
            return taken.hold().err().map(|error| told(&error));
        }
        self.give_back().await;
        let wanted = wanted?;
        let taken = system::take(&self.folder, &wanted).await;
        self.denied = matches!(&taken, Err(SystemError::Denied(_)));
        match taken {
            Ok(taken) => {
                self.taken = Some((wanted, taken));
                None
            }
            // Nobody has asked for it by name: a machine whose settings are others' is as good.
            Err(error) if self.wish == SystemWish::Gently && !self.denied => {
                tracing::debug!(%error, "this machine's programs find the realm's names by no rule of ours");
                None
            }
            Err(error) => Some(told(&error)),
        }
    }

    async fn wanted(&self, at: Option<SocketAddr>, plain: &[SocketAddr], own: &[Domain]) -> Option<Wish> {
        let link = match (self.wish, at) {
            (SystemWish::No, _) | (SystemWish::Gently, None) => return None,
            (_, Some(_)) if system::has_resolved().await => Some(DEVICE.to_owned()),
            (SystemWish::Gently, _) => return None,
            (SystemWish::Yes, _) => None,
        };
        let servers = match (&link, at) {
            (Some(_), Some(at)) => vec![at],
            _ => plain.iter().copied().chain(at).collect(),
        };
        let search = own.first().cloned().into_iter().collect();
        let file = Path::new(FILE).to_owned();
        Some(Wish { link, servers, domains: own.to_vec(), search, everything: false, file })
    }

    /// Who was asked before, where all names come here now.
    pub(super) fn before(&self) -> Vec<std::net::IpAddr> {
        match &self.taken {
            Some((wish, taken)) if wish.link.is_none() => {
                let is_ours = |at: &std::net::IpAddr| wish.servers.iter().any(|server| server.ip() == *at);
                taken.before().servers.iter().filter(|at| !is_ours(at)).copied().collect()
            }
            _ => Vec::new(),
        }
    }

    /// The network's device is another one: what was said of it is forgotten with it.
    pub(super) async fn begin_anew(&mut self) {
        self.seen = None;
        if self.taken.as_ref().is_some_and(|(wish, _)| wish.link.is_some()) {
            self.give_back().await;
        }
    }

    pub(super) async fn give_back(&mut self) {
        let Some((_, taken)) = self.taken.take() else { return };
        if let Err(error) = taken.give_back().await {
            tracing::warn!(%error, remedy = error.remedy(), "this machine's programs still ask here");
        }
    }
}

fn told(error: &SystemError) -> String {
    format!("this machine's programs do not ask here for names: {error}; {}", error.remedy())
}

/// The names that are ours, of the rows that are answered here.
pub(super) fn own(rows: &[Row]) -> Vec<Domain> {
    let apex = |row: &Row| match row {
        Row::Zone { apex, .. } => Some(apex.clone()),
        Row::Record { .. } => None,
    };
    rows.iter().filter_map(apex).collect()
}

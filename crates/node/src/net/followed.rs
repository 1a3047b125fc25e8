//! Names in zones of the internet that follow this machine: what was chosen lies in the home, one file for each
//! name with the secrets that its keeper wants, and each has a task of its own.

mod file;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use freehold_api::Problem;
use freehold_records::{Family, Follower, Standing};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use self::file::Written;
pub(crate) use self::file::{By, Hidden, Wish};
use crate::clock;
use crate::problem::home_problem;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How long taking a name back may take, with everything that was under way.
const BACK_WITHIN: Duration = Duration::from_secs(20);

/// The names that follow this machine.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// Held by whoever adds or takes one back.
    turn: tokio::sync::Mutex<()>,
    all: Mutex<BTreeMap<String, Name>>,
    running: OnceLock<Running>,
}

#[derive(Debug)]
struct Running {
    plane: Plane,
    folder: PathBuf,
    own: watch::Receiver<Vec<IpAddr>>,
    /// Rises with each change of how a name stands.
    changed: watch::Sender<u64>,
}

/// One name at work.
#[derive(Debug)]
struct Name {
    wish: Wish,
    standing: watch::Sender<Standing>,
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

/// A name, for people.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) wish: Wish,
    pub(crate) standing: Standing,
}

/// Starts to follow with all names that were chosen.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    let Some(mesh) = shared.mesh.get() else { return };
    let folder = shared.home.net().join("addresses");
    let mut addresses = mesh.watch_addresses();
    let own_of = |addresses: &freehold_mesh::Addresses| -> Vec<IpAddr> {
        addresses.direct().iter().map(|at| at.ip().to_canonical()).collect()
    };
    let (say, own) = watch::channel(own_of(&addresses.borrow_and_update().clone()));
    let (changed, mut news) = watch::channel(0);
    let running = Running { plane: plane.clone(), folder: folder.clone(), own, changed };
    drop(shared.followed.running.set(running));
    let mut damaged = Vec::new();
    for read in file::read_all(&folder) {
        match read {
            Ok(written) => {
                let name = written.wish.name.clone();
                let begun = shared.followed.run(written);
                // What a newer version reads otherwise would else lead to an address that somebody else has got.
                damaged.extend(begun.err().map(|problem| format!("{name} does not follow: {}", problem.why)));
            }
            Err(why) => damaged.push(why),
        }
    }
    let (shared, cancel, plane) = (Arc::clone(shared), plane.cancel().clone(), plane.clone());
    plane.clone().spawn(async move {
        loop {
            plane.report(health(&shared.followed, &damaged));
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                changed = addresses.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let all = own_of(&addresses.borrow_and_update().clone());
                    say.send_if_modified(|known| {
                        let is_new = *known != all;
                        *known = all;
                        is_new
                    });
                }
                changed = news.changed() => if changed.is_err() { return },
            }
        }
    });
}

impl Followed {
    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Name>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Result<&Running, Problem> {
        self.running.get().ok_or_else(|| {
            Problem::unreachable("nothing was done", "the node is still starting", Some("freehold status"))
        })
    }

    /// All names, in their order.
    pub(crate) fn told(&self) -> Vec<Told> {
        let all = self.all();
        all.values()
            .map(|name| Told { wish: name.wish.clone(), standing: name.standing.borrow().clone() })
            .collect()
    }

    /// All addresses that this machine knows of itself.
    pub(crate) fn own(&self) -> Vec<IpAddr> {
        self.running.get().map(|running| running.own.borrow().clone()).unwrap_or_default()
    }

    /// Follows with a name from now on; one that was there is told anew.
    pub(crate) async fn add(&self, wish: Wish) -> Result<Told, Problem> {
        let _turn = self.turn.lock().await;
        let running = self.running()?;
        // What is checked here cannot fail for ever in silence.
        wish.places().map_err(|error| unfit(&error.to_string()))?;
        let before = self.end(&wish.name).await;
        // The same name may have another keeper now, who knows nothing of it.
        let same = before.clone().filter(|(old, _)| old.by == wish.by);
        let standing = same.map(|(_, standing)| standing.told_anew());
        let written = Written { wish: wish.clone(), standing: standing.unwrap_or_default() };
        let (folder, kept) = (running.folder.clone(), written.clone());
        let kept = tokio::task::spawn_blocking(move || file::write(&folder, &kept)).await;
        let kept = kept.map_err(std::io::Error::other).flatten();
        if let Err(error) = kept {
            // It goes on as it did.
            if let Some((wish, standing)) = before {
                self.run(Written { wish, standing })?;
            }
            return Err(home_problem(&running.folder, &error));
        }
        let standing = self.run(written)?;
        running.changed.send_modify(|count| *count += 1);
        Ok(Told { wish, standing })
    }

    /// Takes a name back; gives what it may still say, and why.
    pub(crate) async fn remove(&self, name: &str) -> Result<Option<String>, Problem> {
        let _turn = self.turn.lock().await;
        let running = self.running()?;
        let Some((wish, standing)) = self.end(name).await else { return Err(no_such(name)) };
        let left = match wish.follower() {
            Ok(follower) => {
                let back = tokio::time::timeout(BACK_WITHIN, follower.take_back(&standing)).await;
                match back {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some(format!("it took longer than {} s", BACK_WITHIN.as_secs())),
                }
            }
            Err(error) => Some(error.to_string()),
        };
        file::remove(&running.folder, name).map_err(|error| home_problem(&running.folder, &error))?;
        running.changed.send_modify(|count| *count += 1);
        Ok(left)
    }

    /// Ends a name's task, and waits for it.
    async fn end(&self, name: &str) -> Option<(Wish, Standing)> {
        let Name { wish, standing, stop, ended } = self.all().remove(name)?;
        stop.cancel();
        drop(ended.await);
        let standing = standing.borrow().clone();
        Some((wish, standing))
    }

    fn run(&self, written: Written) -> Result<Standing, Problem> {
        let running = self.running()?;
        let Written { wish, standing: first } = written;
        let follower = wish.follower().map_err(|error| unfit(&error.to_string()))?;
        let standing = watch::Sender::new(first.clone());
        let stop = running.plane.cancel().child_token();
        let (end, ended) = oneshot::channel();
        let name = Name { wish: wish.clone(), standing: standing.clone(), stop: stop.clone(), ended };
        self.all().insert(wish.name.clone(), name);
        let (own, folder, changed) = (running.own.clone(), running.folder.clone(), running.changed.clone());
        running.plane.spawn(async move {
            let _end = end;
            let mut news = standing.subscribe();
            let keep = async |standing: Standing| {
                let (folder, written) = (folder.clone(), Written { wish: wish.clone(), standing });
                let kept = tokio::task::spawn_blocking(move || file::write(&folder, &written)).await;
                if let Err(error) = kept.map_err(std::io::Error::other).flatten() {
                    tracing::warn!(%error, name = wish.name, "what was told of a name was not kept");
                }
                changed.send_modify(|count| *count += 1);
            };
            let keeping = async {
                while news.changed().await.is_ok() {
                    let standing = news.borrow_and_update().clone();
                    keep(standing).await;
                }
            };
            tokio::select! {
                biased;
                () = follower.run(own, &standing, &stop) => {}
                () = keeping => {}
            }
            // What was told at the very end.
            let last = standing.borrow().clone();
            keep(last).await;
        });
        Ok(first)
    }
}

impl Wish {
    pub(crate) fn follower(&self) -> Result<Follower, freehold_records::RecordsError> {
        let (name, families) = (self.name.clone(), self.families());
        Ok(Follower { name, families, places: self.places()?, clock: clock::wall })
    }

    pub(crate) fn families(&self) -> Vec<Family> {
        Family::ALL.into_iter().filter(|family| self.only.is_none_or(|only| only == *family)).collect()
    }
}

/// What people call a family.
pub(crate) const fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

fn unfit(why: &str) -> Problem {
    Problem::invalid("no name was published", why, Some("freehold net address publish --help"))
}

/// There is none of that name.
pub(crate) fn no_such(name: &str) -> Problem {
    Problem::invalid(
        format!("{name} was not taken back"),
        "this machine publishes no such name",
        Some("freehold net address list"),
    )
}

fn health(followed: &Followed, damaged: &[String]) -> Health {
    let (all, own) = (followed.told(), followed.own());
    let mut wrong = damaged.to_vec();
    for told in &all {
        let lines = told.wish.families().into_iter().map(|family| (family, told.standing.of(family)));
        let lines: Vec<_> = lines.collect();
        wrong.extend(lines.iter().filter_map(|(_, line)| {
            let why = line.trouble.as_ref()?;
            let then =
                if line.stopped { "; it is not asked again until you publish the name anew" } else { "" };
            Some(format!("{}: {why}{then}", told.wish.name))
        }));
        let known = |family| freehold_records::due::choose(&own, family, None).is_some();
        if !lines.iter().any(|(family, line)| known(*family) || line.said.is_some()) {
            wrong.push(format!("{}: no public address of this machine is known", told.wish.name));
        }
    }
    if !wrong.is_empty() {
        return Health::Degraded(wrong.join("; "));
    }
    if all.is_empty() {
        return Health::Up("no name on the internet follows this machine".to_owned());
    }
    let names: Vec<String> = all.into_iter().map(|told| told.wish.name).collect();
    Health::Up(format!("{} follow this machine", names.join(", ")))
}

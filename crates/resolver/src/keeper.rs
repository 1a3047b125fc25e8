//! The owner of what holds: takes new settings, looks for newer lists, and swaps the view whole.

use std::sync::Arc;
use std::time::Duration;

use freehold_names::{Blocked, LISTS_MAX, Refused};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::{Clock, Setting};
use crate::counting::Counters;
use crate::lists::{Fetched, Kept, List, ListError, ListState, Shelf, Text, fetch};
use crate::outgoing::Outgoing;
use crate::store::Store;
use crate::upstream::Group;
use crate::view::{Seed, View};

/// After a failure a list is looked for so soon, then half as often each time.
const AGAIN: Duration = Duration::from_mins(1);
/// Lists that are fetched at a time.
const AT_A_TIME: usize = 2;
/// With no list there is nothing to wait for.
const NEVER: Duration = Duration::from_hours(24);

/// Why a setting does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    /// The resolver has ended.
    #[error("the resolver has ended")]
    Ended,
    /// It has more lists than can be told apart.
    #[error("there are more than 32 lists: leave some out")]
    Lists,
    /// Keys cannot be read.
    #[error("{0}: copy them from where the zone's owner publishes them")]
    Anchors(String),
    /// TLS to servers cannot be set up.
    #[error("no certificate of this machine can be used to ask name servers: {0}")]
    Tls(String),
    /// The task that builds the set of names failed.
    #[error("the set of blocked names could not be built")]
    Build,
}

/// What the keeper is told.
pub(crate) enum Command {
    Change(Box<Setting>, oneshot::Sender<Result<(), Gone>>),
    /// Look for every list now.
    Renew,
}

/// A list, as far as it has come.
struct Slot {
    list: List,
    kept: Option<Kept>,
    seen: Option<freehold_wire::Millis>,
    problem: Option<ListError>,
    due: Instant,
    failures: u32,
    looked: u64,
    under_way: bool,
}

type Fetching = BoxFuture<'static, (List, Result<Fetched, ListError>)>;

/// What the keeper works with.
pub(crate) struct Tools {
    pub(crate) seed: Seed,
    pub(crate) clock: Clock,
    pub(crate) outgoing: Outgoing,
    pub(crate) shelf: Shelf,
    pub(crate) names_max: usize,
    pub(crate) store: Arc<Store>,
    pub(crate) counters: Arc<Counters>,
}

/// The owner of the view.
pub(crate) struct Keeper {
    tools: Tools,
    setting: Setting,
    slots: Vec<Slot>,
    view: watch::Sender<Arc<View>>,
    states: watch::Sender<Vec<ListState>>,
}

impl Keeper {
    /// With a first setting, and the lists that are kept.
    pub(crate) async fn new(tools: Tools, setting: Setting) -> Result<Self, Gone> {
        let nothing = Arc::new(Blocked::builder(&tools.seed).finish());
        let view = View::new(&Setting::default(), nothing, Vec::new(), &tools.seed);
        let (view, states) = (watch::channel(Arc::new(view)).0, watch::channel(Vec::new()).0);
        let mut keeper = Self { tools, setting: Setting::default(), slots: Vec::new(), view, states };
        keeper.change(setting).await?;
        Ok(keeper)
    }

    pub(crate) fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    pub(crate) fn states(&self) -> watch::Receiver<Vec<ListState>> {
        self.states.subscribe()
    }

    /// Until it is stopped. Settings are taken while lists come.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>, stop: CancellationToken) {
        let mut fetching: FuturesUnordered<Fetching> = FuturesUnordered::new();
        loop {
            self.start_due(&mut fetching);
            let resting = self.slots.iter().filter(|slot| !slot.under_way).map(|slot| slot.due).min();
            let wake = resting.unwrap_or_else(|| Instant::now() + NEVER);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Change(setting, told)) => {
                        let changed = self.change(*setting).await;
                        // Who asked may have gone.
                        drop(told.send(changed));
                    }
                    Some(Command::Renew) => {
                        for slot in &mut self.slots {
                            slot.due = Instant::now();
                        }
                    }
                },
                Some((list, told)) = fetching.next() => self.take(&list, told).await,
                () = sleep_until(wake), if fetching.len() < AT_A_TIME => {}
            }
        }
    }

    fn start_due(&mut self, fetching: &mut FuturesUnordered<Fetching>) {
        let now = Instant::now();
        for slot in self.slots.iter_mut().filter(|slot| !slot.under_way && slot.due <= now) {
            if fetching.len() >= AT_A_TIME {
                return;
            }
            slot.under_way = true;
            let (outgoing, shelf) = (self.tools.outgoing.clone(), self.tools.shelf.clone());
            let (list, kept, at) = (slot.list.clone(), slot.kept.clone(), (self.tools.clock)().now);
            let coming = async move {
                let told = fetch(&outgoing, &shelf, &list, kept.as_ref(), at).await;
                (list, told)
            };
            fetching.push(coming.boxed());
        }
    }

    /// A list has come, or has not.
    async fn take(&mut self, list: &List, told: Result<Fetched, ListError>) {
        let now = (self.tools.clock)().now;
        // It may not be wanted any more.
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.list == *list) else { return };
        slot.under_way = false;
        slot.looked += 1;
        let mut is_new = false;
        match told {
            Ok(fetched) => {
                (slot.seen, slot.problem, slot.failures) = (Some(now), None, 0);
                slot.due = Instant::now() + jittered(list.period);
                if let Fetched::New(kept) = fetched {
                    tracing::info!(list = list.name, rules = kept.counts().rules, "a list is in use");
                    slot.kept = Some(kept);
                    is_new = true;
                }
            }
            Err(problem) => {
                tracing::warn!(list = list.name, %problem, remedy = problem.remedy(), "a list is not taken");
                slot.problem = Some(problem);
                let wait = AGAIN.saturating_mul(1 << slot.failures.min(10));
                slot.failures += 1;
                slot.due = Instant::now() + jittered(wait.min(list.period));
            }
        }
        if is_new && let Ok(blocked) = self.build().await {
            let current = Arc::clone(&self.view.borrow());
            self.publish(blocked, current.upstreams.clone());
        }
        self.tell();
    }

    /// Takes a setting, whole or not at all.
    async fn change(&mut self, setting: Setting) -> Result<(), Gone> {
        if setting.lists.len() > usize::from(LISTS_MAX) {
            return Err(Gone::Lists);
        }
        let current = Arc::clone(&self.view.borrow());
        let mut upstreams = Vec::with_capacity(setting.upstreams.len());
        for upstream in &setting.upstreams {
            // Who is asked already keeps the connections.
            let old = current.upstreams.iter().find(|group| group.is(upstream));
            let group = match old {
                Some(old) => Arc::clone(old),
                None => Group::new(upstream.clone(), &self.tools.outgoing).map(Arc::new)?,
            };
            upstreams.push(group);
        }
        let others = upstreams.len() != current.upstreams.len()
            || upstreams.iter().zip(&current.upstreams).any(|(one, other)| !Arc::ptr_eq(one, other));
        let same_lists = self.slots.iter().map(|slot| &slot.list).eq(&setting.lists);
        let mut blocked = Arc::clone(&current.blocked);
        if !same_lists {
            self.slots = self.slots_for(&setting.lists).await?;
            blocked = self.build().await?;
        }
        self.tools.counters.keep(setting.statistics);
        self.setting = setting;
        self.publish(blocked, upstreams);
        if others {
            self.tools.store.clear();
        }
        self.tell();
        Ok(())
    }

    async fn slots_for(&mut self, lists: &[List]) -> Result<Vec<Slot>, Gone> {
        let shelf = self.tools.shelf.clone();
        let wanted = lists.to_vec();
        let found = tokio::task::spawn_blocking(move || {
            wanted.into_iter().map(|list| (shelf.find(&list), list)).collect::<Vec<_>>()
        });
        let found = found.await.map_err(|_| Gone::Build)?;
        let mut old = std::mem::take(&mut self.slots);
        let slot = |(kept, list): (Result<Option<Kept>, ListError>, List)| {
            if let Some(place) = old.iter().position(|slot| slot.list == list) {
                return old.swap_remove(place);
            }
            let (kept, problem) = kept.map_or_else(|damaged| (None, Some(damaged)), |kept| (kept, None));
            // One that is kept need not come at once; many machines start after a power cut.
            let wait = if kept.is_some() { jittered(AGAIN) } else { Duration::ZERO };
            let due = Instant::now() + wait;
            Slot { list, kept, seen: None, problem, due, failures: 0, looked: 0, under_way: false }
        };
        Ok(found.into_iter().map(slot).collect())
    }

    /// The set of all names, from the texts that are kept.
    async fn build(&mut self) -> Result<Arc<Blocked>, Gone> {
        let (shelf, seed, most) = (self.tools.shelf.clone(), self.tools.seed, self.tools.names_max);
        let text = |slot: &Slot| Text {
            list: slot.list.clone(),
            kept: slot.kept.clone(),
            under_way: slot.under_way,
        };
        let texts: Vec<Text> = self.slots.iter().map(text).collect();
        let built = tokio::task::spawn_blocking(move || {
            let rules: u64 = texts.iter().filter_map(|text| Some(text.kept.as_ref()?.counts().rules)).sum();
            let room = usize::try_from(rules).unwrap_or(most).min(most);
            let mut builder = Blocked::builder(&seed).at_most(most).with_room(room);
            let mut problems = Vec::new();
            for (number, text) in texts.iter().enumerate() {
                let (Some(kept), Ok(number)) = (&text.kept, u8::try_from(number)) else { continue };
                let mut full = false;
                let read = shelf.rules(kept, &mut |rule| {
                    full |= rule.push(number, &mut builder) == Err(Refused::Full);
                });
                let problem = read.err().or(full.then_some(ListError::Full));
                problems.extend(problem.map(|problem| (usize::from(number), problem)));
            }
            shelf.tidy(&texts);
            (Arc::new(builder.finish()), problems)
        });
        let (blocked, problems) = built.await.map_err(|_| Gone::Build)?;
        for (number, problem) in problems {
            if let Some(slot) = self.slots.get_mut(number) {
                slot.problem = Some(problem);
            }
        }
        Ok(blocked)
    }

    fn publish(&self, blocked: Arc<Blocked>, upstreams: Vec<Arc<Group>>) {
        self.view.send_replace(Arc::new(View::new(&self.setting, blocked, upstreams, &self.tools.seed)));
    }

    fn tell(&self) {
        let state = |slot: &Slot| ListState {
            list: slot.list.clone(),
            kept: slot.kept.as_ref().map(|kept| (kept.counts(), kept.fetched())),
            sha256: slot.kept.as_ref().map(|kept| kept.sum().to_owned()),
            looked: slot.looked,
            seen: slot.seen,
            problem: slot.problem.clone(),
        };
        self.states.send_replace(self.slots.iter().map(state).collect());
    }
}

/// A tenth more or less: not everybody asks at the same moment.
fn jittered(wait: Duration) -> Duration {
    let draw = getrandom::u32().unwrap_or(u32::MAX / 2);
    wait.mul_f64(0.9 + 0.2 * f64::from(draw) / f64::from(u32::MAX))
}

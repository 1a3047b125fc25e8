//! Asks others, once for all who ask the same, and no more at a time than there are places.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use freehold_names::{Found, Why};
use freehold_wire::Millis;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::{Ask, Store};
use crate::view::View;

/// Different questions to others at a time.
const PLACES: usize = 1024;

/// What others said, or why they did not.
pub(crate) type Told = Result<Arc<[u8]>, Why>;

type UnderWay = Mutex<BTreeMap<Ask, watch::Receiver<Option<Told>>>>;

/// Asks others. Clones share all.
#[derive(Debug, Clone)]
pub(crate) struct Asking(Arc<State>);

#[derive(Debug)]
struct State {
    view: watch::Receiver<Arc<View>>,
    store: Arc<Store>,
    started: Instant,
    tasks: TaskTracker,
    stop: CancellationToken,
    places: Arc<Semaphore>,
    under_way: UnderWay,
}

impl Asking {
    pub(crate) fn new(
        view: watch::Receiver<Arc<View>>,
        store: Arc<Store>,
        started: Instant,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let places = Arc::new(Semaphore::new(PLACES));
        let under_way = Mutex::default();
        Self(Arc::new(State { view, store, started, tasks, stop, places, under_way }))
    }

    /// What others say. Who stops waiting stops nobody else, and the answer is kept all the same.
    pub(crate) async fn ask(&self, ask: Ask) -> Told {
        let Some(mut told) = self.begin(ask, false) else { return Err(Why::Unreachable) };
        let told = told.wait_for(Option::is_some).await;
        told.ok().and_then(|told| told.clone()).unwrap_or(Err(Why::Unreachable))
    }

    /// Asks anew what is nearly over, if there is a place.
    pub(crate) fn renew(&self, ask: Ask) {
        drop(self.begin(ask, true));
    }

    fn begin(&self, ask: Ask, anew: bool) -> Option<watch::Receiver<Option<Told>>> {
        let mut under_way = self.under_way();
        if let Some(told) = under_way.get(&ask) {
            return Some(told.clone());
        }
        // It may have come since it was looked for: what is under way no longer is kept.
        let mut known = Vec::new();
        if !anew && let Found::Fresh { .. } = self.0.store.find(&ask.key(), self.now(), &mut known) {
            return Some(watch::channel(Some(Ok(known.into()))).1);
        }
        let place = Arc::clone(&self.0.places).try_acquire_owned().ok()?;
        let (tell, told) = watch::channel(None);
        under_way.insert(ask.clone(), told.clone());
        drop(under_way);
        let asking = self.clone();
        self.0.tasks.spawn(async move {
            let _place = place;
            let end = End { asking: &asking, ask: &ask };
            let told = tokio::select! {
                biased;
                () = asking.0.stop.cancelled() => Err(Why::Unreachable),
                told = asking.carry_out(&ask) => told,
            };
            // First kept, then no longer under way: nobody finds neither.
            drop(end);
            tell.send_replace(Some(told));
        });
        Some(told)
    }

    async fn carry_out(&self, ask: &Ask) -> Told {
        let servers = |view: &View| view.upstreams.get(usize::from(ask.upstream)).cloned();
        let group = servers(&self.0.view.borrow()).ok_or(Why::Unreachable)?;
        let told = group.answer(ask).await;
        let now = self.now();
        let still = servers(&self.0.view.borrow()).is_some_and(|still| Arc::ptr_eq(&still, &group));
        match told {
            Ok(answer) => {
                // Those who are asked by that number now may know better.
                if still {
                    self.0.store.keep(ask, now, &answer);
                }
                Ok(answer.into())
            }
            Err(why) => {
                if still {
                    self.0.store.fail(ask.clone(), why, now);
                }
                Err(why)
            }
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<Ask, watch::Receiver<Option<Told>>>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a question off those under way, however its task ends.
struct End<'a> {
    asking: &'a Asking,
    ask: &'a Ask,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.asking.under_way().remove(self.ask);
    }
}

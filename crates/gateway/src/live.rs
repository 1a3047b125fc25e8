//! A service in use: what it is, what is counted of it, who has asked how often, which of its addresses
//! answer.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::Service;
use crate::crowd::Crowd;
use crate::pace::Pace;
use crate::service::{Target, Upstream, Web};
use crate::tally::{Tally, Turned};

/// For so long an address that did not answer is left out, if there is another.
const LEFT_OUT: Duration = Duration::from_secs(5);
/// So many at a time ask a service whether it is about to be certified: anybody can make us ask.
const PROOFS: usize = 4;

#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) service: Service,
    pub(crate) tally: Arc<Tally>,
    pub(crate) crowd: Arc<Crowd>,
    pace: Option<Arc<Mutex<Pace>>>,
    pub(crate) proofs: Semaphore,
    turn: AtomicUsize,
    /// For each upstream, until when it is left out, in milliseconds since the door opened.
    left_out: Vec<AtomicU64>,
}

impl Live {
    /// The service as it is now, after what it was before.
    pub(crate) fn after(before: Option<&Self>, service: Service) -> Self {
        let rate = match &service.target {
            Target::Web(web) => web.limits.rate,
            Target::Pass(_) => None,
        };
        let same = |pace: &&Arc<Mutex<Pace>>| {
            rate.is_some_and(|rate| pace.lock().is_ok_and(|pace| pace.rate() == rate))
        };
        let kept = before.and_then(|live| live.pace.as_ref()).filter(same).map(Arc::clone);
        let pace = kept.or_else(|| rate.map(|rate| Arc::new(Mutex::new(Pace::new(rate)))));
        let count = match &service.target {
            Target::Web(web) => web.upstreams.len(),
            Target::Pass(pass) => pass.upstreams.len(),
        };
        Self {
            tally: before.map(|live| Arc::clone(&live.tally)).unwrap_or_default(),
            crowd: before.map(|live| Arc::clone(&live.crowd)).unwrap_or_default(),
            pace,
            proofs: Semaphore::new(PROOFS),
            turn: AtomicUsize::new(0),
            left_out: (0..count).map(|_| AtomicU64::new(0)).collect(),
            service,
        }
    }

    /// What HTTP is spoken with; none if TLS ends elsewhere.
    pub(crate) fn web(&self) -> Option<&Web> {
        match &self.service.target {
            Target::Web(web) => Some(web),
            Target::Pass(_) => None,
        }
    }

    /// Whether a client may ask now; else for how long not.
    pub(crate) fn may_ask(&self, client: u64, now: Duration) -> Result<(), Duration> {
        let Some(pace) = &self.pace else { return Ok(()) };
        pace.lock().unwrap_or_else(PoisonError::into_inner).take(client, now)
    }

    /// The addresses in the order in which they are to be tried: in turn, those that did not answer last.
    pub(crate) fn order(&self, now: Duration) -> Vec<(usize, &Upstream)> {
        let all = match &self.service.target {
            Target::Web(web) => &web.upstreams,
            Target::Pass(pass) => &pass.upstreams,
        };
        if let [only] = all.as_slice() {
            return vec![(0, only)];
        }
        let first = self.turn.fetch_add(1, Relaxed) % all.len().max(1);
        let now = millis(now);
        let out = |at: usize| self.left_out.get(at).is_some_and(|until| until.load(Relaxed) > now);
        let numbered = all.iter().enumerate();
        let mut order: Vec<_> = numbered.clone().skip(first).chain(numbered.take(first)).collect();
        order.sort_by_key(|(at, _)| out(*at));
        order
    }

    /// An address did not answer.
    pub(crate) fn leave_out(&self, at: usize, now: Duration) {
        if let Some(until) = self.left_out.get(at) {
            until.store(millis(now + LEFT_OUT), Relaxed);
        }
    }

    pub(crate) fn turn(&self, why: Turned) {
        self.tally.turn(why);
    }
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use freehold_wire::ServiceId;

    use super::*;
    use crate::service::{Access, Rate};

    fn live(rate: Option<Rate>, before: Option<&Live>) -> Live {
        let upstreams = ["/a", "/b", "/c"].map(|path| Upstream::Unix(path.into())).to_vec();
        let mut web = Web::at(upstreams);
        web.limits.rate = rate;
        let id = ServiceId::from_bytes([1; 32]);
        let target = Target::Web(Box::new(web));
        Live::after(before, Service { id, hosts: vec![], access: Access::Public, target })
    }

    #[test]
    fn who_did_not_answer_is_asked_last_for_a_while() {
        let live = live(None, None);
        let order = |at| live.order(Duration::from_secs(at)).iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!((order(1), order(1)), (vec![0, 1, 2], vec![1, 2, 0]));
        live.leave_out(2, Duration::from_secs(1));
        assert_eq!((order(2), order(2)), (vec![0, 1, 2], vec![0, 1, 2]), "2 would have been first");
        assert_eq!(order(2), vec![1, 0, 2]);
        assert_eq!(order(7), vec![2, 0, 1], "it may try again");
    }

    #[test]
    fn a_change_of_the_table_gives_nobody_a_new_burst() {
        let rate = Some(Rate { each_second: 1, burst: 1 });
        let first = live(rate, None);
        assert!(first.may_ask(1, Duration::from_secs(1)).is_ok());
        assert!(live(rate, Some(&first)).may_ask(1, Duration::from_secs(1)).is_err());
        let other = Some(Rate { each_second: 2, burst: 1 });
        assert!(live(other, Some(&first)).may_ask(1, Duration::from_secs(1)).is_ok());
    }
}

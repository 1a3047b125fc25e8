//! What is sent of alarms, and when: an alarm that begins, one that still stands after a day, one that is over. There is
//! no queue: what was told is compared with what stands, so that a channel that was down hears of what is so now, and
//! of nothing that came and went meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::Millis;

/// The first pause after a message that did not arrive; it doubles.
const AGAIN: Millis = Millis::from_secs(15);
/// The longest.
const AGAIN_MAX: Millis = Millis::from_hours(1);
/// So many messages are sent within [`HOUR`] at the most.
const HOURLY: usize = 6;
const HOUR: Millis = Millis::from_hours(1);
/// What still stands is told again after so long.
const REMIND: Millis = Millis::from_hours(24);
/// What is gone for so long is over: what flickers is no news.
const OVER: Millis = Millis::from_secs(10);

/// An alarm that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// When, last.
    pub at: Millis,
    /// Since when it does not stand.
    pub gone: Option<Millis>,
}

/// What one channel has heard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// Alarms, until it has heard that they are over.
    pub told: BTreeMap<String, Told>,
    /// When messages arrived within the last hour, the oldest first.
    pub sent: Vec<Millis>,
    /// How many have failed since one arrived.
    pub failed: u32,
    /// When the last one was tried.
    pub tried: Option<Millis>,
}

/// One message; each list in order, and at least one of them not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Alarms that are new.
    pub begun: Vec<String>,
    /// Alarms that were told and still stand.
    pub standing: Vec<String>,
    /// Alarms that were told and are over.
    pub over: Vec<String>,
    /// No other is sent for a while, whatever happens.
    pub last_for_now: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to say before then, unless something changes.
    Rest(Option<Millis>),
    /// This is to be sent.
    Send(Message),
    /// There is something to say, and not before then.
    Wait(Millis),
}

impl Heard {
    /// Notes which alarms stand now; says whether that changed anything that has to be kept.
    pub fn saw(&mut self, standing: &BTreeSet<String>, now: Millis) -> bool {
        let mut changed = false;
        for (alarm, told) in &mut self.told {
            // A time to come was noted by a clock that was wrong.
            let gone = told.gone.filter(|at| *at <= now);
            let gone = if standing.contains(alarm) { None } else { Some(gone.unwrap_or(now)) };
            changed |= gone != told.gone;
            told.gone = gone;
        }
        changed
    }

    /// What to do now, if these alarms stand.
    pub fn next(&self, standing: &BTreeSet<String>, now: Millis) -> Step {
        let past = |at: &Millis| *at <= now;
        let mut message = Message::default();
        let mut later: Option<Millis> = None;
        for alarm in standing {
            match self.told.get(alarm).map(|told| told.at).filter(past) {
                None if self.told.contains_key(alarm) => message.standing.push(alarm.clone()),
                None => message.begun.push(alarm.clone()),
                Some(at) if at.plus(REMIND) <= now => message.standing.push(alarm.clone()),
                Some(at) => later = later.into_iter().chain([at.plus(REMIND)]).min(),
            }
        }
        for (alarm, told) in self.told.iter().filter(|(alarm, _)| !standing.contains(*alarm)) {
            let since = told.gone.filter(past).unwrap_or(now);
            if since.plus(OVER) <= now {
                message.over.push(alarm.clone());
            } else {
                later = later.into_iter().chain([since.plus(OVER)]).min();
            }
        }
        if message.begun.is_empty() && message.standing.is_empty() && message.over.is_empty() {
            return Step::Rest(later);
        }
        let recent: Vec<Millis> = self.recent(now).collect();
        let room = recent.len().checked_sub(HOURLY).and_then(|over| recent.get(over)).map(|at| at.plus(HOUR));
        let again = self.tried.filter(past).filter(|_| self.failed > 0).map(|at| at.plus(self.pause()));
        if let Some(until) = room.into_iter().chain(again).max().filter(|until| *until > now) {
            return Step::Wait(until);
        }
        message.last_for_now = recent.len() + 1 >= HOURLY;
        Step::Send(message)
    }

    /// A message has arrived.
    pub fn arrived(&mut self, message: &Message, now: Millis) {
        for alarm in message.begun.iter().chain(&message.standing) {
            self.told.insert(alarm.clone(), Told { at: now, gone: None });
        }
        for alarm in &message.over {
            self.told.remove(alarm);
        }
        self.sent = self.recent(now).chain([now]).collect();
        (self.failed, self.tried) = (0, Some(now));
    }

    /// A message has not.
    pub const fn failed(&mut self, now: Millis) {
        (self.failed, self.tried) = (self.failed.saturating_add(1), Some(now));
    }

    fn recent(&self, now: Millis) -> impl Iterator<Item = Millis> {
        self.sent.iter().copied().filter(move |at| *at <= now && at.plus(HOUR) > now)
    }

    fn pause(&self) -> Millis {
        let times = 1_u64.checked_shl(self.failed.saturating_sub(1)).unwrap_or(u64::MAX);
        Millis(AGAIN.0.saturating_mul(times)).min(AGAIN_MAX)
    }
}

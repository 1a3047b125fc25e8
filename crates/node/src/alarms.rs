//! Alarms of this machine, sent to where its people look: what `freehold status` shows at its head. When something is
//! sent is decided in the core; where it goes and what was told lies in files of the home.

mod kept;
mod sending;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freehold_api::{AlarmChannel, Finding, Level, NewAlarmChannel, Problem, words};
use freehold_disk::{make_private_dir, read_private, replace};
use freehold_retention::{Message, Step};
use freehold_wire::Millis;
use tokio::sync::Notify;

use self::kept::{Channel, Channels};
use self::sending::Letter;
use crate::clock;
use crate::home::Home;
use crate::problem::home_problem;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often it is looked what stands.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What stood before a start is taken to stand until everything has been looked at again.
const LOOKED_AROUND: Millis = Millis::from_secs(30);
/// So many lines of a list are sent.
const LINES: usize = 20;
const CHANNELS_MAX: usize = 16;
/// From then on a channel that fails is an alarm itself.
const FAILURES: u32 = 2;
const NOT_ADDED: &str = "alarms do not go there";
const NOWHERE: &str = "alarms are sent nowhere: freehold alarm add NAME --webhook URL";

/// Where alarms go.
pub(crate) struct Alarms {
    file: PathBuf,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    channels: Channels,
    unreadable: Option<String>,
}

impl Alarms {
    pub(crate) fn kept(home: &Home) -> Self {
        let (file, mut state) = (home.alarms().join("channels"), State::default());
        let unreadable = |why: String| Some(format!("{} cannot be read: {why}", file.display()));
        match read_private(&file) {
            Ok(None) => {}
            Ok(Some(bytes)) => match serde_json::from_slice(&bytes) {
                Ok(channels) => state.channels = channels,
                Err(error) => state.unreadable = unreadable(error.to_string()),
            },
            Err(error) => state.unreadable = unreadable(error.to_string()),
        }
        Self { file, state: Mutex::new(state), wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, durably.
    fn change<T>(&self, change: impl FnOnce(&mut Channels) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut state = self.state();
        if let Some(why) = &state.unreadable {
            let next = "move that file aside, then: freehold stop && freehold up";
            return Err(Problem::corrupt("nobody knows where alarms go", why.clone(), Some(next)));
        }
        let mut channels = state.channels.clone();
        let made = change(&mut channels)?;
        let write = || {
            make_private_dir(self.file.parent().unwrap_or(&self.file))?;
            replace(&self.file, &serde_json::to_vec_pretty(&channels)?, 0o600)
        };
        write().map_err(|error| home_problem(&self.file, &error))?;
        state.channels = channels;
        Ok(made)
    }

    pub(crate) fn list(&self) -> Vec<AlarmChannel> {
        self.state().channels.iter().map(|(name, channel)| told(name, channel)).collect()
    }

    pub(crate) fn add(&self, wish: NewAlarmChannel) -> Result<AlarmChannel, Problem> {
        let NewAlarmChannel { name, webhook } = wish;
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 40 || !name.chars().all(is_name) {
            let why = "a name has up to 40 letters, digits, and - _ .";
            return Err(Problem::invalid(NOT_ADDED, why, Some("freehold alarm add phone --webhook URL")));
        }
        let url = sending::fit(&webhook)?;
        let made = self.change(|channels| {
            if channels.contains_key(&name) {
                let next = format!("freehold alarm remove {name}");
                return Err(Problem::conflict(NOT_ADDED, format!("there is a {name} already"), Some(next)));
            }
            if channels.len() >= CHANNELS_MAX {
                let why = format!("they go to {CHANNELS_MAX} places already");
                return Err(Problem::refused(NOT_ADDED, why, Some("freehold alarm list")));
            }
            let channel = Channel::new(url.as_str());
            let made = told(&name, &channel);
            channels.insert(name, channel);
            Ok(made)
        })?;
        self.wake.notify_one();
        Ok(made)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Problem> {
        self.change(|channels| channels.remove(name).map(drop).ok_or_else(|| unknown(name)))
    }

    pub(crate) async fn test(&self, shared: &Shared, name: &str) -> Result<AlarmChannel, Problem> {
        let channel = self.state().channels.get(name).cloned().ok_or_else(|| unknown(name))?;
        let here = shared.name_of(shared.me());
        let letter = Letter {
            title: format!("Freehold on {here}: a test"),
            urgent: false,
            text: format!("Alarms of {here} arrive here.\n"),
        };
        sending::send(&sending::fit(&channel.webhook)?, &letter).await.map_err(|why| {
            let next = format!("freehold alarm remove {name}, then add it anew");
            Problem::unreachable(format!("the message to {name} did not arrive"), why, Some(next))
        })?;
        let told = self.change(|channels| {
            let now =
                channels.get_mut(name).filter(|now| now.id == channel.id).ok_or_else(|| unknown(name))?;
            now.works();
            Ok(told(name, now))
        })?;
        // What waited for its next try need not wait.
        self.wake.notify_one();
        Ok(told)
    }

    /// What is wrong with where alarms go.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let state = self.state();
        let failing = state.channels.iter().filter(|(_, channel)| channel.failed >= FAILURES);
        let failing = failing.map(|(name, channel)| Finding {
            level: Level::Alarm,
            what: failing_what(name),
            why: channel.why.clone().unwrap_or_default(),
            next: Some(format!("set right what it says, then: freehold alarm test {name}")),
        });
        let unread = state.unreadable.iter().map(|why| Finding {
            level: Level::Alarm,
            what: "alarms are sent nowhere".to_owned(),
            why: why.clone(),
            next: Some("move that file aside, then: freehold stop && freehold up".to_owned()),
        });
        unread.chain(failing).collect()
    }
}

fn failing_what(name: &str) -> String {
    format!("alarms do not arrive at {name}")
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(
        format!("no alarms go to {name}"),
        "there is no such place",
        Some("freehold alarm list"),
    )
}

fn told(name: &str, channel: &Channel) -> AlarmChannel {
    let now = clock::wall();
    AlarmChannel {
        name: name.to_owned(),
        host: sending::fit(&channel.webhook)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default(),
        sent_ago_ms: channel.sent_ms.last().map(|at| now.since(Millis(*at)).0),
        failed: channel.failed,
        why: channel.why.clone(),
    }
}

/// Starts to look; it ends with the plane.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    plane.spawn(run(Arc::clone(shared), plane.clone()));
}

async fn run(shared: Arc<Shared>, plane: Plane) {
    loop {
        let channels = shared.alarms.state().channels.clone();
        plane.report(match channels.len() {
            0 => Health::Idle(NOWHERE.to_owned()),
            count => Health::Up(format!("alarms go to {}", words::count(count as u64, "place"))),
        });
        if !channels.is_empty() {
            let standing = standing(&shared);
            let each = channels.keys().map(|name| look(&shared, name, &standing));
            tokio::select! {
                biased;
                () = plane.cancel().cancelled() => return,
                _ = futures::future::join_all(each) => {}
            }
        }
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            () = shared.alarms.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// What stands, by what is said of it without how long it has been so, which changes.
fn standing(shared: &Shared) -> BTreeMap<String, Finding> {
    let key = |what: &str| match what.rsplit_once(" for ") {
        Some((so, long)) if long.starts_with(|c: char| c.is_ascii_digit()) => so.to_owned(),
        _ => what.to_owned(),
    };
    crate::control::alarms_of(shared).into_iter().map(|found| (key(&found.what), found)).collect()
}

async fn look(shared: &Shared, name: &str, standing: &BTreeMap<String, Finding>) {
    let (alarms, now) = (&shared.alarms, clock::wall());
    let own = failing_what(name);
    let mut stand: BTreeSet<String> = standing.keys().filter(|what| **what != own).cloned().collect();
    let Some(mut channel) = alarms.state().channels.get(name).cloned() else { return };
    let mut heard = channel.heard();
    if clock::monotonic().since(shared.started) < LOOKED_AROUND {
        stand.extend(heard.told.keys().cloned());
    }
    let mut changed = heard.saw(&stand, now);
    if let Step::Send(message) = heard.next(&stand, now) {
        changed = true;
        let came = match sending::fit(&channel.webhook) {
            Ok(url) => sending::send(&url, &letter(shared, &message, standing)).await,
            Err(problem) => Err(problem.to_string()),
        };
        match came {
            Ok(()) => heard.arrived(&message, clock::wall()),
            Err(why) => {
                tracing::warn!(channel = name, why, "an alarm did not arrive");
                heard.failed(clock::wall());
                channel.why = Some(why);
            }
        }
    }
    if changed {
        channel.keep(&heard);
        let kept = alarms.change(|channels| {
            // One that was removed meanwhile stays away; one that was added anew under its name has heard nothing.
            if let Some(now) = channels.get_mut(name).filter(|now| now.id == channel.id) {
                *now = channel;
            }
            Ok(())
        });
        if let Err(problem) = kept {
            tracing::warn!(%problem, "what was told of alarms was not kept");
        }
    }
}

fn letter(shared: &Shared, message: &Message, standing: &BTreeMap<String, Finding>) -> Letter {
    let here = shared.name_of(shared.me());
    let Message { begun, standing: still, over, last_for_now } = message;
    let mut lines = Vec::new();
    for (mark, all) in [("ALARM", begun), ("STILL", still)] {
        for what in all {
            let found = standing.get(what);
            let why = found.map(|found| found.why.as_str()).filter(|why| !why.is_empty());
            let next = found.and_then(|found| found.next.as_deref());
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            let next = next.map(|next| format!("\n  next: {next}")).unwrap_or_default();
            lines.push(format!("{mark}: {what}{why}{next}"));
        }
    }
    lines.extend(over.iter().map(|what| format!("OVER: {what}")));
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    if more > 0 {
        lines.push(format!("and {more} more: freehold status"));
    }
    if *last_for_now {
        lines.push("There were many messages: what follows comes together, within the hour.".to_owned());
    }
    let wrong = begun.len() + still.len();
    let title = match wrong {
        0 => format!("Freehold on {here}: {} over", words::count(over.len() as u64, "alarm")),
        wrong => format!("Freehold on {here}: {}", words::count(wrong as u64, "alarm")),
    };
    Letter { title, urgent: wrong > 0, text: lines.join("\n") + "\n" }
}

//! The source's end: takes snapshots, and brings each dataset at each target one step after another to where it should
//! be. Whatever becomes of a dataset is told.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use freehold_wire::{Digest, Millis};
use freehold_zfs::{
    Backup, Dataset, Label, Next, Seen, Shown, Step, Target, Trouble, next, orphans, own_name, prunable,
    taken_after, taken_at,
};
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;

use crate::receiving::ended;
use crate::talk::{Answer, Ask, Pair, shown_from_bytes};
use crate::tool::{Tool, ToolError};

/// What is sent of a stream at once.
const PART: usize = 4 << 20;
/// A dataset that is not there, or not encrypted yet, is looked for again after so long.
const LOOK_AGAIN: Millis = Millis::from_secs(60);
/// A dataset takes no more steps than this in one round: each brings it on, but for what nobody has thought of.
const STEPS_MAX: usize = 2000;

/// How a target is reached: one question, one answer.
pub trait Way: Sync {
    /// Asks. An error says that the target is away.
    fn ask(&self, ask: Ask, body: Bytes) -> impl Future<Output = Result<(Answer, Bytes), String>> + Send;
}

/// What became of a dataset at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The target has the newest snapshot, which was made then.
    Done(Millis),
    /// Nothing is sent until a person has looked.
    Trouble(Trouble),
    /// A step did not succeed; it is tried again.
    Failed(String),
    /// The target does not answer.
    Away(String),
    /// The target has another declaration.
    Differs,
}

/// How datasets stand, by their names at the source.
pub type Stand = BTreeMap<Dataset, Outcome>;

enum Broken {
    Away(String),
    Differs,
    Failed(String),
}

impl From<ToolError> for Broken {
    fn from(error: ToolError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Broken> for Outcome {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Away(why) => Self::Away(why),
            Broken::Differs => Self::Differs,
            Broken::Failed(why) => Self::Failed(why),
        }
    }
}

/// One backup at one target, while it is brought on.
struct Run<'a, W> {
    tool: &'a Tool,
    backup: &'a Backup,
    target: &'a Target,
    pair: Pair,
    way: &'a W,
}

/// Takes a snapshot of all datasets of a backup, at the same moment, if one is due or asked for: whether it did,
/// and when the next one is due.
pub async fn take(
    tool: &Tool,
    backup: &Backup,
    now: Millis,
    asked: bool,
) -> Result<(bool, Millis), ToolError> {
    let mut shown = tool.look(&backup.dataset, backup.children).await?;
    shown.retain(|name, seen| backup.covers(name) && seen.encrypted);
    let Some(schedule) = backup.schedule().filter(|_| !shown.is_empty()) else {
        return Ok((false, now.plus(LOOK_AGAIN)));
    };
    let at = taken_at(&schedule, shown.values(), now, 0);
    if !asked && at > now {
        return Ok((false, at));
    }
    let name = own_name(now);
    let all: Vec<String> = shown.keys().map(|dataset| dataset.at(&name)).collect();
    tool.take(&all).await?;
    Ok((true, taken_after(&schedule, Some(now), now, 0)))
}

/// Lets old snapshots of the source go, and what was held for targets that nobody declares any more.
/// Those only once every other target has all, so that one with a new name is known first.
pub async fn thin(tool: &Tool, backup: &Backup, all_done: bool) -> Result<(), ToolError> {
    let labels: BTreeSet<Label> = backup.targets.iter().map(|target| target.name.clone()).collect();
    for (name, seen) in tool.look(&backup.dataset, backup.children).await? {
        if !backup.covers(&name) {
            continue;
        }
        let orphans = if all_done { orphans(&labels, &seen) } else { Vec::new() };
        for (tag, step) in orphans {
            match step {
                Step::Release(snapshot) => tool.release(&tag, &name.at(&snapshot)).await?,
                Step::Unmark(mark) => tool.remove(&name.mark(&mark)).await?,
                _ => {}
            }
        }
        for snapshot in prunable(&backup.keep, &seen) {
            tool.remove(&name.at(&snapshot)).await?;
        }
    }
    Ok(())
}

/// Brings a backup at a target to where it should be, as far as that goes. Each dataset is told of.
pub async fn round<W: Way>(
    tool: &Tool,
    (backup, target, declaration): (&Backup, &Target, Digest),
    way: &W,
) -> Stand {
    let pair = Pair { declaration, backup: backup.name.to_string(), target: target.name.to_string() };
    let run = Run { tool, backup, target, pair, way };
    let mut stand = Stand::new();
    let here = match tool.look(&backup.dataset, backup.children).await {
        Ok(here) => here,
        Err(error) => {
            stand.insert(backup.dataset.clone(), Outcome::Failed(error.to_string()));
            return stand;
        }
    };
    let mut names: BTreeSet<Dataset> = here.keys().filter(|name| backup.covers(name)).cloned().collect();
    names.insert(backup.dataset.clone());
    match run.there().await {
        Ok(there) => {
            // What the target has of a dataset that is gone here is somebody's to decide about.
            let gone = there.keys().filter_map(|place| backup.placed(target, place));
            names.extend(gone.filter(|name| backup.covers(name)));
        }
        Err(broken) => {
            let outcome = Outcome::from(broken);
            return names.into_iter().map(|name| (name, outcome.clone())).collect();
        }
    }
    for name in names {
        let outcome = run.bring(&name).await.unwrap_or_else(Outcome::from);
        stand.insert(name, outcome);
    }
    stand
}

impl<W: Way> Run<'_, W> {
    async fn ask(&self, ask: Ask, body: Bytes) -> Result<(Answer, Bytes), Broken> {
        match self.way.ask(ask, body).await.map_err(Broken::Away)? {
            (Answer::Differs, _) => Err(Broken::Differs),
            (Answer::Refused(why), _) => Err(Broken::Failed(format!("{} says: {why}", self.target.machine))),
            answer => Ok(answer),
        }
    }

    /// What the target has.
    async fn there(&self) -> Result<Shown, Broken> {
        match self.ask(Ask::Look(self.pair.clone()), Bytes::new()).await? {
            (Answer::Shown, body) => shown_from_bytes(&body)
                .map_err(|_| Broken::Failed("the target shows what is not known here".to_owned())),
            _ => Err(odd()),
        }
    }

    async fn there_of(&self, name: &Dataset) -> Result<Option<Seen>, Broken> {
        let Some(place) = self.backup.place(self.target, name) else { return Ok(None) };
        let mut seen = self.there().await?.remove(&place);
        if let Some(seen) = &mut seen {
            seen.token = match &seen.resume {
                Some(resume) => self.tool.token(resume).await.filter(|token| {
                    token.name.split_once('@').is_some_and(|(dataset, _)| dataset == name.as_str())
                }),
                None => None,
            };
        }
        Ok(seen)
    }

    async fn bring(&self, name: &Dataset) -> Result<Outcome, Broken> {
        let mut there = self.there_of(name).await?;
        for _ in 0..STEPS_MAX {
            let here = self.tool.look(name, false).await?.remove(name);
            let step = match next(&self.target.name, here.as_ref(), there.as_ref()) {
                Next::Done(at) => return Ok(Outcome::Done(at)),
                Next::Trouble(trouble) => return Ok(Outcome::Trouble(trouble)),
                Next::Do(step) => step,
            };
            tracing::debug!(dataset = %name, target = %self.target.name, ?step, "a step of a ZFS backup");
            let sends = matches!(step, Step::Send { .. } | Step::Resume(_) | Step::Abandon);
            self.act(name, step, (here.as_ref(), there.as_ref())).await?;
            if sends {
                there = self.there_of(name).await?;
            }
        }
        Err(Broken::Failed("it does not come to an end".to_owned()))
    }

    async fn act(
        &self,
        name: &Dataset,
        step: Step,
        (here, there): (Option<&Seen>, Option<&Seen>),
    ) -> Result<(), Broken> {
        let tag = self.target.name.tag();
        match step {
            Step::Hold(snapshot) => self.tool.hold(&tag, &name.at(&snapshot)).await?,
            Step::Release(snapshot) => self.tool.release(&tag, &name.at(&snapshot)).await?,
            Step::Bookmark(snapshot, mark) => {
                self.tool.bookmark(&name.at(&snapshot), &name.mark(&mark)).await?;
            }
            Step::Unmark(mark) => self.tool.remove(&name.mark(&mark)).await?,
            Step::Send { base, snapshot } => {
                let known = here.and_then(|seen| seen.snapshots.iter().find(|known| known.name == snapshot));
                let guid = known.map(|known| known.guid).ok_or_else(odd)?;
                let number = self.begin(name, guid).await?;
                let sent = self.stream(self.tool.send(name, base.as_ref(), &snapshot)?, number).await?;
                tracing::debug!(dataset = %name, sent, "a stream was sent");
            }
            Step::Resume(token) => {
                let wanted = there.and_then(|seen| seen.token.as_ref()).ok_or_else(odd)?;
                let number = self.begin(name, wanted.guid).await?;
                let sent = self.stream(self.tool.resume(&token)?, number).await?;
                let (target, came) = (&self.target.name, wanted.bytes);
                tracing::info!(dataset = %name, %target, came, sent, "a stream that broke off was gone on with");
            }
            Step::Abandon => {
                self.ask(Ask::Abandon(self.pair.clone(), name.to_string()), Bytes::new()).await?;
            }
        }
        Ok(())
    }

    async fn begin(&self, name: &Dataset, guid: u64) -> Result<u64, Broken> {
        match self.ask(Ask::Begin(self.pair.clone(), name.to_string(), guid), Bytes::new()).await? {
            (Answer::Ready(number), _) => Ok(number),
            _ => Err(odd()),
        }
    }

    /// Sends what a program prints: how many bytes. It ends with this, whatever happens.
    async fn stream(&self, mut sends: Child, number: u64) -> Result<u64, Broken> {
        let mut output = sends.stdout.take().ok_or_else(odd)?;
        let (mut part, mut sent) = (0, 0);
        loop {
            let mut body = BytesMut::with_capacity(PART);
            while body.len() < PART {
                let read = output.read_buf(&mut body).await;
                if read.map_err(|error| Broken::Failed(error.to_string()))? == 0 {
                    break;
                }
            }
            if body.is_empty() {
                break;
            }
            sent += body.len() as u64;
            self.ask(Ask::Part(number, part), body.freeze()).await?;
            part += 1;
        }
        // A stream that was cut short must not look like a whole one.
        ended(sends).await.map_err(Broken::Failed)?;
        match self.ask(Ask::End(number), Bytes::new()).await? {
            (Answer::Done, _) => Ok(sent),
            _ => Err(odd()),
        }
    }
}

fn odd() -> Broken {
    Broken::Failed("the two machines do not understand each other".to_owned())
}

//! The target's end: shows what it keeps, takes streams in, and lets old snapshots go by its own decision.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use freehold_wire::{Digest, Millis};
use freehold_zfs::{Backup, Dataset, Declaration, Shown, Target, Tend, tend};

use crate::receiving::Receiving;
use crate::talk::{Answer, Ask, BODY_MAX, Pair, shown_to_bytes};
use crate::tool::{Tool, ToolError};

/// So many streams come in at a time.
const STREAMS_MAX: usize = 8;
/// A stream of which nothing comes for so long is broken off.
const SILENT: Duration = Duration::from_mins(3);
/// So many changes are made at a dataset before others have their turn.
const STEPS_MAX: usize = 200;

/// When something came last, and what failed, by backup and target.
pub type Tended = BTreeMap<(String, String), (Option<Millis>, Option<String>)>;

type Streams = BTreeMap<u64, Arc<Receiving>>;

/// The datasets that this machine keeps for others.
#[derive(Debug, Default)]
pub struct Keeper {
    tool: Tool,
    streams: Mutex<Streams>,
    number: AtomicU64,
}

/// What the declaration says of a question.
struct Place<'a> {
    backup: &'a Backup,
    target: &'a Target,
    /// Where all of it lies.
    whole: Dataset,
}

impl Keeper {
    /// With a certain program, and a number that no earlier run of this one has given out.
    pub fn new(tool: Tool, first: u64) -> Self {
        Self { tool, streams: Mutex::default(), number: AtomicU64::new(first) }
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a machine of the realm. `me` and `caller` are names that the realm knows them by.
    pub async fn answer(
        &self,
        (declaration, digest): (&Declaration, Digest),
        (me, caller): (&str, &str),
        (ask, body): (Ask, Bytes),
        now: Millis,
    ) -> (Answer, Bytes) {
        let place = |pair: &Pair| {
            if pair.declaration != digest {
                return Err(Answer::Differs);
            }
            let known = declaration.pair(&pair.backup, &pair.target);
            let known = known.filter(|(backup, target)| {
                backup.machine.as_str() == caller && target.machine.as_str() == me
            });
            let stranger =
                || Answer::Refused("the declaration names no such backup between the two".to_owned());
            let (backup, target) = known.ok_or_else(stranger)?;
            let whole = backup.place(target, &backup.dataset).ok_or_else(stranger)?;
            Ok(Place { backup, target, whole })
        };
        let done = match ask {
            Ask::Look(pair) => match place(&pair) {
                Ok(place) => self.look(&pair, &place).await,
                Err(answer) => return (answer, Bytes::new()),
            },
            Ask::Begin(pair, dataset, guid) => match place(&pair) {
                Ok(place) => self.begin(&pair, &place, &dataset, guid).await,
                Err(answer) => return (answer, Bytes::new()),
            },
            Ask::Abandon(pair, dataset) => match place(&pair) {
                Ok(place) => self.abandon(&pair, &place, &dataset).await,
                Err(answer) => return (answer, Bytes::new()),
            },
            Ask::Part(number, part) => self.part(caller, declaration, (number, part), &body).await,
            Ask::End(number) => self.end(caller, declaration, number, now).await,
        };
        done.unwrap_or_else(|why| (Answer::Refused(why.chars().take(900).collect()), Bytes::new()))
    }

    /// A source that looks sends nothing meanwhile: what it had begun has broken off.
    async fn look(&self, pair: &Pair, place: &Place<'_>) -> Result<(Answer, Bytes), String> {
        self.break_off(&(pair.backup.clone(), pair.target.clone())).await;
        self.root(place).await?;
        let shown = self.tool.look(&place.whole, place.backup.children).await.map_err(said)?;
        let body = shown_to_bytes(&shown);
        if body.len() > BODY_MAX {
            return Err("there are more snapshots than can be told of".to_owned());
        }
        Ok((Answer::Shown, body.into()))
    }

    /// A root that is not there is a pool that is not imported. Nothing is made in its place.
    async fn root(&self, place: &Place<'_>) -> Result<(), String> {
        let root = &place.target.root;
        if self.tool.look(root, false).await.map_err(said)?.is_empty() {
            return Err(format!("there is no {root} here: import its pool, or zfs create it"));
        }
        Ok(())
    }

    async fn begin(
        &self,
        pair: &Pair,
        place: &Place<'_>,
        dataset: &str,
        guid: u64,
    ) -> Result<(Answer, Bytes), String> {
        let of = (pair.backup.clone(), pair.target.clone());
        let at = at(place, dataset)?;
        self.break_off(&of).await;
        self.root(place).await?;
        let room = place.backup.room(place.target).ok_or("its room has no name")?;
        self.tool.room(&room, place.target.limit).await.map_err(said)?;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let mut streams = self.streams();
        if streams.len() >= STREAMS_MAX {
            return Err(format!("{STREAMS_MAX} streams come in already"));
        }
        streams.insert(number, Arc::new(Receiving::new(of, at, guid)));
        Ok((Answer::Ready(number), Bytes::new()))
    }

    /// A stream of whoever asks.
    fn stream(&self, caller: &str, declaration: &Declaration, number: u64) -> Result<Arc<Receiving>, String> {
        let stream = self.streams().get(&number).cloned();
        let mine = stream.filter(|stream| {
            let known = declaration.pair(&stream.of.0, &stream.of.1);
            known.is_some_and(|(backup, _)| backup.machine.as_str() == caller)
        });
        mine.ok_or_else(|| "that stream is over".to_owned())
    }

    async fn part(
        &self,
        caller: &str,
        declaration: &Declaration,
        (number, part): (u64, u64),
        body: &Bytes,
    ) -> Result<(Answer, Bytes), String> {
        let stream = self.stream(caller, declaration, number)?;
        let taken = stream.part(&self.tool, part, body).await;
        if taken.is_err() {
            self.streams().remove(&number);
            stream.break_off().await;
        }
        taken.map(|()| (Answer::Done, Bytes::new()))
    }

    async fn end(
        &self,
        caller: &str,
        declaration: &Declaration,
        number: u64,
        now: Millis,
    ) -> Result<(Answer, Bytes), String> {
        let stream = self.stream(caller, declaration, number)?;
        self.streams().remove(&number);
        stream.end().await?;
        let known = declaration.pair(&stream.of.0, &stream.of.1);
        if let Some((_, target)) = known {
            // What is left of it is done when this machine looks after all that it keeps.
            if let Err(error) = self.tend_one(target, &stream.place, now).await {
                tracing::warn!(%error, dataset = %stream.place, "what came is not held yet");
            }
        }
        Ok((Answer::Done, Bytes::new()))
    }

    async fn abandon(
        &self,
        pair: &Pair,
        place: &Place<'_>,
        dataset: &str,
    ) -> Result<(Answer, Bytes), String> {
        let at = at(place, dataset)?;
        self.break_off(&(pair.backup.clone(), pair.target.clone())).await;
        self.tool.abandon(&at).await.map_err(said)?;
        Ok((Answer::Done, Bytes::new()))
    }

    async fn break_off(&self, of: &(String, String)) {
        let mut gone = Vec::new();
        self.streams().retain(|_, stream| {
            let other = stream.of != *of;
            if !other {
                gone.push(Arc::clone(stream));
            }
            other
        });
        for stream in gone {
            stream.break_off().await;
        }
    }

    /// Breaks off what is silent, or everything.
    pub async fn tidy(&self, everything: bool) {
        let all: Vec<_> = self.streams().iter().map(|(number, one)| (*number, Arc::clone(one))).collect();
        for (number, stream) in all {
            if everything || stream.idle().await > SILENT {
                self.streams().remove(&number);
                stream.break_off().await;
            }
        }
    }

    /// Looks after all that this machine keeps: of each backup and target, when something came last and what failed.
    pub async fn tend(&self, declaration: &Declaration, me: &str, now: Millis) -> Tended {
        let mut tended = Tended::new();
        for (backup, target) in declaration.at(me) {
            let one = self.tend_all(backup, target, now).await;
            let (came, why) = one.unwrap_or_else(|error| (None, Some(error.to_string())));
            tended.insert((backup.name.to_string(), target.name.to_string()), (came, why));
        }
        tended
    }

    async fn tend_all(
        &self,
        backup: &Backup,
        target: &Target,
        now: Millis,
    ) -> Result<(Option<Millis>, Option<String>), ToolError> {
        let Some(whole) = backup.place(target, &backup.dataset) else { return Ok((None, None)) };
        let kept = self.tool.look(&whole, backup.children).await?;
        let came = kept.values().flat_map(|seen| &seen.snapshots).filter_map(|known| known.received).max();
        let mut why = None;
        for name in kept.keys() {
            if let Err(error) = self.tend_one(target, name, now).await {
                why = Some(error.to_string());
            }
        }
        Ok((came, why))
    }

    async fn tend_one(&self, target: &Target, place: &Dataset, now: Millis) -> Result<(), ToolError> {
        for _ in 0..STEPS_MAX {
            let shown: Shown = self.tool.look(place, false).await?;
            let todo = shown.get(place).and_then(|kept| tend(&target.keep, kept, now));
            let newest = freehold_zfs::tag("newest");
            match todo {
                None => return Ok(()),
                Some(Tend::ReadOnly) => self.tool.readonly(place).await?,
                Some(Tend::Note(name, at)) => self.tool.note(&place.at(&name), at).await?,
                Some(Tend::Hold(name)) => self.tool.hold(&newest, &place.at(&name)).await?,
                Some(Tend::Release(name)) => self.tool.release(&newest, &place.at(&name)).await?,
                Some(Tend::Prune(name)) => {
                    tracing::info!(snapshot = place.at(&name), "an old snapshot of a backup goes");
                    self.tool.remove(&place.at(&name)).await?;
                }
            }
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what a failure is turned into")]
fn said(error: ToolError) -> String {
    error.to_string()
}

/// Where a dataset of the source lies, if it is one that the declaration names.
fn at(place: &Place<'_>, dataset: &str) -> Result<Dataset, String> {
    let dataset = Dataset::new(dataset).map_err(|error| error.to_string())?;
    let meant = place.backup.covers(&dataset);
    let at = place.backup.place(place.target, &dataset).filter(|_| meant);
    at.ok_or_else(|| format!("the declaration does not name {dataset}"))
}

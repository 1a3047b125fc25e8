//! The move from its beginning to its receipt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use freehold_moves::{
    BucketMoved, Closing, Facts, Line, Next, Plan, Receipt, Side, bucket_names, manifest_line, next, seal,
};

use crate::bringing::list;
use crate::client::{Ask, S3};
use crate::{Credentials, Folder, MoveError, Realm};

/// What somebody wants to be moved.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The old realm.
    pub from: Side,
    /// The new one.
    pub to: Side,
    /// These buckets; without any, all that the key sees.
    pub buckets: Vec<String>,
    /// Other names for them in the new realm.
    pub renamed: BTreeMap<String, String>,
}

/// What is told while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// What is done next, in words.
    Stage(String),
    /// Objects that were looked after in this round.
    Objects {
        /// The bucket.
        bucket: String,
        /// So many are done.
        done: u64,
        /// Of so many.
        of: u64,
    },
    /// Versions that were read back.
    ReadBack {
        /// The bucket.
        bucket: String,
        /// So many are done.
        done: u64,
        /// Of so many.
        of: u64,
    },
}

/// What a bucket has, before anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookBucket {
    /// Its name.
    pub name: String,
    /// Its name in the new realm.
    pub now: String,
    /// Versions in it, without delete markers.
    pub versions: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the new realm has one of that name.
    pub taken: bool,
}

/// What would be moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Each bucket.
    pub buckets: Vec<LookBucket>,
}

/// How far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is there, and writes go on in the old realm.
    Copied(Vec<BucketMoved>),
    /// The new realm counts.
    Moved {
        /// What was moved.
        receipt: Box<Receipt>,
        /// The file that it stands in.
        file: PathBuf,
    },
}

/// A move.
pub struct Mover<'a> {
    pub(crate) folder: Folder,
    pub(crate) from: S3,
    pub(crate) to: S3,
    pub(crate) told: &'a (dyn Fn(Told) + Send + Sync),
    /// That nobody writes, where the old realm does not let writes be refused.
    pub(crate) said_still: bool,
    /// That the old realm will not answer any more.
    old_is_gone: bool,
}

/// What whoever moves says of how it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    /// That nobody writes, so that the old buckets need not be closed.
    pub nobody_writes: bool,
    /// That the old realm will not answer any more: what was brought over is all there is.
    pub old_is_gone: bool,
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(0))
}

fn sides(from: &Side, to: &Side) -> Result<(S3, S3), MoveError> {
    let side = |realm, side: &Side| {
        let key = Credentials::read(Path::new(&side.key_file))?;
        S3::new(realm, &side.endpoint, side.ca.as_deref(), key)
    };
    Ok((side(Realm::Old, from)?, side(Realm::New, to)?))
}

async fn chosen(from: &S3, wish: &Wish) -> Result<BTreeMap<String, String>, MoveError> {
    let names = if wish.buckets.is_empty() {
        let (_, xml) = from.ask(&Ask::get("", "")).await?;
        let what = "the list of buckets".to_owned();
        bucket_names(&xml).map_err(|source| MoveError::Answer { realm: Realm::Old, what, source })?
    } else {
        wish.buckets.clone()
    };
    if names.is_empty() {
        return Err(MoveError::Nothing);
    }
    let called = |name: String| {
        let now = wish.renamed.get(&name).unwrap_or(&name).clone();
        (name, now)
    };
    Ok(names.into_iter().map(called).collect())
}

/// Says what would be moved, and changes nothing.
pub(crate) async fn look(wish: &Wish) -> Result<Look, MoveError> {
    let (from, to) = sides(&wish.from, &wish.to)?;
    let mut look = Look::default();
    for (name, now) in chosen(&from, wish).await? {
        let all = list(&from, &name, "").await?;
        let versions = || all.objects.values().flatten().filter(|seen| !seen.marker);
        let (count, bytes) = (versions().count() as u64, versions().map(|seen| seen.size).sum());
        let taken = to.ask_if_there(&Ask::get(&now, "").with("location", ""), &["NoSuchBucket"]).await;
        let taken = match taken {
            Err(error) if error.is(&["AccessDenied"]) => true,
            other => other?.is_some(),
        };
        look.buckets.push(LookBucket { name, now, versions: count, bytes, taken });
    }
    Ok(look)
}

impl<'a> Mover<'a> {
    /// Says what would be moved, and changes nothing.
    ///
    /// # Errors
    /// [`MoveError`]
    pub async fn look(wish: &Wish) -> Result<Look, MoveError> {
        look(wish).await
    }

    /// Begins a move, or goes on with the one in the folder: then `wish` is the same, or is not given.
    ///
    /// # Errors
    /// [`MoveError`]
    pub async fn open(
        folder: Folder,
        wish: Option<&Wish>,
        said: Said,
        told: &'a (dyn Fn(Told) + Send + Sync),
    ) -> Result<Self, MoveError> {
        let plan = folder.see(|model| model.plan.clone());
        let another = |why: &str| MoveError::Another { path: folder.path().to_owned(), why: why.to_owned() };
        let (from, to) = match (&plan, wish) {
            (None, None) => return Err(MoveError::NoMove(folder.path().to_owned())),
            (Some(plan), Some(wish)) if (&plan.from, &plan.to) != (&wish.from, &wish.to) => {
                return Err(another("its endpoints or key files are others"));
            }
            (Some(plan), Some(wish)) if wish.buckets.iter().any(|name| !plan.buckets.contains_key(name)) => {
                return Err(another("a bucket is named that it does not move"));
            }
            (Some(plan), _) => sides(&plan.from, &plan.to)?,
            (None, Some(wish)) => {
                let (from, to) = sides(&wish.from, &wish.to)?;
                let buckets = chosen(&from, wish).await?;
                let plan = Plan { from: wish.from.clone(), to: wish.to.clone(), buckets };
                folder.note(Line::Begun(plan, now()))?;
                (from, to)
            }
        };
        Ok(Self { folder, from, to, told, said_still: said.nobody_writes, old_is_gone: said.old_is_gone })
    }

    fn buckets(&self) -> BTreeMap<String, String> {
        self.folder.see(|model| model.plan.as_ref().map(|plan| plan.buckets.clone())).unwrap_or_default()
    }

    fn stage(&self, word: &str, says: impl Into<String>) -> Result<(), MoveError> {
        self.folder.write("stage", format!("{word}\n").as_bytes())?;
        (self.told)(Told::Stage(says.into()));
        Ok(())
    }

    /// Goes on until everything is there, or, with `only_copy`, until all that is left is to close the old buckets.
    ///
    /// # Errors
    /// [`MoveError`]: it goes on where it was when it is run again.
    pub async fn run(&self, only_copy: bool) -> Result<Outcome, MoveError> {
        if self.folder.see(|model| model.taken_over).is_none() && !self.bring_all(only_copy).await? {
            return Ok(Outcome::Copied(self.folder.see(BucketMoved::all)));
        }
        self.finish().await
    }

    /// Brings everything over, up to the moment when the new realm counts; says no if it stopped before.
    async fn bring_all(&self, only_copy: bool) -> Result<bool, MoveError> {
        let buckets = self.buckets();
        let closed = self.folder.see(|model| model.closed.is_some());
        let (said_still, old_is_gone) = (self.said_still, self.old_is_gone);
        // Once they are closed, to go on is what opens them soonest.
        let only_copy = only_copy && !closed;
        let mut facts = Facts { said_still, closed, only_copy, old_is_gone, ..Facts::default() };
        if old_is_gone {
            self.folder.note(Line::OldIsGone)?;
            self.stage("closed", "Looking at what was brought over.")?;
        } else {
            self.prepare(&buckets, closed).await?;
        }
        loop {
            facts.unchecked = self.folder.see(freehold_moves::Model::unchecked);
            match next(&facts) {
                Next::Round => self.round_all(&buckets, &mut facts).await?,
                Next::Check => {
                    for (bucket, now) in &buckets {
                        self.check(bucket, now).await?;
                    }
                }
                Next::Close => {
                    self.close_all(&buckets).await?;
                    facts.closed = true;
                }
                Next::Compare => {
                    facts.compared = self.compare_all(&buckets).await?;
                    facts.still = if facts.compared { facts.still } else { 0 };
                }
                Next::Rest => {
                    self.stage("copied", "Everything is there; writes go on in the old realm.")?;
                    return Ok(false);
                }
                Next::TakeOver => {
                    self.folder.note(Line::TakenOver(now()))?;
                    self.stage("moved", "The new realm counts: write there from now on.")?;
                    return Ok(true);
                }
            }
        }
    }

    async fn prepare(&self, buckets: &BTreeMap<String, String>, closed: bool) -> Result<(), MoveError> {
        self.stage(if closed { "closed" } else { "copying" }, "Reading both realms' lists.")?;
        for (bucket, now) in buckets {
            // Whoever was killed while closing has closed some of them.
            self.close(bucket, if closed { Closing::All } else { Closing::Sayings }).await?;
            self.compare(bucket, now).await?;
        }
        Ok(())
    }

    /// Whether the new realm has what was written down, and nothing else; what is wrong is mended for the next time.
    async fn compare_all(&self, buckets: &BTreeMap<String, String>) -> Result<bool, MoveError> {
        let mut mended = false;
        for (bucket, now) in buckets {
            mended |= self.compare(bucket, now).await?;
            if !self.old_is_gone {
                self.read_settings(bucket).await?;
            }
        }
        // What is missing of a realm that is gone stays so: it is not in the receipt.
        Ok(!mended || self.old_is_gone)
    }

    async fn round_all(
        &self,
        buckets: &BTreeMap<String, String>,
        facts: &mut Facts,
    ) -> Result<(), MoveError> {
        (facts.steps, facts.bytes) = (0, 0);
        for (bucket, now) in buckets {
            let did = self.round(bucket, now).await?;
            facts.steps += did.steps;
            facts.bytes += did.bytes;
        }
        facts.rounds += 1;
        let shut = facts.closed || facts.said_still;
        facts.still = if shut && facts.steps == 0 { facts.still + 1 } else { 0 };
        facts.compared &= facts.steps == 0;
        Ok(())
    }

    async fn close_all(&self, buckets: &BTreeMap<String, String>) -> Result<(), MoveError> {
        self.folder.note(Line::Closed(now()))?;
        self.stage(
            "closed",
            "The old buckets refuse writes from now on, for as long as the last differences take.",
        )?;
        for bucket in buckets.keys() {
            self.close(bucket, Closing::All).await?;
        }
        Ok(())
    }

    /// What is left once the new realm counts: the old one is not asked any more.
    async fn finish(&self) -> Result<Outcome, MoveError> {
        let buckets = self.buckets();
        let list = self.folder.see(|model| {
            let lines = model.buckets.iter().flat_map(|(bucket, known)| {
                known.objects.iter().flat_map(move |(key, versions)| {
                    versions.iter().map(move |kept| manifest_line(bucket, key, kept))
                })
            });
            lines.collect::<String>()
        });
        self.folder.write("list", list.as_bytes())?;
        for (bucket, now) in &buckets {
            self.apply_settings(bucket, now).await?;
        }
        let key = self.folder.key()?;
        let ids = (self.from.key_id().to_owned(), self.to.key_id().to_owned());
        let receipt = self.folder.see(|model| Receipt::of(model, ids, list.as_bytes(), &key));
        // There is a plan, and the new realm counts: that is what a receipt needs.
        let receipt = receipt.ok_or_else(|| MoveError::NoMove(self.folder.path().to_owned()))?;
        for (bucket, now) in &buckets {
            self.say_origin(bucket, now, &receipt.manifest_sha256).await?;
        }
        let file = self.folder.write("receipt", seal(&receipt, &key).as_bytes())?;
        if self.folder.see(|model| model.ended.is_none()) {
            self.folder.note(Line::Ended(now()))?;
        }
        self.stage("ended", "The receipt is written.")?;
        Ok(Outcome::Moved { receipt: Box::new(receipt), file })
    }

    /// Gives the move up, as long as the old realm counts: its buckets take writes again.
    ///
    /// # Errors
    /// [`MoveError::Over`] once the new one counts.
    pub async fn stay(&self) -> Result<(), MoveError> {
        if self.folder.see(|model| model.taken_over).is_some() {
            return Err(MoveError::Over);
        }
        for bucket in self.buckets().keys() {
            self.reopen(bucket).await?;
        }
        self.folder.note(Line::Reopened)?;
        self.stage("open", "The old buckets are as they were.")
    }
}

impl std::fmt::Debug for Mover<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mover").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}

//! What is written down while a move goes on, and what it adds up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Kept, apply};

/// One of the two realms, as it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// The address of its S3 endpoint.
    pub endpoint: String,
    /// The file with the member's access key there.
    pub key_file: String,
    /// A file with certificates that count besides those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// What is to be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The old realm.
    pub from: Side,
    /// The new one.
    pub to: Side,
    /// The buckets by their names in the old realm, with those in the new one.
    pub buckets: BTreeMap<String, String>,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// What it is about: the first line.
    Begun(Plan, u64),
    /// The bucket was made in the new realm.
    Made(String),
    /// From now on it keeps versions there.
    Keeps(String),
    /// A version was brought over.
    Kept(String, String, Kept),
    /// A version was taken away in the new realm, or was not there.
    Removed(String, String, String),
    /// A version was read back.
    Checked(String, String, String),
    /// The old buckets refuse writes, since that time.
    Closed(u64),
    /// They take them again.
    Reopened,
    /// How the bucket was set when it was closed: the name of a setting, and its document.
    Setting(String, String, String),
    /// The old realm does not answer any more: what was brought over is all there is.
    OldIsGone,
    /// The new realm counts, since that time.
    TakenOver(u64),
    /// Something of the bucket could not be moved.
    Left(String, String),
    /// All is done.
    Ended(u64),
}

/// What is known of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelBucket {
    /// Whether it was made in the new realm.
    pub made: bool,
    /// Whether it keeps versions there.
    pub keeps: bool,
    /// What was brought over, by key, oldest first.
    pub objects: BTreeMap<String, Vec<Kept>>,
    /// How it was set.
    pub settings: BTreeMap<String, String>,
    /// What could not be moved.
    pub left: Vec<String>,
}

/// What all lines add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// What it is about.
    pub plan: Option<Plan>,
    /// When it began.
    pub begun: u64,
    /// By their names in the old realm.
    pub buckets: BTreeMap<String, ModelBucket>,
    /// Since when the old buckets refuse writes.
    pub closed: Option<u64>,
    /// Whether the old realm ceased to answer before all was compared.
    pub old_is_gone: bool,
    /// Since when the new realm counts.
    pub taken_over: Option<u64>,
    /// When all was done.
    pub ended: Option<u64>,
}

impl Model {
    /// Takes a line in.
    pub fn read(&mut self, line: Line) {
        match line {
            Line::Begun(plan, at) => {
                self.buckets =
                    plan.buckets.keys().map(|name| (name.clone(), ModelBucket::default())).collect();
                (self.plan, self.begun) = (Some(plan), at);
            }
            Line::Made(bucket) => self.bucket(bucket).made = true,
            Line::Keeps(bucket) => self.bucket(bucket).keeps = true,
            Line::Kept(bucket, key, kept) => apply(self.bucket(bucket).objects.entry(key).or_default(), kept),
            Line::Removed(bucket, key, version) => {
                let objects = &mut self.bucket(bucket).objects;
                if let Some(there) = objects.get_mut(&key) {
                    there.retain(|kept| kept.to != version);
                    if there.is_empty() {
                        objects.remove(&key);
                    }
                }
            }
            Line::Checked(bucket, key, version) => {
                let there = self.bucket(bucket).objects.get_mut(&key);
                let found = there.and_then(|there| there.iter_mut().find(|kept| kept.to == version));
                if let Some(kept) = found {
                    kept.checked = true;
                }
            }
            Line::Closed(at) => self.closed = Some(at),
            Line::Reopened => self.closed = None,
            Line::Setting(bucket, name, document) => {
                drop(self.bucket(bucket).settings.insert(name, document));
            }
            Line::OldIsGone => self.old_is_gone = true,
            Line::TakenOver(at) => self.taken_over = Some(at),
            Line::Left(bucket, what) => {
                let left = &mut self.bucket(bucket).left;
                if !left.contains(&what) {
                    left.push(what);
                }
            }
            Line::Ended(at) => self.ended = Some(at),
        }
    }

    fn bucket(&mut self, name: String) -> &mut ModelBucket {
        self.buckets.entry(name).or_default()
    }

    /// Versions that were not read back yet.
    pub fn unchecked(&self) -> u64 {
        let all = self.buckets.values().flat_map(|bucket| bucket.objects.values().flatten());
        all.filter(|kept| !kept.checked && !kept.from.marker).count() as u64
    }
}

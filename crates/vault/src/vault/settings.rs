//! What is said of a bucket, and of versions after they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use freehold_index::{Retention, Row, Settings, Version, Word, is_of_each, may_retain};
use freehold_seal::{Amendment, Aspect, BucketKey, Content, Setting, SettingRow};
use freehold_wire::{Bounded, BucketId, NodeId, Text};
use tokio::sync::watch;

use super::commit::Draft;
use super::manifest::document;
use super::write::nothing;
use super::{Inner, Vault, now};
use crate::{Annotations, GetError, Locks, Note, PolicyMark, PutError};

impl Vault {
    /// How a bucket is set. A bucket that this node cannot read is not set at all, as far as it knows.
    pub fn settings(&self, bucket: &BucketId) -> Arc<Settings> {
        self.inner.index().settings(bucket)
    }

    /// Says something of a bucket; nothing takes back what was said.
    ///
    /// # Errors
    /// [`PutError`]; [`PutError::Setting`] if it cannot be set so.
    pub async fn set(
        &self,
        bucket: &BucketId,
        setting: Setting,
        document: Option<Vec<u8>>,
    ) -> Result<(), PutError> {
        let inner = &self.inner;
        let (info, sealing) = inner.bucket_to_write(bucket, "any")?;
        // No object has this key, so nothing but settings waits for it.
        let held = inner.lock_key(bucket, "").await;
        let there = inner.index().settings(bucket);
        there.may_set(setting, document.as_deref())?;
        let is_said = if is_of_each(setting) {
            inner.says(bucket, setting, document.as_deref(), &sealing)
        } else {
            there.document(setting) == document.as_deref()
        };
        if is_said {
            return Ok(());
        }
        let document = document.map(self::document).transpose()?;
        let content = Content::Setting(SettingRow { setting, document });
        let draft = about(*bucket, content, sealing);
        let committed = inner.commit(held, vec![draft], nothing).await?;
        match committed.first() {
            Some(committed) => inner.confirm(&info, *committed).await,
            None => Err(PutError::Closing),
        }
    }

    /// Which policy a bucket has, for a write that it allows: see [`crate::Conditions::allowed_by`].
    pub fn policy_mark(&self, bucket: &BucketId) -> PolicyMark {
        self.inner.policy_mark(bucket)
    }

    /// What each node said last of a setting of which each one's word stands by itself.
    pub fn words(&self, bucket: &BucketId, setting: Setting) -> Vec<Word> {
        self.inner.index().words(bucket, setting)
    }

    /// Names the nodes whose word on each bucket's owner counts: whoever writes a bucket could make it anybody's.
    pub fn set_makers(&self, makers: BTreeMap<BucketId, BTreeSet<NodeId>>) {
        *self.inner.makers.write().unwrap_or_else(PoisonError::into_inner) = makers;
    }

    /// Whose a bucket is, as [`Setting::Owner`] has it, if somebody said so whose word on it counts.
    pub fn owner(&self, bucket: &BucketId) -> Option<Vec<u8>> {
        let settings = self.settings(bucket);
        let owner = settings.document(Setting::Owner)?;
        self.strange_owner(bucket).is_none().then(|| owner.to_vec())
    }

    /// The node that said whose a bucket is, and may not.
    pub fn strange_owner(&self, bucket: &BucketId) -> Option<NodeId> {
        let by = self.inner.index().setter(bucket, Setting::Owner)?;
        let makers = self.inner.makers.read().unwrap_or_else(PoisonError::into_inner);
        makers.get(bucket).is_some_and(|makers| !makers.contains(&by)).then_some(by)
    }

    /// Tells when there is a new one.
    pub fn watch_words(&self) -> watch::Receiver<()> {
        self.inner.words.subscribe()
    }

    /// Says something of a version, or of the current one. Returns which one it was.
    ///
    /// # Errors
    /// [`PutError`]; [`PutError::Locked`] if it would weaken a retention.
    pub async fn annotate(
        &self,
        bucket: &BucketId,
        key: &str,
        version: Option<Version>,
        note: Note,
    ) -> Result<Version, PutError> {
        let inner = &self.inner;
        let (info, sealing) = inner.bucket_to_write(bucket, key)?;
        let held = inner.lock_key(bucket, key).await;
        let (row, locks) = inner.row(bucket, key, version).map_err(|error| match error {
            GetError::NoSuchVersion => PutError::NoSuchVersion,
            GetError::Marker { version, .. } => PutError::Marker(version),
            _ => PutError::NoSuchKey,
        })?;
        let Note { aspect, document, bypass } = note;
        if matches!(aspect, Aspect::Retention | Aspect::Hold) {
            if inner.index().settings(bucket).object_lock().is_none() {
                return Err(PutError::NoObjectLock);
            }
            if aspect == Aspect::Retention {
                let to = document.as_deref().and_then(|bytes| Retention::decode(bytes).ok());
                may_retain(&locks, to, now(), bypass)?;
            }
        }
        let amendment = Amendment {
            name: Text::new(key).map_err(|long| PutError::KeyLength(long.got))?,
            target: row.target(),
            aspect,
            document: document.map(self::document).transpose()?,
        };
        let content = Content::Amendment(amendment);
        let draft = about(*bucket, content, sealing);
        let committed = inner.commit(held, vec![draft], nothing).await?;
        let committed = *committed.first().ok_or(PutError::Closing)?;
        inner.confirm(&info, committed).await?;
        Ok(row.version())
    }

    /// What is said of an aspect of a version, or of the current one; and which one that is.
    ///
    /// # Errors
    /// [`GetError`]
    pub async fn annotation(
        &self,
        bucket: &BucketId,
        key: &str,
        version: Option<Version>,
        aspect: Aspect,
    ) -> Result<(Version, Option<Vec<u8>>), GetError> {
        let mut meta = self.head(bucket, key, version).await?;
        Ok((meta.version, meta.annotations.remove(&aspect)))
    }
}

/// An entry that stores nothing.
fn about(bucket: BucketId, content: Content, sealing: BucketKey) -> Draft {
    Draft { bucket, content, blobs: Bounded::new(), sealing, small: None, has_room: true, allowed_by: None }
}

impl Inner {
    /// Which policy a bucket has.
    pub(crate) fn policy_mark(&self, bucket: &BucketId) -> PolicyMark {
        PolicyMark(self.index().newest_setting(bucket, Setting::Policy))
    }

    /// Whether this node said the same last, under the key that it would seal with now.
    fn says(&self, bucket: &BucketId, setting: Setting, document: Option<&[u8]>, key: &BucketKey) -> bool {
        let index = self.index();
        index.word(bucket, setting, self.config.node).is_some_and(|word| {
            word.document.as_deref() == document && u32::from(word.generation) == key.generation()
        })
    }

    /// Lets it be known that somebody's word is in the index.
    pub(super) fn note_word(&self) {
        self.words.send_replace(());
    }

    /// A version that is there, or the current one, and what locks it.
    pub(crate) fn row(
        &self,
        bucket: &BucketId,
        key: &str,
        version: Option<Version>,
    ) -> Result<(Row, Locks), GetError> {
        let index = self.index();
        let state = index.state(bucket, key);
        let row = match version {
            None => {
                let row = state.and_then(|state| state.current()).ok_or(GetError::NoSuchKey)?;
                if row.is_marker() {
                    return Err(GetError::Deleted(row.version()));
                }
                row
            }
            Some(version) => {
                let row = state.and_then(|state| state.find(version)).ok_or(GetError::NoSuchVersion)?;
                if row.is_marker() {
                    return Err(GetError::Marker { version, modified: row.modified });
                }
                row
            }
        };
        let locks = state.map(|state| state.locks(row, now())).unwrap_or_default();
        Ok((row.clone(), locks))
    }

    /// Lays what was said later over what a version was written with.
    pub(crate) fn amend(
        &self,
        bucket: &BucketId,
        key: &str,
        row: &Row,
        said: &mut Annotations,
    ) -> Result<(), GetError> {
        for aspect in [Aspect::Tags, Aspect::Retention, Aspect::Hold, Aspect::Acl] {
            let target = row.target();
            let amended = self.index().state(bucket, key).and_then(|state| state.amended(target, aspect));
            let Some((stamp, some)) = amended else { continue };
            let document = if some {
                let content = self.load_content(stamp.locator(*bucket))?;
                match content {
                    Content::Amendment(amendment) if amendment.aspect == aspect => amendment.document,
                    _ => return Err(GetError::Tampered),
                }
            } else {
                None
            };
            match document {
                Some(document) => said.insert(aspect, document.into_bytes()),
                None => said.remove(&aspect),
            };
        }
        Ok(())
    }
}

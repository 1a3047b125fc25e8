//! Lifecycle: what the rules of a bucket say is due is done here, whenever the vault is swept. Every
//! gateway does so by itself; what two of them do at once comes to the same.

use std::ops::Bound;
use std::sync::Arc;

use freehold_crypt::hash;
use freehold_index::{Action, BucketIndex, Lifecycle, Seen, State, due};
use freehold_seal::{Aspect, VersionId};
use freehold_wire::{BucketId, Millis};

use super::Inner;
use super::delete::Wish;
use super::upload::{UploadRecord, bucket_of};
use crate::{DeleteRequest, PutError, UploadId};

/// Objects looked at while writers wait, and deleted in one commit.
const BATCH: usize = 500;

impl Inner {
    /// Does what is due in every bucket. Returns how many versions were removed or expired.
    pub(crate) async fn run_lifecycles(self: &Arc<Self>, now: Millis) -> u64 {
        let with_rules: Vec<(BucketId, Arc<Lifecycle>)> = {
            let index = self.index();
            let rules = |bucket: &BucketIndex| bucket.settings().lifecycle().cloned();
            index.buckets().filter_map(|(id, bucket)| Some((*id, rules(bucket)?))).collect()
        };
        let mut done = 0;
        for (bucket, rules) in with_rules {
            // Only what the realm still has, and only where others would take it in.
            if self.bucket(&bucket).is_none() || self.may_write(&bucket).is_err() {
                continue;
            }
            match self.run_lifecycle(&bucket, &rules, now).await {
                Ok(count) => done += count,
                Err(error) => {
                    tracing::warn!(bucket = %bucket.short(), %error, "what is due was not removed");
                }
            }
        }
        done
    }

    async fn run_lifecycle(
        self: &Arc<Self>,
        bucket: &BucketId,
        rules: &Lifecycle,
        now: Millis,
    ) -> Result<u64, PutError> {
        let (mut from, mut done) = (None, 0);
        loop {
            let (found, next) = self.due_batch(bucket, rules, now, from.as_deref());
            let mut wishes = Vec::new();
            for (key, seen) in found {
                let seen = if rules.asks_tags() { self.with_tags(bucket, &key, seen).await } else { seen };
                for action in due(rules, &key, &seen, now, self.config.day) {
                    wishes.push(self.wish(bucket, &key, action));
                }
            }
            if !wishes.is_empty() {
                done += self.carry_out(bucket, &wishes).await?;
            }
            match next {
                Some(next) => from = Some(next),
                None => return Ok(done),
            }
        }
    }

    async fn carry_out(self: &Arc<Self>, bucket: &BucketId, wishes: &[Wish]) -> Result<u64, PutError> {
        match self.delete_all(bucket, wishes).await {
            // What is locked stays, and what has changed meanwhile is looked at the next time.
            Ok(results) => Ok(results.iter().filter(|done| done.is_ok()).count() as u64),
            Err(PutError::NotConfirmed { .. }) => Ok(wishes.len() as u64),
            Err(error) => Err(error),
        }
    }

    /// The next objects of which something may be due, and where to go on.
    fn due_batch(
        &self,
        bucket: &BucketId,
        rules: &Lifecycle,
        now: Millis,
        after: Option<&str>,
    ) -> (Vec<(String, Vec<Seen>)>, Option<String>) {
        let index = self.index();
        let Some(bucket) = index.bucket(bucket) else { return (Vec::new(), None) };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        for (looked_at, (key, state)) in (1..).zip(bucket.keys().range::<str, _>((from, Bound::Unbounded))) {
            let seen = seen(state);
            if !due(rules, key, &seen, now, self.config.day).is_empty() {
                found.push((key.to_string(), seen));
            }
            if looked_at >= BATCH {
                return (found, Some(key.to_string()));
            }
        }
        (found, None)
    }

    async fn with_tags(self: &Arc<Self>, bucket: &BucketId, key: &str, mut seen: Vec<Seen>) -> Vec<Seen> {
        let vault = super::Vault { inner: Arc::clone(self) };
        for seen in &mut seen {
            let said = vault.annotation(bucket, key, Some(seen.version), Aspect::Tags).await;
            let tags = match said {
                Ok((_, tags)) => tags.unwrap_or_default(),
                // A marker has none. What cannot be read now is not known to have the tag.
                Err(_) => Vec::new(),
            };
            seen.tags = Some(read_tags(&tags));
        }
        seen
    }

    fn wish(&self, bucket: &BucketId, key: &str, action: Action) -> Wish {
        let request = |version| DeleteRequest { key: key.to_owned(), version, ..DeleteRequest::default() };
        match action {
            Action::Remove(version) => Wish { request: request(Some(version)), expires: None },
            Action::Expire(version) => {
                let index = self.index();
                let state = index.state(bucket, key);
                let marker = state.and_then(|state| state.find(version)).map(|row| marker_of(row.id));
                // A marker that was taken away again is not made twice.
                let marker = marker.filter(|id| !state.is_some_and(|state| state.knows(*id)));
                Wish { request: request(None), expires: Some((version, marker)) }
            }
        }
    }

    /// Ends an upload if the rules of its bucket say so.
    pub(crate) fn gives_up(&self, bucket: &BucketId, key: &str, begun: Millis, now: Millis) -> bool {
        let settings = self.index().settings(bucket);
        settings.lifecycle().is_some_and(|rules| rules.gives_up(key, begun, now, self.config.day))
    }

    /// The bucket, key and time of beginning of an upload; `None` without its bucket's key.
    pub(crate) fn upload_of(&self, upload: UploadId, record: &[u8]) -> Option<(BucketId, String, Millis)> {
        let (bucket, sealed) = bucket_of(record)?;
        let (record, _) = UploadRecord::open(self, bucket, upload, sealed).ok()?;
        Some((bucket, record.key(), record.begun))
    }
}

fn seen(state: &State) -> Vec<Seen> {
    let seen = |living: freehold_index::Living<'_>| Seen {
        version: living.row.version(),
        marker: living.row.is_marker(),
        size: living.row.size,
        modified: living.row.modified,
        tags: None,
    };
    state.living().map(seen).collect()
}

/// The marker of an expired version has the same id on every node that makes it, so it is one.
fn marker_of(expired: VersionId) -> VersionId {
    let digest = hash::digest("freehold 2026 expiry marker", expired.as_bytes());
    VersionId::from_bytes(*digest.first_chunk().unwrap_or(&[0; 16]))
}

/// Tags as they are kept: `a=b&c=d`, percent-encoded.
fn read_tags(document: &[u8]) -> Vec<(String, String)> {
    let pairs = document.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(at);
            (decoded(name), decoded(value.get(1..).unwrap_or_default()))
        })
        .collect()
}

fn decoded(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let pair = after.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = pair.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_they_were_written() {
        let read = read_tags(b"a%20b=c%2Bd&e=%26%3D&f=&%FC=%zz");
        let wanted = [("a b", "c+d"), ("e", "&="), ("f", ""), ("\u{fffd}", "%zz")];
        assert_eq!(read, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(read_tags(b"").is_empty());
    }
}

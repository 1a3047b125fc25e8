//! How a bucket is set: closing it, what is carried over, and what is not.

use freehold_moves::{Closing, Line, closed, field, reopened};
use http::Method;

use crate::client::Ask;
use crate::run::Mover;
use crate::{MoveError, Realm};

/// Settings that are documents of the bucket's own and mean the same anywhere, in the order in which they are set, with
/// S3's word for one that has none.
const CARRIED: [(&str, &str); 6] = [
    ("tagging", "NoSuchTagSet"),
    ("cors", "NoSuchCORSConfiguration"),
    ("website", "NoSuchWebsiteConfiguration"),
    ("publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
    ("ownershipControls", "OwnershipControlsNotFoundError"),
    ("lifecycle", "NoSuchLifecycleConfiguration"),
];
const NO_POLICY: &str = "NoSuchBucketPolicy";
const LOCK: &str = "object-lock";
const VERSIONING: &str = "versioning";

impl Mover<'_> {
    async fn policy(&self, bucket: &str) -> Result<Option<String>, MoveError> {
        let ask = Ask::get(bucket, "").with("policy", "");
        self.from.ask_if_there(&ask, &[NO_POLICY, "NotImplemented"]).await
    }

    /// Closes a bucket of the old realm. Says no where the old realm does not let the member do it.
    pub(crate) async fn close(&self, bucket: &str, closing: Closing) -> Result<bool, MoveError> {
        let done = async {
            let policy = self.policy(bucket).await?;
            let policy = closed(policy.as_deref(), bucket, closing)
                .map_err(|source| MoveError::Policy { bucket: bucket.to_owned(), source })?;
            self.from.ask(&Ask::put(bucket, "").with("policy", "").body(policy)).await
        };
        match done.await {
            Ok(_) => Ok(true),
            Err(MoveError::Refused { realm: Realm::Old, status: 401 | 403 | 405 | 501, .. })
                if self.said_still =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens it again: it has the policy that it had.
    pub(crate) async fn reopen(&self, bucket: &str) -> Result<(), MoveError> {
        let Some(policy) = self.policy(bucket).await? else { return Ok(()) };
        let before = reopened(Some(&policy))
            .map_err(|source| MoveError::Policy { bucket: bucket.to_owned(), source })?;
        let ask = match before {
            Some(before) => Ask::put(bucket, "").with("policy", "").body(before),
            None => Ask::new(Method::DELETE, bucket, "").with("policy", ""),
        };
        self.from.ask(&ask).await.map(drop)
    }

    fn note_setting(&self, bucket: &str, name: &str, document: String) -> Result<(), MoveError> {
        self.folder.note(Line::Setting(bucket.to_owned(), name.to_owned(), document))
    }

    fn note_left(&self, bucket: &str, what: impl Into<String>) -> Result<(), MoveError> {
        self.folder.note(Line::Left(bucket.to_owned(), what.into()))
    }

    /// Writes down how a bucket is set, so that the old realm is not needed for it any more.
    pub(crate) async fn read_settings(&self, bucket: &str) -> Result<(), MoveError> {
        for (name, none) in CARRIED {
            let found = self
                .from
                .ask_if_there(&Ask::get(bucket, "").with(name, ""), &[none, "NotImplemented"])
                .await?;
            if let Some(document) = found {
                self.note_setting(bucket, name, document)?;
            }
        }
        let none = ["ObjectLockConfigurationNotFoundError", "NotImplemented"];
        let lock = self.from.ask_if_there(&Ask::get(bucket, "").with(LOCK, ""), &none).await?;
        if let Some(lock) = lock {
            self.note_setting(bucket, LOCK, lock)?;
        }
        let versioning = self.from.ask(&Ask::get(bucket, "").with(VERSIONING, "")).await?.1;
        if versioning.contains("<Status>") {
            self.note_setting(bucket, VERSIONING, versioning)?;
        }
        if let Some(policy) = self.policy(bucket).await?
            && let Ok(Some(_)) = reopened(Some(&policy))
        {
            self.note_left(bucket, "its policy: it names people by their ids in the old realm")?;
        }
        let lists = self
            .from
            .ask_if_there(&Ask::get(bucket, "").with("acl", ""), &["NotImplemented", "AccessDenied"])
            .await?;
        if lists.is_some_and(|lists| lists.matches("<Grant>").count() > 1) {
            self.note_left(bucket, "its list of who may: it names people by their ids in the old realm")?;
        }
        Ok(())
    }

    /// Sets the bucket in the new realm as it was, and locks what was locked. What the new realm will not have is told.
    pub(crate) async fn apply_settings(&self, bucket: &str, now: &str) -> Result<(), MoveError> {
        self.lock_versions(bucket, now).await?;
        let settings = self
            .folder
            .see(|model| model.buckets.get(bucket).map(|bucket| bucket.settings.clone()).unwrap_or_default());
        let suspended =
            |document: &String| field(document, "Status").ok().flatten().as_deref() == Some("Suspended");
        let order = [LOCK].into_iter().chain(CARRIED.iter().map(|(name, _)| *name)).chain([VERSIONING]);
        for (name, document) in order.filter_map(|name| Some((name, settings.get(name)?))) {
            // A bucket with object lock was made so; only its rule is said again.
            let said = match name {
                LOCK => document.contains("<Rule>"),
                VERSIONING => suspended(document),
                _ => true,
            };
            if said {
                self.say(bucket, now, name, document).await?;
            }
        }
        Ok(())
    }

    async fn say(&self, bucket: &str, now: &str, name: &str, document: &str) -> Result<(), MoveError> {
        match self.to.ask(&Ask::put(now, "").with(name, "").body(document.to_owned())).await {
            Err(MoveError::Refused { status, code, message, .. }) if status < 500 || status == 501 => {
                self.note_left(bucket, format!("{name}, which the new realm refuses: {code} {message}"))
            }
            other => other.map(drop),
        }
    }

    /// Retentions and holds come last: a version that is locked could not be taken away again.
    async fn lock_versions(&self, bucket: &str, now: &str) -> Result<(), MoveError> {
        let locked: Vec<_> = self.folder.see(|model| {
            let objects = model.buckets.get(bucket).into_iter().flat_map(|bucket| &bucket.objects);
            let all = objects.flat_map(|(key, versions)| versions.iter().map(move |kept| (key, kept)));
            let locked = all.filter(|(_, kept)| !kept.locks.is_empty());
            locked.map(|(key, kept)| (key.clone(), kept.to.clone(), kept.locks.clone())).collect()
        });
        for (key, version, locks) in locked {
            let find = |end: &str| {
                locks.iter().find(|(name, _)| name.ends_with(end)).map(|(_, value)| value.as_str())
            };
            if let (Some(mode), Some(until)) = (find("-mode"), find("-date")) {
                let body = format!(
                    "<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
                );
                self.lock(bucket, now, (&key, &version), ("retention", body)).await?;
            }
            if let Some(hold) = find("-hold") {
                let body = format!("<LegalHold><Status>{hold}</Status></LegalHold>");
                self.lock(bucket, now, (&key, &version), ("legal-hold", body)).await?;
            }
        }
        Ok(())
    }

    async fn lock(
        &self,
        bucket: &str,
        now: &str,
        (key, version): (&str, &str),
        (name, body): (&str, String),
    ) -> Result<(), MoveError> {
        let ask = Ask::put(now, key).with(name, "").version(version).body(body);
        match self.to.ask(&ask).await {
            // A retention that is over by now locks nothing.
            Err(MoveError::Refused { status: 400..=499, code, message, .. }) => {
                self.note_left(bucket, format!("{name} of {key}: {code} {message}"))
            }
            other => other.map(drop),
        }
    }

    /// Leaves word on the bucket of where it came from.
    pub(crate) async fn say_origin(&self, bucket: &str, now: &str, list: &str) -> Result<(), MoveError> {
        let tags = self.to.ask_if_there(&Ask::get(now, "").with("tagging", ""), &["NoSuchTagSet"]).await?;
        let own = |name: &str, value: &str| format!("<Tag><Key>{name}</Key><Value>{value}</Value></Tag>");
        let endpoint = self.folder.see(|model| model.plan.as_ref().map(|plan| plan.from.endpoint.clone()));
        let origin = format!("{}/{bucket}", endpoint.unwrap_or_default().trim_end_matches('/'));
        let said = own("freehold-moved-from", &origin) + &own("freehold-moved-list", list);
        let tags = tags.unwrap_or_else(|| "<Tagging><TagSet></TagSet></Tagging>".to_owned());
        if tags.contains("freehold-moved-from") {
            return Ok(());
        }
        let tags =
            tags.replace("<TagSet/>", "<TagSet></TagSet>").replace("</TagSet>", &format!("{said}</TagSet>"));
        self.say(bucket, now, "tagging", &tags).await
    }
}

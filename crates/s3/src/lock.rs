//! Object lock: how a bucket locks what is written, and how versions are locked one by one.

use freehold_vault::{
    Annotations, Aspect, DefaultRetention, Locks, Mode, Note, ObjectLock, Period, PutError, Retention,
    Setting, Versioning,
};
use freehold_wire::{BucketId, Millis};
use s3s::dto::{
    GetObjectLegalHoldInput, GetObjectLegalHoldOutput, GetObjectLockConfigurationInput,
    GetObjectLockConfigurationOutput, GetObjectRetentionInput, GetObjectRetentionOutput,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
    ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode, ObjectLockRule, PutObjectLegalHoldInput,
    PutObjectLegalHoldOutput, PutObjectLockConfigurationInput, PutObjectLockConfigurationOutput,
    PutObjectRetentionInput, PutObjectRetentionOutput, Timestamp,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};

use crate::front::Front;
use crate::meta::timestamp;
use crate::refusal;
use crate::tagging::Tags;
use crate::versions::version;

/// Amazon's longest default retention: a hundred years.
const DAYS_MAX: i32 = 36_500;
const YEARS_MAX: i32 = 100;

/// What the headers of a write say of the version it makes.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) tags: Option<String>,
    pub(crate) mode: Option<ObjectLockMode>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) hold: Option<ObjectLockLegalHoldStatus>,
}

/// The fields that requests which write have in common.
macro_rules! said {
    ($input:ident) => {
        $crate::lock::Said {
            tags: $input.tagging,
            mode: $input.object_lock_mode,
            until: $input.object_lock_retain_until_date,
            hold: $input.object_lock_legal_hold_status,
        }
    };
}
pub(crate) use said;

impl Said {
    pub(crate) fn annotations(self) -> S3Result<Annotations> {
        let mut said = Annotations::new();
        if let Some(tags) = self.tags
            && let Some(document) = Tags::of_header(&tags)?.document()
        {
            said.insert(Aspect::Tags, document);
        }
        match (self.mode, self.until) {
            (Some(mode), Some(until)) => {
                let mode = parse_mode(mode.as_str()).ok_or_else(unknown_mode)?;
                let retention = Retention { mode, until: in_future(&until)? };
                said.insert(Aspect::Retention, retention.to_bytes());
            }
            (None, None) => {}
            _ => {
                return Err(s3_error!(
                    InvalidArgument,
                    "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
                ));
            }
        }
        if let Some(hold) = self.hold {
            let on = parse_hold(&hold)
                .ok_or_else(|| s3_error!(InvalidArgument, "Legal Hold must be either of 'ON' or 'OFF'"))?;
            said.insert(Aspect::Hold, Locks::hold_to_bytes(on));
        }
        Ok(said)
    }
}

/// What the answer to a read says of locks.
pub(crate) struct ShownLocks {
    pub(crate) mode: Option<ObjectLockMode>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) hold: Option<ObjectLockLegalHoldStatus>,
}

impl ShownLocks {
    pub(crate) fn of(locks: &Locks, said: &Annotations) -> Self {
        Self {
            mode: locks.retention.map(|retention| ObjectLockMode::from_static(mode_text(retention.mode))),
            until: locks.retention.map(|retention| timestamp(retention.until)),
            hold: said.contains_key(&Aspect::Hold).then(|| hold_status(locks.hold)),
        }
    }
}

impl Front {
    pub(crate) fn object_lock(
        &self,
        input: &GetObjectLockConfigurationInput,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let settings = self.vault.settings(&bucket);
        let Some(lock) = settings.object_lock() else {
            return Err(s3_error!(
                ObjectLockConfigurationNotFoundError,
                "Object Lock configuration does not exist for this bucket"
            ));
        };
        let rule =
            lock.default.map(|default| ObjectLockRule { default_retention: Some(shown_default(default)) });
        let configuration = ObjectLockConfiguration {
            object_lock_enabled: Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED)),
            rule,
        };
        Ok(S3Response::new(GetObjectLockConfigurationOutput {
            object_lock_configuration: Some(configuration),
        }))
    }

    pub(crate) async fn set_object_lock(
        &self,
        input: PutObjectLockConfigurationInput,
    ) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let wanted = input.object_lock_configuration.unwrap_or_default();
        if wanted.object_lock_enabled.is_none_or(|on| on.as_str() != ObjectLockEnabled::ENABLED) {
            return Err(s3_error!(MalformedXML, "ObjectLockEnabled is Enabled."));
        }
        let default = match wanted.rule.and_then(|rule| rule.default_retention) {
            None => None,
            Some(default) => Some(parse_default(&default)?),
        };
        if self.vault.settings(&bucket).versioning() != Some(Versioning::Enabled) {
            return Err(s3_error!(
                InvalidBucketState,
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            ));
        }
        self.set(&bucket, Setting::ObjectLock, Some(ObjectLock { default }.to_bytes())).await?;
        Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
    }

    /// For a bucket that is made with object lock.
    pub(crate) async fn lock_bucket(&self, bucket: &BucketId) -> S3Result<()> {
        self.set(bucket, Setting::ObjectLock, Some(ObjectLock::default().to_bytes())).await
    }

    fn lockable(&self, name: &str) -> S3Result<BucketId> {
        let bucket = self.bucket(name)?;
        let lock = self.vault.settings(&bucket);
        lock.object_lock().map(|_| bucket).ok_or_else(|| refusal::of_write(&PutError::NoObjectLock))
    }

    pub(crate) async fn retention(
        &self,
        input: GetObjectRetentionInput,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        let bucket = self.lockable(&input.bucket)?;
        let version = version(input.version_id.as_deref())?;
        let head = self.vault.head(&bucket, &input.key, version).await.map_err(|e| refusal::of_get(&e))?;
        let retention = head.locks.retention.ok_or_else(not_locked)?;
        let retention = ObjectLockRetention {
            mode: Some(ObjectLockRetentionMode::from_static(mode_text(retention.mode))),
            retain_until_date: Some(timestamp(retention.until)),
        };
        Ok(S3Response::new(GetObjectRetentionOutput { retention: Some(retention) }))
    }

    pub(crate) async fn retain(
        &self,
        input: PutObjectRetentionInput,
    ) -> S3Result<S3Response<PutObjectRetentionOutput>> {
        let bucket = self.lockable(&input.bucket)?;
        let version = version(input.version_id.as_deref())?;
        let document = match input.retention.map(|wanted| (wanted.mode, wanted.retain_until_date)) {
            Some((Some(mode), Some(until))) => {
                let mode = parse_mode(mode.as_str()).ok_or_else(unknown_mode)?;
                Some(Retention { mode, until: in_future(&until)? }.to_bytes())
            }
            None | Some((None, None)) => None,
            Some(_) => return Err(s3_error!(MalformedXML, "A retention has a mode and a date.")),
        };
        let bypass = input.bypass_governance_retention.unwrap_or(false);
        let note = Note { aspect: Aspect::Retention, document, bypass };
        let said = self.vault.annotate(&bucket, &input.key, version, note).await;
        said.map_err(|e| refusal::of_write(&e))?;
        Ok(S3Response::new(PutObjectRetentionOutput::default()))
    }

    pub(crate) async fn legal_hold(
        &self,
        input: GetObjectLegalHoldInput,
    ) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        let bucket = self.lockable(&input.bucket)?;
        let version = version(input.version_id.as_deref())?;
        let head = self.vault.head(&bucket, &input.key, version).await.map_err(|e| refusal::of_get(&e))?;
        if !head.annotations.contains_key(&Aspect::Hold) {
            return Err(not_locked());
        }
        let legal_hold = ObjectLockLegalHold { status: Some(hold_status(head.locks.hold)) };
        Ok(S3Response::new(GetObjectLegalHoldOutput { legal_hold: Some(legal_hold) }))
    }

    pub(crate) async fn hold(
        &self,
        input: PutObjectLegalHoldInput,
    ) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
        let bucket = self.lockable(&input.bucket)?;
        let version = version(input.version_id.as_deref())?;
        let status = input.legal_hold.and_then(|hold| hold.status);
        let on = status.as_ref().and_then(parse_hold);
        let on = on.ok_or_else(|| s3_error!(MalformedXML, "A legal hold is ON or OFF."))?;
        let note = Note { aspect: Aspect::Hold, document: Some(Locks::hold_to_bytes(on)), bypass: false };
        let said = self.vault.annotate(&bucket, &input.key, version, note).await;
        said.map_err(|e| refusal::of_write(&e))?;
        Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
    }
}

fn parse_mode(text: &str) -> Option<Mode> {
    match text {
        ObjectLockRetentionMode::GOVERNANCE => Some(Mode::Governance),
        ObjectLockRetentionMode::COMPLIANCE => Some(Mode::Compliance),
        _ => None,
    }
}

const fn mode_text(mode: Mode) -> &'static str {
    match mode {
        Mode::Governance => ObjectLockRetentionMode::GOVERNANCE,
        Mode::Compliance => ObjectLockRetentionMode::COMPLIANCE,
    }
}

fn parse_hold(status: &ObjectLockLegalHoldStatus) -> Option<bool> {
    match status.as_str() {
        ObjectLockLegalHoldStatus::ON => Some(true),
        ObjectLockLegalHoldStatus::OFF => Some(false),
        _ => None,
    }
}

fn hold_status(on: bool) -> ObjectLockLegalHoldStatus {
    let text = if on { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
    ObjectLockLegalHoldStatus::from_static(text)
}

fn parse_default(default: &s3s::dto::DefaultRetention) -> S3Result<DefaultRetention> {
    let mode = default.mode.as_ref().and_then(|mode| parse_mode(mode.as_str())).ok_or_else(unknown_mode)?;
    let period = |count: i32, max: i32| {
        let count = u32::try_from(count).ok().filter(|n| *n > 0 && count <= max);
        count.ok_or_else(|| {
            let status = http::StatusCode::BAD_REQUEST;
            refusal::custom(
                "InvalidRetentionPeriod",
                status,
                "The default retention is at least a day and at most a hundred years.",
            )
        })
    };
    let period = match (default.days, default.years) {
        (Some(days), None) => Period::Days(period(days, DAYS_MAX)?),
        (None, Some(years)) => Period::Years(period(years, YEARS_MAX)?),
        _ => return Err(s3_error!(MalformedXML, "A default retention has either days or years.")),
    };
    Ok(DefaultRetention { mode, period })
}

fn shown_default(default: DefaultRetention) -> s3s::dto::DefaultRetention {
    let (days, years) = match default.period {
        Period::Days(days) => (i32::try_from(days).ok(), None),
        Period::Years(years) => (None, i32::try_from(years).ok()),
    };
    let mode = Some(ObjectLockRetentionMode::from_static(mode_text(default.mode)));
    s3s::dto::DefaultRetention { days, years, mode }
}

/// A date to come.
fn in_future(date: &Timestamp) -> S3Result<Millis> {
    let at = time::OffsetDateTime::from(date.clone());
    let past = || s3_error!(InvalidArgument, "The retain until date must be in the future!");
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(|_| past())?;
    if at > time::OffsetDateTime::now_utc() { Ok(Millis(millis)) } else { Err(past()) }
}

fn unknown_mode() -> S3Error {
    s3_error!(MalformedXML, "A retention's mode is GOVERNANCE or COMPLIANCE.")
}

fn not_locked() -> S3Error {
    s3_error!(NoSuchObjectLockConfiguration, "The specified object does not have a ObjectLock configuration")
}

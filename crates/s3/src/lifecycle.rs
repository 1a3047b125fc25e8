//! Lifecycle rules: read, checked, shown as they were given. The vault acts on them.

use std::collections::BTreeSet;

use freehold_vault::{
    Aspect, Expiration, Filter, Lifecycle, Noncurrent, ObjectMeta, Rule, Seen, Setting, Spelled,
};
use freehold_wire::{Bounded, BucketId, Millis, Text};
use s3s::dto::{
    AbortIncompleteMultipartUpload, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput,
    ExpirationStatus, GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
    LifecycleExpiration, LifecycleRule, LifecycleRuleAndOperator, LifecycleRuleFilter,
    NoncurrentVersionExpiration, PutBucketLifecycleConfigurationInput, PutBucketLifecycleConfigurationOutput,
    Tag,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};

use crate::front::Front;
use crate::meta::{http_date, timestamp};
use crate::tagging::Tags;

impl Front {
    pub(crate) fn lifecycle(
        &self,
        input: &GetBucketLifecycleConfigurationInput,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let settings = self.vault.settings(&bucket);
        let Some(rules) = settings.lifecycle() else {
            return Err(s3_error!(
                NoSuchLifecycleConfiguration,
                "The lifecycle configuration does not exist"
            ));
        };
        Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
            rules: Some(rules.0.iter().map(shown).collect()),
            transition_default_minimum_object_size: None,
        }))
    }

    pub(crate) async fn set_lifecycle(
        &self,
        input: PutBucketLifecycleConfigurationInput,
    ) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let wanted = input.lifecycle_configuration.map(|c| c.rules).unwrap_or_default();
        let rules = parse(wanted)?;
        self.set(&bucket, Setting::Lifecycle, Some(rules.to_bytes())).await?;
        Ok(S3Response::new(PutBucketLifecycleConfigurationOutput::default()))
    }

    pub(crate) async fn end_lifecycle(
        &self,
        input: DeleteBucketLifecycleInput,
    ) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        self.set(&bucket, Setting::Lifecycle, None).await?;
        Ok(S3Response::with_status(DeleteBucketLifecycleOutput::default(), http::StatusCode::NO_CONTENT))
    }

    /// What `x-amz-expiration` says of an object: when it goes, and by which rule.
    pub(crate) fn expiration(&self, bucket: &BucketId, meta: &ObjectMeta) -> Option<String> {
        let tags = meta.annotations.get(&Aspect::Tags).map(|document| Tags::read(document));
        self.expires(bucket, &meta.key, meta.size, meta.modified, tags)
    }

    /// The same of what has just been written.
    pub(crate) fn expires(
        &self,
        bucket: &BucketId,
        key: &str,
        size: u64,
        modified: Millis,
        tags: Option<Tags>,
    ) -> Option<String> {
        let settings = self.vault.settings(bucket);
        let seen = Seen {
            version: freehold_vault::Version::Null,
            marker: false,
            size,
            modified,
            tags: Some(tags.unwrap_or_default().into_pairs()),
        };
        let (at, rule) = settings.lifecycle()?.expires(key, &seen)?;
        Some(format!("expiry-date=\"{}\", rule-id=\"{rule}\"", http_date(&timestamp(at))?))
    }
}

fn parse(wanted: Vec<LifecycleRule>) -> S3Result<Lifecycle> {
    if wanted.is_empty() {
        return Err(s3_error!(MalformedXML, "A lifecycle configuration has at least one rule."));
    }
    let mut ids = BTreeSet::new();
    let mut rules = Vec::with_capacity(wanted.len());
    for (number, rule) in (1..).zip(wanted) {
        let rule = parse_rule(number, rule)?;
        if !ids.insert(rule.id.as_str().to_owned()) {
            return Err(s3_error!(
                InvalidArgument,
                "Rule ID must be unique. Found same ID for more than one rule"
            ));
        }
        rules.push(rule);
    }
    let rules = Bounded::from_vec(rules);
    rules.map(Lifecycle).map_err(|long| invalid(&format!("At most {} rules, not {}.", long.max, long.got)))
}

fn parse_rule(number: usize, rule: LifecycleRule) -> S3Result<Rule> {
    if rule.transitions.is_some_and(|t| !t.is_empty())
        || rule.noncurrent_version_transitions.is_some_and(|t| !t.is_empty())
    {
        return Err(s3_error!(
            NotImplemented,
            "There is one storage class, STANDARD, so objects have nowhere to be moved to."
        ));
    }
    let enabled = match rule.status.as_str() {
        ExpirationStatus::ENABLED => true,
        ExpirationStatus::DISABLED => false,
        _ => return Err(s3_error!(MalformedXML, "A rule's status is Enabled or Disabled.")),
    };
    let id = rule.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("rule-{number}"));
    let id = Text::new(id).map_err(|_| invalid("ID length should not exceed allowed limit of 255"))?;
    let filter = parse_filter(rule.prefix, rule.filter.as_ref())?;
    let expiration = match rule.expiration {
        None => None,
        Some(expiration) => Some(parse_expiration(&expiration)?),
    };
    let noncurrent = match rule.noncurrent_version_expiration {
        None => None,
        Some(wanted) => Some(parse_noncurrent(&wanted)?),
    };
    let abort = rule.abort_incomplete_multipart_upload.and_then(|abort| abort.days_after_initiation);
    let abort_days = abort.map(|days| positive(days, "DaysAfterInitiation")).transpose()?;
    if expiration.is_none() && noncurrent.is_none() && abort_days.is_none() {
        return Err(invalid("At least one action needs to be specified in a rule"));
    }
    let narrow = !filter.tags.is_empty() || filter.larger.is_some() || filter.smaller.is_some();
    if narrow && abort_days.is_some() {
        return Err(invalid("AbortIncompleteMultipartUpload cannot be specified with tags or sizes"));
    }
    if !filter.tags.is_empty() && matches!(expiration, Some(Expiration::Marker(_))) {
        return Err(invalid("ExpiredObjectDeleteMarker cannot be specified with tags"));
    }
    Ok(Rule { id, enabled, filter, expiration, noncurrent, abort_days })
}

fn parse_expiration(wanted: &LifecycleExpiration) -> S3Result<Expiration> {
    match (wanted.days, &wanted.date, wanted.expired_object_delete_marker) {
        (Some(days), None, None) => Ok(Expiration::Days(positive(days, "Days")?)),
        (None, Some(date), None) => {
            let at = time::OffsetDateTime::from(date.clone());
            let seconds =
                u64::try_from(at.unix_timestamp()).map_err(|_| invalid("'Date' must be after 1970"))?;
            let midnight = seconds % 86_400 == 0;
            if midnight {
                Ok(Expiration::Date(Millis::from_secs(seconds)))
            } else {
                Err(invalid("'Date' must be at midnight GMT"))
            }
        }
        (None, None, Some(on)) => Ok(Expiration::Marker(on)),
        _ => Err(s3_error!(
            MalformedXML,
            "An expiration has either days, a date, or a word on delete markers."
        )),
    }
}

fn parse_noncurrent(wanted: &NoncurrentVersionExpiration) -> S3Result<Noncurrent> {
    let days = wanted.noncurrent_days.ok_or_else(|| s3_error!(MalformedXML, "NoncurrentDays is missing."))?;
    let keep = wanted.newer_noncurrent_versions;
    let keep = keep.map(|keep| positive(keep, "NewerNoncurrentVersions")).transpose()?;
    Ok(Noncurrent { days: positive(days, "NoncurrentDays")?, keep })
}

fn parse_filter(prefix: Option<String>, filter: Option<&LifecycleRuleFilter>) -> S3Result<Filter> {
    let (Some(one), None) = (filter, &prefix) else {
        if filter.is_some() {
            return Err(s3_error!(MalformedXML, "A rule has a prefix or a filter, not both."));
        }
        let Some(prefix) = prefix else {
            return Err(s3_error!(MalformedXML, "A rule has a filter."));
        };
        return Ok(Filter { prefix: Some(text(prefix)?), spelled: Spelled::Rule, ..Filter::default() });
    };
    let and = one.and.clone().unwrap_or_default();
    let tags = and.tags.unwrap_or_default().into_iter().chain(one.tag.clone());
    let tag = |tag: Tag| Ok((text(tag.key.unwrap_or_default())?, text(tag.value.unwrap_or_default())?));
    let tags: Vec<_> = tags.map(tag).collect::<S3Result<_>>()?;
    let larger = and.object_size_greater_than.or(one.object_size_greater_than);
    let smaller = and.object_size_less_than.or(one.object_size_less_than);
    let size = |bytes: Option<i64>| {
        let bytes = bytes.map(u64::try_from).transpose();
        bytes.map_err(|_| invalid("a size must not be negative"))
    };
    // Of a prefix beside an And and one in it, the longer one is meant by both.
    let prefix = match (and.prefix, one.prefix.clone()) {
        (Some(a), Some(b)) if a.starts_with(&b) => Some(a),
        (Some(a), Some(b)) if b.starts_with(&a) => Some(b),
        (Some(_), Some(_)) => return Err(s3_error!(MalformedXML, "The prefixes contradict each other.")),
        (a, b) => a.or(b),
    };
    Ok(Filter {
        prefix: prefix.map(text).transpose()?,
        tags: Bounded::from_vec(tags).map_err(|_| invalid("too many tags in a filter"))?,
        larger: size(larger)?,
        smaller: size(smaller)?,
        spelled: if one.and.is_some() { Spelled::And } else { Spelled::One },
    })
}

fn text<const N: usize>(text: String) -> S3Result<Text<N>> {
    Text::new(text).map_err(|long| invalid(&format!("A filter's text has at most {} bytes.", long.max)))
}

fn positive(count: i32, what: &str) -> S3Result<u32> {
    let count = u32::try_from(count).ok().filter(|count| *count > 0);
    count.ok_or_else(|| invalid(&format!("'{what}' must be a positive integer")))
}

fn invalid(why: &str) -> S3Error {
    s3_error!(InvalidArgument, "{}", why)
}

fn shown(rule: &Rule) -> LifecycleRule {
    let count = |count: u32| i32::try_from(count).ok();
    let expiration = rule.expiration.map(|expiration| match expiration {
        Expiration::Days(days) => LifecycleExpiration { days: count(days), ..Default::default() },
        Expiration::Date(at) => LifecycleExpiration { date: Some(timestamp(at)), ..Default::default() },
        Expiration::Marker(on) => {
            LifecycleExpiration { expired_object_delete_marker: Some(on), ..Default::default() }
        }
    });
    let noncurrent = rule.noncurrent.map(|noncurrent| NoncurrentVersionExpiration {
        noncurrent_days: count(noncurrent.days),
        newer_noncurrent_versions: noncurrent.keep.and_then(count),
    });
    let status = if rule.enabled { ExpirationStatus::ENABLED } else { ExpirationStatus::DISABLED };
    let (prefix, filter) = shown_filter(&rule.filter);
    LifecycleRule {
        abort_incomplete_multipart_upload: rule
            .abort_days
            .map(|days| AbortIncompleteMultipartUpload { days_after_initiation: count(days) }),
        expiration,
        filter,
        id: Some(rule.id.as_str().to_owned()),
        noncurrent_version_expiration: noncurrent,
        noncurrent_version_transitions: None,
        prefix,
        status: ExpirationStatus::from_static(status),
        transitions: None,
    }
}

fn shown_filter(filter: &Filter) -> (Option<String>, Option<LifecycleRuleFilter>) {
    let prefix = filter.prefix.as_ref().map(|prefix| prefix.as_str().to_owned());
    let tag = |(name, value): &(Text<512>, Text<1024>)| Tag {
        key: Some(name.as_str().to_owned()),
        value: Some(value.as_str().to_owned()),
    };
    let size = |bytes: Option<u64>| bytes.and_then(|bytes| i64::try_from(bytes).ok());
    let (larger, smaller) = (size(filter.larger), size(filter.smaller));
    match filter.spelled {
        Spelled::Rule => (prefix, None),
        Spelled::One => {
            let one = LifecycleRuleFilter {
                object_size_greater_than: larger,
                object_size_less_than: smaller,
                prefix,
                tag: filter.tags.first().map(tag),
                ..Default::default()
            };
            (None, Some(one))
        }
        Spelled::And => {
            let and = LifecycleRuleAndOperator {
                object_size_greater_than: larger,
                object_size_less_than: smaller,
                prefix,
                tags: (!filter.tags.is_empty()).then(|| filter.tags.iter().map(tag).collect()),
            };
            (None, Some(LifecycleRuleFilter { and: Some(and), ..Default::default() }))
        }
    }
}

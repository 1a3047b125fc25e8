//! What people are told of room: quotas and backends that are nearly full, and numbers for metrics.

use std::fmt::Write as _;

use freehold_api::{BackendStatus, Finding, Level, QuotaWhose, UsageStatus, words};

use super::usage;
use crate::shared::Shared;

/// What is used up to here, of a hundred, is worth a word.
const NEARLY: u64 = 90;

fn is_near(used: u64, most: u64) -> bool {
    used >= most / 100 * NEARLY
}

fn how_full(used: u64, most: u64) -> &'static str {
    if used >= most { "used up" } else { "nearly used up" }
}

/// Quotas that are used up or nearly, and backends that take hardly anything more.
pub(crate) fn findings(shared: &Shared) -> Vec<Finding> {
    let bounded = !shared.log.view().state().quotas.is_empty();
    let usage = if bounded { usage(shared) } else { Vec::new() };
    let backends = shared.backends.status(shared);
    usage.iter().filter_map(of_quota).chain(backends.iter().filter_map(of_backend)).collect()
}

fn of_quota(usage: &UsageStatus) -> Option<Finding> {
    let most = usage.limit.filter(|most| is_near(usage.used, *most))?;
    let (full, name) = (how_full(usage.used, most), &usage.name);
    let whose = match usage.of {
        QuotaWhose::Realm => "the realm".to_owned(),
        QuotaWhose::Person(_) => format!("the member {name}"),
        QuotaWhose::Service(_) => format!("the service {name}"),
        QuotaWhose::Bucket(_) => format!("the bucket {name}"),
        QuotaWhose::Database(_) => format!("the database {name}"),
    };
    let (used, most) = (words::bytes(usage.used), words::bytes(most));
    Some(Finding {
        level: Level::Alarm,
        what: format!("the quota of {whose} is {full}"),
        why: format!("{used} of {most} are kept; writes that do not fit are refused"),
        next: Some("delete something (it counts for a day), or: freehold quota set --help".to_owned()),
    })
}

fn of_backend(backend: &BackendStatus) -> Option<Finding> {
    let (used, most) = (backend.used?, backend.capacity?);
    is_near(used, most).then(|| Finding {
        level: Level::Alarm,
        what: format!("the capacity of the backend {} is {}", backend.name, how_full(used, most)),
        why: format!(
            "{} of {} lie on it; copies that do not fit wait, and all else goes on",
            words::bytes(used),
            words::bytes(most)
        ),
        next: Some("attach another one: freehold backend attach --help".to_owned()),
    })
}

/// What is kept and may be, as `/metrics` says it.
pub(crate) fn metrics(shared: &Shared) -> String {
    let usage = usage(shared);
    let gauge = |name: &str, help: &str, rows: Vec<(String, u64)>| {
        let mut out = format!("# HELP freehold_{name} {help}\n# TYPE freehold_{name} gauge\n");
        for (labels, value) in rows {
            writeln!(out, "freehold_{name}{labels} {value}").unwrap_or_default();
        }
        out
    };
    let used = rows(&usage, |usage| Some(usage.used));
    let most = rows(&usage, |usage| usage.limit);
    gauge("usage_bytes", "Sealed bytes kept, all copies together.", used)
        + &gauge("quota_bytes", "Sealed bytes that may be kept.", most)
}

/// A number of each, by id: names are nobody's business who reads metrics.
fn rows(usage: &[UsageStatus], value: fn(&UsageStatus) -> Option<u64>) -> Vec<(String, u64)> {
    let label = |usage: &UsageStatus| {
        let kind = match usage.of {
            QuotaWhose::Realm => return Some("{of=\"realm\"}".to_owned()),
            QuotaWhose::Person(_) => "person",
            QuotaWhose::Service(_) => "service",
            QuotaWhose::Bucket(_) | QuotaWhose::Database(_) => "bucket",
        };
        Some(format!("{{of=\"{kind}\",id=\"{}\"}}", usage.id.as_ref()?))
    };
    usage.iter().filter_map(|usage| Some((label(usage)?, value(usage)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_told_of_from_nine_tenths_on() {
        let told = |used| {
            let (of, name) = (QuotaWhose::Bucket("docs".to_owned()), "docs".to_owned());
            of_quota(&UsageStatus { of, name, id: None, limit: Some(1000), used }).map(|finding| finding.what)
        };
        assert_eq!(told(899), None);
        assert_eq!(told(900).as_deref(), Some("the quota of the bucket docs is nearly used up"));
        assert_eq!(told(1000).as_deref(), Some("the quota of the bucket docs is used up"));
    }
}

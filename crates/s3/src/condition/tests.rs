use std::collections::BTreeMap;

use freehold_vault::{Annotations, Locks, ObjectMeta, Version};
use freehold_wire::Millis;
use s3s::S3ErrorCode;
use s3s::dto::{ETagCondition, Timestamp, TimestampFormat};

use super::ReadConditions;

/// Written half a second after 07:28:00.
fn object() -> ObjectMeta {
    ObjectMeta {
        key: "k".to_owned(),
        version: Version::Null,
        part_sums: None,
        annotations: Annotations::new(),
        locks: Locks::default(),
        size: 1,
        etag: "abc".to_owned(),
        modified: Millis(1_445_412_480_500),
        content_type: None,
        headers: BTreeMap::new(),
        user_meta: BTreeMap::new(),
        checksums: Vec::new(),
        parts: 0,
        part_list: Vec::new(),
    }
}

fn tag(text: &str) -> ETagCondition {
    text.parse().unwrap()
}

fn at(second: &str) -> Timestamp {
    Timestamp::parse(TimestampFormat::HttpDate, &format!("Wed, 21 Oct 2015 07:{second} GMT")).unwrap()
}

fn outcome(conditions: &ReadConditions) -> &'static str {
    match conditions.check(&object()) {
        Ok(()) => "read",
        Err(e) if *e.code() == S3ErrorCode::NotModified => "304",
        Err(e) if *e.code() == S3ErrorCode::PreconditionFailed => "412",
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn each_condition_alone() {
    let none = ReadConditions::default;
    assert_eq!(outcome(&none()), "read");
    assert_eq!(outcome(&ReadConditions { tag_is: Some(tag("\"abc\"")), ..none() }), "read");
    assert_eq!(outcome(&ReadConditions { tag_is: Some(tag("*")), ..none() }), "read");
    assert_eq!(outcome(&ReadConditions { tag_is: Some(tag("\"other\"")), ..none() }), "412");
    assert_eq!(outcome(&ReadConditions { tag_is_not: Some(tag("\"abc\"")), ..none() }), "304");
    assert_eq!(outcome(&ReadConditions { tag_is_not: Some(tag("\"other\"")), ..none() }), "read");
    assert_eq!(outcome(&ReadConditions { changed_since: Some(at("28:00")), ..none() }), "304");
    assert_eq!(outcome(&ReadConditions { changed_since: Some(at("27:59")), ..none() }), "read");
    assert_eq!(outcome(&ReadConditions { unchanged_since: Some(at("28:00")), ..none() }), "read");
    assert_eq!(outcome(&ReadConditions { unchanged_since: Some(at("27:59")), ..none() }), "412");
}

#[test]
fn tags_outrank_dates() {
    let none = ReadConditions::default;
    let fresh = ReadConditions { tag_is: Some(tag("\"abc\"")), unchanged_since: Some(at("27:59")), ..none() };
    assert_eq!(outcome(&fresh), "read");
    let changed =
        ReadConditions { tag_is_not: Some(tag("\"other\"")), changed_since: Some(at("28:00")), ..none() };
    assert_eq!(outcome(&changed), "read");
}

use super::*;

const HOUR_MS: u64 = 60 * MINUTE_MS;

fn bucket(protected: Protection, copies: u16, objects: u64) -> BucketStatus {
    BucketStatus {
        id: "0".repeat(64),
        name: "photos".to_owned(),
        copies,
        confirm: 1,
        objects,
        bytes: 0,
        protected,
        waiting: if protected == Protection::Full { 0 } else { 2 },
        oldest_unprotected_ms: (protected != Protection::Full).then_some(3 * HOUR_MS),
        rules: freehold_api::BucketRules::default(),
        good_copies: Vec::new(),
        bytes_waiting: 0,
        checked_ms: None,
        unchecked: 0,
        lacks: None,
        access: BucketAccess::Writes,
        made_ms: None,
        made_by: None,
    }
}

#[test]
fn spans_are_not_exact_below_a_minute() {
    let spans = [0, 59_000, 60_000, 3 * HOUR_MS];
    assert_eq!(spans.map(ago), ["just now", "just now", "1 minute ago", "3 hours ago"]);
    assert_eq!(span(59_000), "less than a minute");
}

#[test]
fn a_remedy_is_a_command_or_a_sentence() {
    assert_eq!(remedy("freehold up"), ("freehold up", ""));
    assert_eq!(remedy("freehold up    (resumes it)"), ("freehold up", "(resumes it)"));
    assert_eq!(remedy("freehold bucket list, or freehold bucket create x"), ("", "look at Buckets"));
    assert_eq!(remedy("freehold realm veto 01ab    (if not)").0, "");
    for sentence in ["wait a minute", "freehold join asks; bring the others back"] {
        assert_eq!(remedy(sentence), ("", sentence));
    }
}

#[test]
fn a_command_at_the_end_of_a_sentence_is_known() {
    assert_eq!(
        then("set it right, then: freehold backup now home"),
        ("set it right, then", "freehold backup now home")
    );
    for whole in
        ["wait a minute", "do: freehold a, or: b", "ask, or: freehold x    (does it)", ": freehold up"]
    {
        assert_eq!(then(whole), (whole, ""));
    }
}

#[test]
fn sentences_begin_with_a_capital_and_names_of_things_do_not() {
    assert_eq!(sentence("the disk has room"), "The disk has room");
    for kept in [
        "/tmp/x exists",
        "lake.png was cut",
        "127.0.0.1 answers",
        "S3 runs",
        "freehold up does it",
        "photos",
        "",
        "étage haut",
    ] {
        assert_eq!(sentence(kept), kept);
    }
}

#[test]
fn a_place_is_told_in_sentences() {
    let place = NodePlace {
        zone: Some("attic".to_owned()),
        region: Some("DE".to_owned()),
        pace: Some(5_000_000),
        draining: true,
        burden: Some(freehold_api::Burden { objects: 1, bytes: 2000 }),
    };
    assert_eq!(
        super::place(&place),
        "In the zone attic. In the region DE. It fetches copies at 5 MB a second at most. \
         It is being emptied: 1 object (2 kB) depends on it still."
    );
    assert_eq!(super::place(&NodePlace::default()), "");
    let lacks = Some("only 1 node may hold it, and it wants 2".to_owned());
    let bucket = BucketStatus { lacks, ..bucket(Protection::NotYet, 2, 2) };
    assert!(protection(&bucket, 2).ends_with("for 3 hours. For only 1 node may hold it, and it wants 2."));
}

#[test]
fn a_suspended_node_is_not_said_to_be_unheard() {
    let mut node = NodeStatus {
        id: "ab".repeat(32),
        name: "vm".to_owned(),
        roles: Vec::new(),
        connected: false,
        path: None,
        last_heard_ms: None,
        standing: Standing::Suspended,
        backend: None,
        admin: false,
        place: NodePlace::default(),
    };
    assert_eq!(heard(&node, "other"), "Suspended: it gets nothing");
    node.last_heard_ms = Some(3 * HOUR_MS);
    assert_eq!(heard(&node, "other"), "Suspended: it gets nothing; last heard 3 hours ago");
}

#[test]
fn protection_never_promises_more_machines_than_there_are() {
    let full = bucket(Protection::Full, 2, 9);
    assert_eq!(protection(&full, 3), "Everything in photos is on 2 machines.");
    assert_eq!(protection(&full, 1), "Everything in photos is on 1 machine only.");
    assert_eq!(mark(&full, 1).tone, "wait");
    assert_eq!(protection(&bucket(Protection::Full, 2, 0), 3), "Nothing is in it yet.");
    assert_eq!(
        protection(&bucket(Protection::Partly, 2, 9), 3),
        "2 of 9 objects wait for another copy, the oldest for 3 hours."
    );
    assert_eq!(
        protection(&bucket(Protection::NotYet, 2, 9), 3),
        "Nothing in photos has its other copy yet, the oldest for 3 hours."
    );
}

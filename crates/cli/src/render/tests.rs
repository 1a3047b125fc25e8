use super::*;

fn photos(objects: u64, waiting: u64) -> BucketStatus {
    BucketStatus {
        id: "0".repeat(64),
        name: "photos".to_owned(),
        copies: 2,
        confirm: 1,
        objects,
        bytes: objects * 1500,
        protected: match waiting {
            0 => Protection::Full,
            _ if waiting == objects => Protection::NotYet,
            _ => Protection::Partly,
        },
        waiting,
        oldest_unprotected_ms: (waiting > 0).then_some(60_000),
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
fn a_bucket_is_told_in_a_line() {
    let table = [
        ((0, 0), "empty; everything in it will be on 2 nodes"),
        ((1, 0), "1 object, 1.5 kB; protected: everything is on 2 nodes"),
        ((1, 1), "1 object, 1.5 kB; not protected: 1 object waits for a copy (written 1 minute ago)"),
        ((3, 1), "3 objects, 4.5 kB; partly protected: 1 of 3 waits for a copy (written 1 minute ago)"),
        (
            (3, 2),
            "3 objects, 4.5 kB; partly protected: 2 of 3 wait for a copy (the oldest written 1 minute ago)",
        ),
    ];
    for ((objects, waiting), says) in table {
        assert_eq!(bucket(&photos(objects, waiting)).split_once("photos").unwrap().1.trim(), says);
    }
}

#[test]
fn damage_that_was_not_to_be_repaired_is_not_called_irreparable() {
    let found = VerifyFinding {
        key: Some("Photo.JPG".to_owned()),
        blob: "ab".repeat(32),
        damage: Damage::Altered,
        repaired: false,
    };
    assert_eq!(damage(&found, false), "  Photo.JPG: altered, not repaired, as asked");
    assert_eq!(damage(&found, true), "  Photo.JPG: altered, NOT repaired: no good copy answered");
}

#[test]
fn a_right_phrase_is_called_right_where_nothing_can_be_noted() {
    let why = "this machine is not a device of an admin".to_owned();
    let test = GuardianTest { guardian: 2, tested: 0, guardians: 3, needed: 2, not_noted: Some(why) };
    assert_eq!(
        tested(&test),
        "It is the phrase of guardian 2 of 3. Tested so far: 0; 2 can recover the realm.\n\
         The test is not noted in the realm's log: this machine is not a device of an admin."
    );
}

#[test]
fn what_was_read_is_counted_as_people_count() {
    let report = VerifyReport { blobs: 1, bytes: 4900, entries: 1, bad_entries: 0, findings: Vec::new() };
    assert_eq!(verified(&report, true), "read 1 sealed blob (4.9 kB) of 1 entry: all good");
    let report = VerifyReport { blobs: 2, entries: 2, bad_entries: 1, ..report };
    assert!(verified(&report, true).ends_with("2 entries: DAMAGE found\n  1 entry is not what was signed"));
}

#[test]
fn a_new_machine_is_not_told_of_what_nobody_asked_for() {
    let told = |state, detail: &str| {
        part(&PlaneStatus { name: "tunnel".to_owned(), state, detail: detail.to_owned() })
    };
    assert_eq!(told(PlaneState::Idle, "nobody has asked for a proxy"), None);
    assert_eq!(told(PlaneState::Running, "packets are carried by freehold0"), None);
    assert_eq!(told(PlaneState::Degraded, "why"), None, "an alarm has it");
    let off = told(PlaneState::Off, "packets are not carried, as --no-packets says").unwrap();
    assert_eq!(off, "  tunnel           off: packets are not carried, as --no-packets says");
    let other = told(PlaneState::Running, &format!("{}, 1 flow", words::IN_USER_SPACE)).unwrap();
    assert!(other.starts_with("  tunnel           packets are carried in user space"));
}

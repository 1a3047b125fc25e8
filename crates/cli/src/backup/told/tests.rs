use freehold_api::{BackupChecked, BackupRun, BackupThinned, BackupTrial};

use super::*;

fn standing_of(target: &str) -> BackupStanding {
    BackupStanding {
        target: target.to_owned(),
        running: None,
        last: None,
        failed: 0,
        why: None,
        next_in_ms: Some(0),
        tried: None,
        tried_whole: None,
        next_whole_in_ms: None,
        waits_for: None,
        held: false,
        ended: 0,
        alarms: Vec::new(),
    }
}

fn target(name: &str, place: &str) -> BackupTarget {
    let upkeep = BackupUpkeep::default();
    BackupTarget { name: name.to_owned(), place: place.to_owned(), pace: None, found: false, upkeep }
}

#[test]
fn a_backup_is_told_with_what_is_wrong_at_each_target() {
    let mut nas = standing_of("nas");
    nas.last = Some(BackupRun {
        ago_ms: 180_000,
        snapshot: "5ab".to_owned(),
        files: 1200,
        bytes: 2_000_000,
        added: 1000,
        unread: 1,
        named: vec!["/home/ann/lock: not allowed".to_owned()],
    });
    let trial = BackupTrial {
        ago_ms: 60_000,
        good: false,
        files: 3,
        of: 1200,
        bytes: 5,
        why: vec!["bad".to_owned()],
    };
    nas.tried = Some(trial.clone());
    nas.tried_whole = Some(trial);
    nas.held = true;
    nas.next_in_ms = Some(3_420_000);
    let mut stick = standing_of("stick");
    (stick.failed, stick.why) = (3, Some("there is no backup at /mnt/stick".to_owned()));
    (stick.next_in_ms, stick.waits_for) = (None, Some("the mains".to_owned()));
    stick.alarms = vec!["fails".to_owned()];
    let made = BackupStatus {
        id: "0a0b0c0d".to_owned(),
        name: "home".to_owned(),
        paths: vec!["/home/ann".to_owned()],
        command: Vec::new(),
        exclude: vec!["*.iso".to_owned()],
        every_ms: 3_600_000,
        on_metered: false,
        keep: BackupKeep { daily: 7, monthly: 12, ..BackupKeep::default() },
        to: vec![nas, stick],
    };
    let upkeep = BackupUpkeep {
        thinned: Some(BackupThinned { ago_ms: 3_600_000, forgotten: 3, why: None }),
        next_thinning_in_ms: None,
        checked: Some(BackupChecked {
            ago_ms: 86_400_000,
            part: 2,
            of: 4,
            damaged: 1,
            named: vec!["pack 5ab is another one".to_owned()],
            why: None,
        }),
        all_checked_ms: Some(20 * 86_400_000),
        next_check_in_ms: Some(86_400_000),
    };
    let told = list(&Backups {
        targets: vec![BackupTarget { upkeep, ..target("nas", "/mnt/nas") }],
        backups: vec![made],
        kept: Vec::new(),
    });
    for expected in [
        "nas              target, at /mnt/nas",
        "part 2 of 4 ! 1 damaged place found 1 day ago; every byte within 20 days; next in 1 day",
        "! pack 5ab is another one",
        "3 old snapshots forgotten 1 hour ago",
        "home             /home/ann, without *.iso, every 1 hour; keeps 7 daily, 12 monthly",
        "nothing is forgotten until it is accepted",
        "of everything NOT ALL of 1,200 files came back 1 minute ago (bad)",
        "3 runs failed since; waits for the mains",
        "3 minutes ago: 1,200 files, 2 MB, of which 1 kB new; next in 57 minutes",
        "3 of 1,200 files DID NOT ALL COME BACK on trial 1 minute ago",
        "not in it: /home/ann/lock: not allowed",
        "not made yet; 3 runs failed since",
        "there is no backup at /mnt/stick",
        "! it fails",
    ] {
        assert!(told.contains(expected), "{expected} is not in:\n{told}");
    }
}

#[test]
fn nothing_to_tell_says_what_to_type() {
    assert!(list(&Backups::default()).contains("freehold backup target add NAME PATH"));
    let targets = vec![target("nas", "/nas")];
    assert!(list(&Backups { targets, ..Backups::default() }).contains("freehold backup add NAME PATH"));
}

#[test]
fn that_nothing_is_forgotten_is_said() {
    assert_eq!(kept(&BackupKeep::default()), "keeps every snapshot");
}

use freehold_api::{BackupRun, BackupTrial};

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
        ended: 0,
        alarms: Vec::new(),
    }
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
    nas.tried = Some(trial);
    nas.next_in_ms = Some(3_420_000);
    let mut stick = standing_of("stick");
    (stick.failed, stick.why) = (3, Some("there is no backup at /mnt/stick".to_owned()));
    stick.alarms = vec!["fails".to_owned()];
    let made = BackupStatus {
        id: "0a0b0c0d".to_owned(),
        name: "home".to_owned(),
        paths: vec!["/home/ann".to_owned()],
        exclude: vec!["*.iso".to_owned()],
        every_ms: 3_600_000,
        to: vec![nas, stick],
    };
    let told = list(&Backups {
        targets: vec![BackupTarget { name: "nas".to_owned(), place: "/mnt/nas".to_owned(), found: false }],
        backups: vec![made],
    });
    for expected in [
        "nas              target, at /mnt/nas",
        "home             /home/ann, without *.iso, every 1 hour",
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
    let targets = vec![BackupTarget { name: "nas".to_owned(), place: "/nas".to_owned(), found: true }];
    assert!(list(&Backups { targets, backups: Vec::new() }).contains("freehold backup add NAME PATH"));
}

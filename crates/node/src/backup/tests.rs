use std::collections::BTreeSet;

use super::kept::Run;
use super::*;

fn backup(to: &[&str]) -> Backup {
    Backup {
        id: "0a0b0c0d".to_owned(),
        paths: vec![PathBuf::from("/home/ann")],
        exclude: vec!["*.iso".to_owned()],
        command: Vec::new(),
        kept: Lodging::default(),
        git_ignore: false,
        one_file_system: true,
        on_metered: false,
        every_ms: 3_600_000,
        to: to.iter().map(|name| (*name).to_owned()).collect(),
        added_ms: 1_800_000_000_000,
        keep: freehold_api::BackupKeep::default(),
    }
}

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    (dir, home)
}

fn pair(target: &str) -> Pair {
    ("home".to_owned(), target.to_owned())
}

#[test]
fn what_was_chosen_and_what_came_of_it_is_there_after_a_restart() {
    let (_dir, home) = home();
    let backups = Backups::kept(&home);
    let target =
        Target { place: Place::Folder("/mnt/nas".into()), password: "repository-1".to_owned(), pace: None };
    backups
        .choose("not", |plan| {
            plan.targets.insert("nas".to_owned(), target);
            plan.backups.insert("home".to_owned(), backup(&["nas"]));
        })
        .unwrap();
    let run = Run { at_ms: 5, snapshot: "5ab".to_owned(), files: 1, bytes: 2, added: 3, unread: 0 };
    let ended = freehold_wire::Millis(6);
    let bounds = backup(&["nas"]).bounds();
    backups.note(&pair("nas"), "0a0b0c0d", |record| record.succeeded(run, Vec::new(), ended, &bounds));
    backups.note(&pair("nas"), "before", |record| record.failed = 7);
    backups.note(&pair("stick"), "0a0b0c0d", |record| record.failed = 7);
    let again = Backups::kept(&home);
    assert_eq!((again.plan(), again.records()), (backups.plan(), backups.records()));
    assert!(again.records().of(&pair("nas")).unwrap().runs[0].snapshot == "5ab");
    assert_eq!(again.records().of(&pair("nas")).unwrap().failed, 0, "of one that had its name before");
    assert!(again.records().of(&pair("stick")).is_none(), "nobody chose that one");
    again.choose("not", |plan| plan.backups.clear()).unwrap();
    assert!(Backups::kept(&home).records().of(&pair("nas")).is_none(), "a name has no history of another's");
}

#[test]
fn a_plan_that_cannot_be_read_is_told_and_not_written_over() {
    let (_dir, home) = home();
    make_private_dir(&home.backup()).unwrap();
    let file = home.backup().join(PLAN);
    replace(&file, b"{\"backups\": 5}", 0o600).unwrap();
    let backups = Backups::kept(&home);
    assert!(backups.unreadable().is_some_and(|why| why.contains("cannot be read")));
    let refused = backups.choose("nothing was changed", |plan| plan.backups.clear()).unwrap_err();
    assert!(refused.next.is_some_and(|next| next.contains("aside")));
    assert_eq!(std::fs::read(&file).unwrap(), b"{\"backups\": 5}");
}

#[test]
fn whoever_asks_knows_when_a_run_that_began_later_is_over() {
    let (_dir, home) = home();
    let backups = Backups::kept(&home);
    backups
        .choose("not", |plan| {
            plan.backups.insert("home".to_owned(), backup(&["nas"]));
        })
        .unwrap();
    let nas = BTreeSet::from(["nas".to_owned()]);
    assert_eq!(backups.ask("home", &nas)[0].ended, 1);
    assert!(backups.prunes("nas") && !backups.prunes("nas"));
    assert!(!backups.begins(&pair("nas")), "what is removed now is not built upon");
    backups.is_pruned("nas");
    assert!(backups.begins(&pair("nas")));
    assert!(!backups.prunes("nas"), "a run has packs that no snapshot names yet");
    assert!(!backups.is_asked(&pair("nas")));
    assert_eq!(backups.ask("home", &nas)[0].ended, 2, "that which runs may be past what has changed");
    backups.ends(&pair("nas"));
    assert!(backups.is_asked(&pair("nas")));
}

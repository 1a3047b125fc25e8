use super::*;

fn at(fields: &serde_json::Value) -> BackupStanding {
    let mut all = serde_json::json!({ "target": "disk", "failed": 0, "ended": 0, "alarms": [] });
    if let (Some(all), Some(fields)) = (all.as_object_mut(), fields.as_object()) {
        all.extend(fields.clone());
    }
    serde_json::from_value(all).expect("a standing")
}

fn backup(to: &[BackupStanding]) -> BackupStatus {
    let one = serde_json::json!({ "id": "1", "name": "my home", "paths": ["/home"], "exclude": [], "every_ms": 3_600_000,
        "to": to });
    serde_json::from_value(one).expect("a backup")
}

fn last() -> serde_json::Value {
    serde_json::json!({ "ago_ms": 60_000, "snapshot": "5e", "files": 3, "bytes": 1400, "added": 12, "unread": 1,
        "named": [] })
}

#[test]
fn a_target_that_is_away_is_quiet_and_an_alarm_is_not() {
    let away = at(&serde_json::json!({ "last": last(), "failed": 9, "why": "no disk is mounted there" }));
    assert_eq!(mark(&away), Mark { tone: "quiet", word: "Waits for its target" });
    let never = at(&serde_json::json!({ "failed": 1, "why": "no disk is mounted there" }));
    assert_eq!(mark(&never).tone, "quiet");
    let fine = at(&serde_json::json!({ "last": last() }));
    assert_eq!(mark(&fine).word, "Backed up");
    let old = at(&serde_json::json!({ "last": last(), "failed": 9, "alarms": ["is old"] }));
    assert_eq!(mark(&old).tone, "bad");
    assert_eq!(worst(&backup(&[away.clone(), fine.clone()])).tone, "good", "one good target is enough");
    assert_eq!(worst(&backup(&[fine, old, away])).tone, "bad");
}

#[test]
fn an_alarm_that_the_status_does_not_tell_of_is_told() {
    let standing = at(&serde_json::json!({ "alarms": ["is old", "fails"], "why": "no space left" }));
    let all = Backups { backups: vec![backup(&[standing])], ..Backups::default() };
    let known = Finding {
        level: Level::Alarm,
        what: "the backup my home on disk is old".to_owned(),
        why: String::new(),
        next: None,
    };
    let other = Finding { what: "cellar is away".to_owned(), ..known.clone() };
    let told = alarms(&[other, known.clone()], &all);
    let whats: Vec<&str> = told.iter().map(|found| found.what.as_str()).collect();
    assert_eq!(whats, [known.what.as_str(), "the backup my home on disk fails"]);
    assert_eq!(told[1].next.as_deref(), Some("freehold backup now 'my home'"));
}

#[test]
fn of_a_command_the_program_is_told_and_not_its_words() {
    let mut one = backup(&[]);
    assert_eq!(program(&one), None);
    one.command = ["/usr/bin/mysqldump", "--password=secret"].map(str::to_owned).into();
    assert_eq!(program(&one), Some("mysqldump"));
}

#[test]
fn times_and_sizes_are_as_people_say_them() {
    assert_eq!([3_600_000, 21_600_000].map(every), ["every hour", "every 6 hours"]);
    let one = at(&serde_json::json!({ "last": last(), "next_in_ms": 0 }));
    assert_eq!(
        size(&one).as_deref(),
        Some("1.4 kB in 3 files, 12 bytes of it new in the last run; 1 file could not be read")
    );
    assert_eq!(next(&one), "at any moment");
    assert_eq!(
        next(&at(&serde_json::json!({ "running": { "done": 2000, "total": 0 } }))),
        "under way, 2 kB so far"
    );
}

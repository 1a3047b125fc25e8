use std::{collections::BTreeSet, process::Command};

use freehold_retention::{Keep, Policy, Reason};
use rustic_core::jiff::{Timestamp, tz::Offset};

use super::{PASSWORD, Place, password};
use crate::{Folder, Repository, Rights};

/// What `restic forget` would keep, by id.
fn restic(place: &Place, counts: [u32; 6]) -> BTreeSet<String> {
    let file = place.dir.path().join("password");
    #[expect(clippy::disallowed_methods, reason = "a file of a test")]
    std::fs::write(&file, PASSWORD).expect("written");
    let mut command = Command::new("restic");
    command.args(["forget", "--dry-run", "--json", "--no-cache", "--group-by", "host,paths"]);
    command.arg("--repo").arg(place.repository.place()).arg("--password-file").arg(file);
    let names = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];
    for (name, count) in names.iter().zip(counts) {
        command.arg(format!("--keep-{name}={count}"));
    }
    let out = command.output().expect("restic is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let groups: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let of_group = |group: &serde_json::Value| group["keep"].as_array().cloned().unwrap_or_default();
    let kept = groups.as_array().expect("groups").iter().flat_map(of_group);
    kept.map(|snapshot| snapshot["id"].as_str().expect("an id").to_owned()).collect()
}

/// A thief dates snapshots into each day of the past. Where it is noted when each came, that changes nothing.
#[test]
fn what_was_noted_counts_and_not_what_a_writer_says() {
    let place = Place::new();
    let (notes, days) = (place.dir.path().join("received"), 24 * 3_600_000_u64);
    std::fs::create_dir(&notes).expect("made");
    let note = |id: &str, at: u64| {
        #[expect(clippy::disallowed_methods, reason = "a file of a test")]
        std::fs::write(notes.join(id), format!("{at}\n")).expect("noted");
    };
    let noted = || {
        let folder = Folder::new(&place.dir.path().join("backup"), Rights::Prune).noted_in(&notes);
        Repository::open(folder, &password()).expect("open")
    };
    let mut honest = Vec::new();
    for day in 0..3 {
        place.write("letter", format!("Dear Ann, {day}").as_bytes());
        honest.push(place.backup().snapshot);
        note(&honest[day], 1_700_000_000_000 + day as u64 * days);
    }
    let open = place.repository.opened().expect("open");
    let template = open.get_all_snapshots().expect("listed").remove(0);
    let false_ones = (1..60_i64).map(|day| {
        let mut snapshot = template.clone();
        let at = 1_700_000_000_000 + day * 24 * 3_600_000;
        snapshot.time = Timestamp::from_millisecond(at).expect("a time").to_zoned(Offset::UTC.to_time_zone());
        snapshot
    });
    open.save_snapshots(false_ones.collect()).expect("saved");
    for snapshot in place.repository.snapshots().expect("listed") {
        if !honest.contains(&snapshot.id) {
            note(&snapshot.id, 1_700_000_000_000 + 3 * days);
        }
    }
    let policy = Policy { daily: Keep::Newest(4), ..Policy::default() };
    let by_claim = place.repository.forget(&policy, true).expect("told");
    assert!(by_claim.forget.iter().any(|one| honest.contains(&one.id)), "this is what it wants");
    let told = noted().forget(&policy, false).expect("forgotten");
    assert!(told.forget.iter().all(|one| !honest.contains(&one.id)), "{told:?}");
    assert_eq!((told.keep.len(), told.forget.len()), (4, 58));
}

#[test]
fn we_keep_what_restic_keeps() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    place.backup();
    let open = place.repository.opened().expect("open");
    let template = open.get_all_snapshots().expect("listed").remove(0);
    let numbers = super::noise(11, 8 * 160);
    let numbers = numbers.chunks(8).map(|eight| u64::from_le_bytes(eight.try_into().expect("eight")));
    let snapshots = numbers.zip(0_u32..).map(|(number, place)| {
        // Some within the same hours, others over years; three machines in three zones.
        let span = [50_000_000, 2_000_000_000, 110_000_000_000][usize::try_from(number % 3).expect("small")];
        let at = 1_600_000_000_000 + i64::try_from(number / 3 % span).expect("small");
        let offset = Offset::from_seconds([0, 19_800, -28_800][place as usize % 3]).expect("a zone");
        let time = Timestamp::from_millisecond(at).expect("a time").to_zoned(offset.to_time_zone());
        let mut snapshot = template.clone();
        snapshot.time = time;
        snapshot.hostname = ["laptop", "nas", "phone"][place as usize % 3].to_owned();
        snapshot
    });
    open.save_snapshots(snapshots.collect()).expect("saved");
    for counts in [
        [0, 0, 7, 0, 0, 0],
        [3, 24, 7, 5, 12, 10],
        [0, 0, 0, 100, 0, 0],
        [1, 0, 0, 0, 3, 2],
        [0, 5, 0, 4, 0, 99],
    ] {
        let [last, hourly, daily, weekly, monthly, yearly] = counts.map(Keep::Newest);
        let policy = Policy { last, hourly, daily, weekly, monthly, yearly };
        let ours = place.repository.forget(&policy, true).expect("chosen");
        let theirs = restic(&place, counts);
        // The oldest of all stays while a count is not used up: restic has that from a version on that is newer than
        // Debian 12's, and is to be met in all else by both.
        let only_oldest =
            |reasons: &[Reason]| reasons.iter().all(|reason| matches!(reason, Reason::Oldest(_)));
        let (oldest, ours): (Vec<_>, Vec<_>) =
            ours.keep.into_iter().partition(|(_, reasons)| only_oldest(reasons));
        let mut ours: BTreeSet<String> = ours.into_iter().map(|(snapshot, _)| snapshot.id).collect();
        assert!(oldest.len() <= 3, "one of each machine at most");
        if oldest.iter().any(|(snapshot, _)| theirs.contains(&snapshot.id)) {
            ours.extend(oldest.into_iter().map(|(snapshot, _)| snapshot.id));
        }
        assert_eq!(ours, theirs, "{counts:?}");
    }
}

#[test]
fn what_is_forgotten_is_gone_and_the_rest_can_be_restored() {
    let place = Place::new();
    for version in ["one", "two", "three"] {
        place.write("letter", version.as_bytes());
        place.backup();
    }
    let policy = Policy { last: Keep::Newest(1), ..Policy::default() };
    let forgotten = place.repository.forget(&policy, false).expect("forgotten");
    assert_eq!((forgotten.keep.len(), forgotten.forget.len()), (1, 2));
    assert_eq!(place.repository.snapshots().expect("listed").len(), 1);
    place.repository.prune().expect("pruned");
    let (restored, to) = place.restore("back");
    assert_eq!(restored.failed, 0);
    assert_eq!(std::fs::read(to.join("letter")).expect("there"), b"three");
    let severe: Vec<_> =
        place.repository.check(true).expect("checked").into_iter().filter(|found| found.severe).collect();
    assert_eq!(severe, []);
}

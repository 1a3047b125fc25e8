use std::{fs, path::PathBuf, thread, time::Duration};

use super::{Place, noise, password};
use crate::{BackupError, Folder, Made, Output, Repository, Rights, Stop};

fn sh(script: &str) -> Output {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    Output { command, file: PathBuf::from("/shop.sql"), within: Duration::from_mins(1) }
}

fn refused(made: Result<Made, BackupError>) -> String {
    let refused = made.expect_err("no snapshot");
    assert!(matches!(refused, BackupError::Output { .. }), "{refused}");
    refused.to_string()
}

#[test]
fn what_a_command_prints_comes_back_as_a_file() {
    let place = Place::new();
    let content = noise(1, 5 << 20);
    place.write("dump", &content);
    let script = format!("echo 'nothing is wrong' >&2; cat '{}'", place.home().join("dump").display());
    let made = place.repository.backup_output(&sh(&script), "laptop").expect("backed up");
    assert_eq!((made.files, made.bytes, made.unread), (1, 5 << 20, 0));
    let again = place.repository.backup_output(&sh(&script), "laptop").expect("backed up");
    assert!(again.added < 4096 && again.snapshot != made.snapshot, "{again:?}");
    let listed = place.repository.list("latest", None).expect("listed");
    let sizes: Vec<u64> = listed.iter().map(|entry| entry.size).filter(|size| *size > 0).collect();
    assert_eq!(sizes, [5 << 20]);
    let to = place.dir.path().join("back");
    let restored = place.repository.restore("latest", None, &to).expect("restored");
    assert_eq!((restored.files, restored.failed), (1, 0), "{restored:?}");
    assert_eq!(fs::read(to.join("shop.sql")).expect("there"), content);
    assert!(place.repository.check(true).expect("checked").is_empty());
}

#[test]
fn half_a_dump_is_no_snapshot() {
    let place = Place::new();
    let fails = "head -c 3000000 /dev/zero; printf 'no\\033[2J such table' >&2; exit 3";
    let why = refused(place.repository.backup_output(&sh(fails), "laptop"));
    assert!(why.contains("/bin/sh") && why.contains("exit status: 3") && why.contains("such table"), "{why}");
    assert!(!why.contains(char::is_control) && !why.contains("3000000"), "{why}");
    let killed = refused(place.repository.backup_output(&sh("echo some; kill -9 $$"), "laptop"));
    assert!(killed.contains("signal: 9"), "{killed}");
    let nothing = refused(place.repository.backup_output(&sh("true"), "laptop"));
    assert!(nothing.contains("printed nothing"), "{nothing}");
    let late = Output { within: Duration::from_millis(300), ..sh("echo some; exec sleep 600") };
    let late = refused(place.repository.backup_output(&late, "laptop"));
    assert!(late.contains("in its time"), "{late}");
    // Somebody whom it has begun keeps its output open.
    let open = Output { within: Duration::from_millis(300), ..sh("echo some; sleep 600 & exit 0") };
    let open = refused(place.repository.backup_output(&open, "laptop"));
    assert!(open.contains("in its time"), "{open}");
    let none = Output { command: vec!["/no/such/program".to_owned()], ..sh("") };
    let none = refused(place.repository.backup_output(&none, "laptop"));
    assert!(none.contains("could not be run"), "{none}");
    assert_eq!(place.repository.snapshots().expect("listed"), []);
    assert!(place.repository.check(true).expect("checked").iter().all(|found| !found.severe));
}

#[test]
fn what_complains_without_end_is_read_to_its_end() {
    let place = Place::new();
    let loud = "echo begun; head -c 3000000 /dev/zero | tr '\\0' x >&2; echo ended";
    let made = place.repository.backup_output(&sh(loud), "laptop").expect("backed up");
    assert_eq!(made.bytes, 12);
}

#[test]
fn a_run_that_is_stopped_leaves_no_process_behind() {
    let place = Place::new();
    let stop = Stop::default();
    let folder = Folder::new(&place.dir.path().join("backup"), Rights::Append).stopped_by(&stop);
    let repository = Repository::open(folder, &password()).expect("the same");
    let file = place.dir.path().join("process");
    // It does not listen to whoever asks, nor does its child.
    let script = format!(
        "trap '' TERM; echo some; sleep 600 & echo $! > '{0}.new'; mv '{0}.new' '{0}'; wait",
        file.display()
    );
    thread::scope(|scope| {
        let run = scope.spawn(|| repository.backup_output(&sh(&script), "laptop"));
        while !file.exists() {
            thread::yield_now();
        }
        stop.ask();
        assert!(run.join().expect("no fault").is_err());
    });
    let process = fs::read_to_string(&file).expect("there");
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.trim()));
    assert!(stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z ")), "process {process} goes on");
    assert_eq!(place.repository.snapshots().expect("listed"), []);
}

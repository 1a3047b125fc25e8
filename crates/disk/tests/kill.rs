//! A writer is killed at random, hundreds of times: nothing that it had acknowledged is missing.

#![cfg(test)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use freehold_crypt::Entropy as _;
use freehold_disk::{EntryRow, EntryStore, LogStore, OsEntropy};
use freehold_wire::{BucketId, Millis, NodeId, OpId};

const HOME: &str = "FREEHOLD_KILL_HOME";
const KILLS: u32 = 250;
/// A new home now and then, so that the making of stores is interrupted too.
const KILLS_PER_HOME: u32 = 25;

fn op(number: u64) -> OpId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    OpId::from_bytes(id)
}

const BUCKET: BucketId = BucketId::from_bytes([1; 32]);
const NODE: NodeId = NodeId::from_bytes([2; 32]);

/// Not a test of its own: the process that is killed. Without its variable it does nothing.
#[test]
fn child() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let home = Path::new(&home);
    let log = LogStore::open(&home.join("log.redb")).unwrap();
    let entries = EntryStore::open(&home.join("entries.redb")).unwrap();
    let next = AtomicU64::new(log.operations().unwrap().len() as u64 * 1000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for epoch in 1.. {
                let number = next.fetch_add(1, Ordering::Relaxed);
                log.append(vec![(op(number), vec![7; 300])], Millis(number)).unwrap();
                acknowledge(&format!("op {number}"));
                let epoch = log.remember_epoch(log.epoch().unwrap() + epoch % 2).unwrap();
                acknowledge(&format!("epoch {epoch}"));
            }
        });
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let written = entries.write(|txn| {
                        let seq = txn.last_seq(&BUCKET, &NODE)? + 1;
                        let (entry, payload) = (seq.to_be_bytes().to_vec(), Some(vec![9; 1024]));
                        txn.insert(&EntryRow { bucket: BUCKET, origin: NODE, seq, entry, payload })?;
                        Ok(seq)
                    });
                    acknowledge(&format!("entry {}", written.unwrap()));
                }
            });
        }
    });
}

fn acknowledge(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").and_then(|()| out.flush()).unwrap();
}

#[derive(Default)]
struct Acknowledged {
    operations: BTreeSet<u64>,
    entries: BTreeSet<u64>,
    epoch: u64,
}

impl Acknowledged {
    fn note(&mut self, line: &str) -> bool {
        let Some((what, number)) = line.trim().split_once(' ') else { return false };
        let Ok(number) = number.parse() else { return false };
        match what {
            "op" => self.operations.insert(number),
            "entry" => self.entries.insert(number),
            "epoch" => {
                self.epoch = self.epoch.max(number);
                true
            }
            _ => false,
        }
    }

    fn check(&self, home: &Path) {
        let log = LogStore::open(&home.join("log.redb")).unwrap();
        let kept: BTreeSet<_> = log.operations().unwrap().into_iter().map(|row| row.id).collect();
        for number in &self.operations {
            assert!(kept.contains(&op(*number)), "operation {number} was acknowledged and is missing");
        }
        assert!(log.epoch().unwrap() >= self.epoch);
        let entries = EntryStore::open(&home.join("entries.redb")).unwrap();
        let last = entries.vector(&BUCKET).unwrap().get(&NODE).copied().unwrap_or(0);
        assert!(last >= self.entries.last().copied().unwrap_or(0));
        let rows = entries.entries(&BUCKET, &NODE, 1, usize::MAX).unwrap();
        assert!(rows.iter().map(|row| row.seq).eq(1..=last), "the sequence has a gap");
        assert!(rows.iter().all(|row| row.entry == row.seq.to_be_bytes() && row.payload.is_some()));
    }
}

fn start(home: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(HOME, home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn nothing_acknowledged_is_lost() {
    if std::env::var_os(HOME).is_some() {
        return;
    }
    let mut total = 0;
    for _ in 0..KILLS / KILLS_PER_HOME {
        let home = in_memory();
        let mut acknowledged = Acknowledged::default();
        for _ in 0..KILLS_PER_HOME {
            let mut draw = [0];
            OsEntropy.fill(&mut draw);
            let mut left = draw[0] % 24;
            let mut child = start(home.path());
            let mut lines = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            while left > 0 && lines.read_line(&mut line).unwrap() > 0 {
                left -= u8::from(acknowledged.note(&line));
                line.clear();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // What it said until the very end counts; a last line without its end does not.
            let mut rest = String::new();
            lines.read_to_string(&mut rest).unwrap();
            let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
            for line in whole.lines() {
                acknowledged.note(line);
            }
            acknowledged.check(home.path());
            total += 1;
        }
        assert!(!acknowledged.operations.is_empty() && !acknowledged.entries.is_empty());
    }
    assert_eq!(total, KILLS);
}

/// A kill loses no page that was written, so the disk has nothing to add here but time.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

//! A node is killed while it writes: what it had acknowledged is all there.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;

use crate::world::World;

const HOME: &str = "FREEHOLD_KILL_HOME";
const KILLS: u32 = 60;
const KILLS_PER_HOME: u32 = 12;

fn content(number: u64) -> Vec<u8> {
    let len = [4096, 100_000, 2 << 20][usize::try_from(number % 3).unwrap()];
    number.to_be_bytes().repeat(len / 8)
}

/// Not a test of its own: the process that is killed. Without its variable it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let world = Arc::new(World::open(Path::new(&home)).await);
    let next = Arc::new(AtomicU64::new(world.keys().len() as u64 * 1000));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (world, next) = (Arc::clone(&world), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                world.put(&format!("k{number}"), &content(number)).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nput {number}").and_then(|()| out.flush()).unwrap();
            }
        });
    }
    writers.join_all().await;
}

fn start(home: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture"])
        .env(HOME, home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn number(line: &str) -> Option<u64> {
    line.trim().strip_prefix("put ")?.parse().ok()
}

#[tokio::test]
async fn what_was_acknowledged_is_readable() {
    if std::env::var_os(HOME).is_some() {
        return;
    }
    for _ in 0..KILLS / KILLS_PER_HOME {
        let home = in_memory();
        let mut all = BTreeSet::new();
        for _ in 0..KILLS_PER_HOME {
            let mut draw = [0];
            OsEntropy.fill(&mut draw);
            let mut left = draw[0] % 16;
            let mut child = start(home.path());
            let mut lines = BufReader::new(child.stdout.take().unwrap());
            let (mut line, mut acknowledged) = (String::new(), BTreeSet::new());
            while left > 0 && lines.read_line(&mut line).unwrap() > 0 {
                if let Some(number) = number(&line) {
                    acknowledged.insert(number);
                    left -= 1;
                }
                line.clear();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            let mut rest = String::new();
            lines.read_to_string(&mut rest).unwrap();
            let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
            acknowledged.extend(whole.lines().filter_map(number));

            let world = World::open(home.path()).await;
            for number in &acknowledged {
                assert_eq!(world.get(&format!("k{number}")).await.unwrap(), content(*number));
            }
            let keys: BTreeSet<String> = world.keys().into_iter().collect();
            all.append(&mut acknowledged);
            assert!(all.iter().all(|number| keys.contains(&format!("k{number}"))));
        }
        let world = World::open(home.path()).await;
        assert_eq!(world.vault.verify(None, false).await.unwrap().findings, []);
        assert!(!all.is_empty());
    }
}

/// A kill loses no page that was written, so the disk has nothing to add here but time.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

//! A node is killed while it writes: what it had acknowledged is all there, and nothing counts twice.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_documents::IndexSpec;
use freehold_kv::{Asked, Op, Write};
use serde_json::json;

use crate::world::{World, put};

const HOME: &str = "FREEHOLD_KILL_HOME";
const KILLS: u32 = 24;
const WRITERS: u64 = 4;

/// Write `n` of a writer: a counter that must never skip, a value, and a document in an index.
fn nth(writer: u64, n: u64) -> Write {
    let document = json!({"n": n, "writer": writer});
    Write {
        ops: vec![
            put(&format!("count{writer}"), &n.to_string()),
            put(&format!("{writer}/{n:06}"), &"x".repeat(usize::try_from(n % 50).unwrap() * 100)),
            Op::PutDocument {
                collection: "all".into(),
                id: format!("{writer}-{n}"),
                document,
                lasting: None,
            },
        ],
        idempotency: Some(format!("{writer}-{n}")),
        ..Write::default()
    }
}

async fn counted(world: &World, writer: u64) -> u64 {
    world.get(&format!("count{writer}")).await.map_or(0, |count| count.parse().unwrap())
}

/// Not a test of its own: the process that is killed. Without its variable it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let world = Arc::new(World::open(Path::new(&home)).await);
    world.agreed.agree("kv/shop");
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let world = Arc::clone(&world);
        writers.spawn(async move {
            let mut n = counted(&world, writer).await;
            // The last one again: it may have been acknowledged or not, and must be there once.
            n = n.saturating_sub(1);
            loop {
                n += 1;
                let done = world.kv.write("shop", &nth(writer, n)).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nput {writer} {n} {}", done.number).and_then(|()| out.flush()).unwrap();
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

fn read(line: &str) -> Option<(u64, u64, u64)> {
    let mut words = line.trim().strip_prefix("put ")?.split(' ').map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?, words.next()?.ok()?))
}

#[tokio::test]
async fn what_was_acknowledged_is_there_once() {
    if std::env::var_os(HOME).is_some() {
        return;
    }
    let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    {
        let world = World::open(home.path()).await;
        world.make("shop").await;
        let fields = vec!["writer".parse().unwrap(), "n".parse().unwrap()];
        let spec = IndexSpec { name: "n".into(), fields, unique: true, each: false, text: false };
        world.kv.add_index("shop", "all", spec).await.unwrap();
        world.kv.close().await;
        world.agreed.forget();
    }
    // What each write was told its number is.
    let mut told: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for _ in 0..KILLS {
        let mut draw = [0];
        OsEntropy.fill(&mut draw);
        let mut left = draw[0] % 32;
        let mut child = start(home.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let (mut line, mut acknowledged) = (String::new(), Vec::new());
        while left > 0 && lines.read_line(&mut line).unwrap() > 0 {
            if let Some(one) = read(&line) {
                acknowledged.push(one);
                left -= 1;
            }
            line.clear();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
        acknowledged.extend(whole.lines().filter_map(read));
        for (writer, n, number) in acknowledged {
            let before = told.insert((writer, n), number);
            assert!(before.is_none_or(|before| before == number), "write {writer}-{n} was done twice");
        }
    }
    let world = World::open(home.path()).await;
    world.agreed.agree("kv/shop");
    let reading = world.kv.read("shop", None).await.unwrap();
    for ((writer, n), number) in &told {
        let item = reading.get(&format!("{writer}/{n:06}")).await.unwrap();
        assert_eq!(item.version, *number);
        assert_eq!(reading.document("all", &format!("{writer}-{n}")).await.unwrap()["n"], *n);
    }
    let mut all = 0;
    for writer in 0..WRITERS {
        let count = counted(&world, writer).await;
        all += count;
        let mut asked = Asked {
            collection: "all".into(),
            query: format!("where writer = {writer} order by n limit 1000"),
            ..Asked::default()
        };
        let mut found = Vec::new();
        loop {
            let answer = reading.query(&asked).await.unwrap();
            assert!(answer.plan.contains("index n"), "{}", answer.plan);
            found.extend(answer.documents.into_iter().map(|document| document["n"].as_u64().unwrap()));
            match answer.next {
                Some(next) => asked.after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, (1..=count).collect::<Vec<_>>(), "documents and index agree, none is missing");
    }
    let count = reading.collections().await.unwrap()[0].documents;
    assert_eq!(count, all);
    assert!(told.len() > 50, "{} writes were acknowledged", told.len());
}

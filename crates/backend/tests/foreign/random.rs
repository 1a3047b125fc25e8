//! Random puts, deletes, failures, crashes and losses of the map: what was acknowledged is there,
//! byte for byte, and nothing else ever comes out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use freehold_backend::Packed;
use freehold_vault::{Depot, DepotError};
use proptest::prelude::*;

use super::home::{blob, content, depot, open, put};
use super::liar::{Liar, Lie};

#[derive(Debug, Clone)]
enum Step {
    Put(u8, usize),
    /// Several at once.
    PutMany(u8),
    Delete(u8),
    Repack,
    Purge,
    /// The store answers nothing for the next step.
    Fail(Lie),
    /// The program ends at once, while puts are under way; then it starts again.
    Crash(u8),
    /// The same, and its map is gone.
    Lose(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![0usize..3000, 60_000usize..70_000, 1_000_000usize..1_200_000];
    let lie = prop_oneof![Just(Lie::Down), Just(Lie::StoresNothing), Just(Lie::StoresHalf), Just(Lie::Full)];
    prop_oneof![
        6 => (0u8..20, len).prop_map(|(name, len)| Step::Put(name, len)),
        3 => any::<u8>().prop_map(Step::PutMany),
        4 => (0u8..20).prop_map(Step::Delete),
        2 => Just(Step::Repack),
        1 => Just(Step::Purge),
        2 => lie.prop_map(Step::Fail),
        2 => any::<u8>().prop_map(Step::Crash),
        1 => any::<u8>().prop_map(Step::Lose),
    ]
}

/// What may be said of a name.
#[derive(Debug, Clone, Default)]
struct Known {
    /// What it was acknowledged to be.
    now: Option<Vec<u8>>,
    /// Whether that is sure: what was under way in a crash may be there or not, and what was deleted
    /// comes back with a map that is made anew.
    open: bool,
    ever: Vec<Vec<u8>>,
}

struct World {
    liar: Arc<Liar>,
    folder: tempfile::TempDir,
    known: BTreeMap<u8, Known>,
    number: u8,
    /// The store fails for one step.
    failing: bool,
}

struct Running {
    runtime: tokio::runtime::Runtime,
    packed: Arc<Packed>,
    depot: Depot,
}

fn start(liar: &Arc<Liar>, home: &Path) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (packed, depot) = runtime.block_on(async {
        let packed = open(liar, home, 1, None).await.unwrap();
        let depot = depot(&packed).await;
        (packed, depot)
    });
    Running { runtime, packed, depot }
}

impl Running {
    /// Everything stops at whatever it waits for.
    fn crash(self) {
        let Self { runtime, packed, depot } = self;
        drop(runtime);
        drop((packed, depot));
    }
}

impl World {
    fn fresh(&mut self, len: usize) -> Vec<u8> {
        self.number = self.number.wrapping_add(1);
        content(self.number, len)
    }

    fn told(&mut self, name: u8, bytes: Vec<u8>, result: Result<(), DepotError>) {
        let known = self.known.entry(name).or_default();
        known.ever.push(bytes.clone());
        match result {
            Ok(()) => (known.now, known.open) = (Some(bytes), false),
            // Refused: the old one is there still, unless there was a crash.
            Err(error) => assert!(self.failing, "put failed: {error:?}"),
        }
    }

    fn step(&mut self, running: Running, step: &Step) -> Running {
        match step {
            Step::Put(name, len) => {
                let bytes = self.fresh(*len);
                let done = running.runtime.block_on(put(&running.depot, *name, &bytes));
                self.told(*name, bytes, done);
            }
            Step::PutMany(from) => {
                let puts: Vec<_> = (0..5).map(|at| ((from % 10) + at, self.fresh(2000))).collect();
                let all = puts.iter().map(|(name, bytes)| put(&running.depot, *name, bytes));
                let done = running.runtime.block_on(futures::future::join_all(all));
                for ((name, bytes), done) in puts.into_iter().zip(done) {
                    self.told(name, bytes, done);
                }
            }
            Step::Delete(name) => {
                running.runtime.block_on(running.depot.delete(blob(*name))).unwrap();
                if let Some(known) = self.known.get_mut(name) {
                    (known.now, known.open) = (None, false);
                }
            }
            Step::Repack => {
                let done = running.runtime.block_on(running.packed.repack());
                assert!(done.is_ok() || self.failing, "{done:?}");
            }
            Step::Purge => {
                let done = running.runtime.block_on(running.packed.purge());
                assert!(done.is_ok() || self.failing, "{done:?}");
            }
            Step::Fail(_) => {}
            Step::Crash(puts) => return self.crash(running, *puts, true),
            Step::Lose(puts) => return self.crash(running, *puts, false),
        }
        running
    }

    fn crash(&mut self, running: Running, puts: u8, with_map: bool) -> Running {
        for at in 0..puts % 4 {
            let (name, bytes) = (20 + at, self.fresh(5000));
            let known = self.known.entry(name).or_default();
            known.ever.push(bytes.clone());
            known.open = true;
            let depot = running.depot.clone();
            drop(running.runtime.spawn(async move { put(&depot, name, &bytes).await }));
        }
        // Some of it gets somewhere.
        running.runtime.block_on(async {
            for _ in 0..puts {
                tokio::task::yield_now().await;
            }
        });
        running.crash();
        if !with_map {
            std::fs::remove_file(self.folder.path().join("packs.redb")).unwrap();
            for known in self.known.values_mut().filter(|known| known.now.is_none()) {
                known.open = true;
            }
            self.liar.tell(Lie::None);
        }
        start(&self.liar, self.folder.path())
    }

    fn check(&self, running: &Running) {
        for (name, known) in &self.known {
            let read = running.runtime.block_on(async {
                let reader = running.depot.open(blob(*name)).await?;
                reader.read(0..reader.len()).await
            });
            match read {
                Ok(bytes) if known.open => {
                    assert!(known.ever.contains(&bytes), "{name} is what it never was");
                }
                Ok(bytes) => {
                    assert!(known.now.as_ref() == Some(&bytes), "{name} is not what was acknowledged");
                }
                Err(DepotError::Missing { .. }) => {
                    assert!(known.open || known.now.is_none(), "{name} was acknowledged and is missing");
                }
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_there_whatever_happens(steps in prop::collection::vec(step(), 1..30)) {
        let liar = Liar::new();
        let folder = tempfile::tempdir().unwrap();
        let mut running = start(&liar, folder.path());
        let known = BTreeMap::new();
        let mut world = World { liar: Arc::clone(&liar), folder, known, number: 0, failing: false };
        for step in &steps {
            running = world.step(running, step);
            liar.tell(Lie::None);
            world.failing = false;
            if let Step::Fail(lie) = step {
                liar.tell(*lie);
                world.failing = true;
            } else {
                world.check(&running);
            }
        }
        liar.tell(Lie::None);
        running.runtime.block_on(running.packed.repack()).unwrap();
        world.check(&running);
        let audit = running.runtime.block_on(running.packed.audit(None)).unwrap();
        // Half a pack, and nobody knows any more whose it was.
        let halves = steps.iter().any(|step| matches!(step, Step::Fail(Lie::StoresHalf)))
            && steps.iter().any(|step| matches!(step, Step::Lose(_)));
        prop_assert!(audit.bad.is_empty() && (halves || audit.strange.is_empty()), "{:?}", audit);
        running.crash();
    }
}

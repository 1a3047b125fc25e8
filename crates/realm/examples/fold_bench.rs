//! Times the fold over a log of 100,000 operations and over a realm of 10,000 nodes; prints rows for
//! docs/benchmarks.md.
//!
//! `cargo run --release -p freehold-realm --example fold_bench`

#![expect(clippy::print_stdout, clippy::disallowed_types, reason = "it measures and prints")]

use std::time::Instant;

use freehold_crypt::{Algorithm, BoxSecret, Entropy as _, Secret, SigningKey, hash};
use freehold_realm::body::{self, Body, GuardianSet};
use freehold_realm::draft::{self, draft};
use freehold_realm::{Clock, Folded, NodeRoles, Op, OpSet, fold};
use freehold_wire::{Bounded, BucketId, Digest, Millis};

type Failure = Box<dyn std::error::Error>;

const START: u64 = 1_800_000_000_000;

struct Counter(u64);

impl freehold_crypt::Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 += 1;
        let block = hash::digest("freehold bench entropy", &self.0.to_be_bytes());
        out.iter_mut().zip(block.into_iter().cycle()).for_each(|(to, from)| *to = from);
    }
}

fn key(name: &str, n: u64) -> SigningKey {
    let seed = hash::digest("freehold bench key", &[name.as_bytes(), &n.to_be_bytes()].concat());
    SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes(seed))
}

struct Bench {
    set: OpSet,
    folded: Folded,
    now: u64,
}

impl Bench {
    fn new(admin: &SigningKey) -> Result<Self, Failure> {
        let mut entropy = Counter(0);
        let recovery = BoxSecret::from_seed(&entropy.secret()).public();
        let guardians = GuardianSet { threshold: 0, guardians: Bounded::new(), recovery };
        let genesis = draft::genesis(
            admin,
            recovery,
            entropy.bytes32(),
            guardians,
            Digest::from_bytes(entropy.bytes32()),
            Millis(START),
        )?;
        let mut set = OpSet::new(genesis.realm());
        set.insert(genesis)?;
        let folded = fold(&set, &Clock::default());
        Ok(Self { set, folded, now: START })
    }

    fn say(
        &mut self,
        author: &SigningKey,
        body: impl Into<Body>,
        cosigner: Option<&SigningKey>,
    ) -> Result<(), Failure> {
        self.now += 1000;
        let mut op = draft(&self.set, &self.folded.state, author, body, Millis(self.now))?;
        if let Some(cosigner) = cosigner {
            op.add_signature(cosigner);
        }
        self.set.restore(op)?;
        Ok(())
    }

    fn node(&mut self, admin: &SigningKey, node: &SigningKey) -> Result<(), Failure> {
        let box_key = BoxSecret::from_seed(&Secret::from_bytes([1; 32])).public();
        let body = body::NodeAdd {
            node: node.verifying(),
            box_key,
            roles: NodeRoles::STORAGE.with(NodeRoles::GATEWAY),
        };
        self.say(admin, body, Some(node))
    }

    fn bucket(&mut self, author: &SigningKey, n: u64) -> Result<(), Failure> {
        let bucket = BucketId::from_bytes(hash::digest("freehold bench bucket", &(n % 5000).to_be_bytes()));
        self.say(author, body::BucketSet { bucket, copies: 2, confirm: 1, rules: None }, None)
    }

    fn checkpoint(&mut self, admin: &SigningKey) -> Result<(), Failure> {
        self.folded = fold(&self.set, &Clock::default());
        let body = draft::checkpoint(&self.folded)?;
        self.say(admin, body, None)?;
        self.folded = fold(&self.set, &Clock::default());
        Ok(())
    }

    fn time(&self, what: &str) {
        let start = Instant::now();
        let folded = fold(&self.set, &Clock::default());
        let took = start.elapsed();
        println!(
            "| fold of {} operations, {what} ({} nodes, {} buckets) | {} ms |",
            self.set.len(),
            folded.state.nodes.len(),
            folded.state.buckets.len(),
            took.as_millis(),
        );
    }
}

/// One line of history, five nodes writing in turn, a checkpoint now and then.
fn line(len: u64) -> Result<Bench, Failure> {
    let admin = key("admin", 0);
    let mut bench = Bench::new(&admin)?;
    let nodes: Vec<SigningKey> = (0..5).map(|n| key("node", n)).collect();
    for node in &nodes {
        bench.node(&admin, node)?;
    }
    for n in 0..len {
        match nodes.get(usize::try_from(n % 6)?) {
            Some(node) => bench.bucket(node, n)?,
            None => bench.bucket(&admin, n)?,
        }
        if n % (len / 10) == 0 {
            bench.checkpoint(&admin)?;
        }
    }
    Ok(bench)
}

/// Five nodes that write apart and meet every twenty operations.
fn partitions(len: u64) -> Result<Bench, Failure> {
    let admin = key("admin", 0);
    let mut bench = Bench::new(&admin)?;
    let nodes: Vec<SigningKey> = (0..5).map(|n| key("node", n)).collect();
    for node in &nodes {
        bench.node(&admin, node)?;
    }
    let mut n = 0;
    while n < len {
        let mut apart: Vec<Op> = Vec::new();
        for node in &nodes {
            let mut newest = None;
            for _ in 0..4 {
                n += 1;
                bench.now += 1000;
                let bucket =
                    BucketId::from_bytes(hash::digest("freehold bench bucket", &(n % 5000).to_be_bytes()));
                let body = body::BucketSet { bucket, copies: 2, confirm: 1, rules: None };
                let mut op = draft(&bench.set, &bench.folded.state, node, body, Millis(bench.now))?;
                if let Some((seq, prev)) = newest {
                    let mut head = op.head().clone();
                    (head.seq, head.prev) = (seq + 1, Some(prev));
                    head.parents = Bounded::from_vec(vec![prev])?;
                    op = Op::sign(head, op.body().clone(), node)?;
                }
                newest = Some((op.head().seq, op.id()));
                apart.push(op);
            }
        }
        for op in apart {
            bench.set.restore(op)?;
        }
    }
    Ok(bench)
}

fn many_nodes(len: u64) -> Result<Bench, Failure> {
    let admin = key("admin", 0);
    let mut bench = Bench::new(&admin)?;
    for n in 0..len {
        bench.node(&admin, &key("node", n))?;
    }
    Ok(bench)
}

fn main() -> Result<(), Failure> {
    let len = std::env::args().nth(1).map_or(Ok(100_000), |n| n.parse())?;
    line(len)?.time("one line of history");
    partitions(len)?.time("five nodes apart, meeting every twenty");
    many_nodes(len / 10)?.time("one for each node");
    Ok(())
}

use proptest::prelude::*;

use super::*;

const KEPT: u32 = 2 << 16;

fn id(n: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(n).unwrap(); 32])
}

const fn ready(last: u64, whole: bool) -> Ready {
    Ready { kept: KEPT, last, whole }
}

fn scene(said: &[(usize, Ready)]) -> Scene {
    Scene {
        kept: KEPT,
        // Two with the role, one that it is shared with, one that only stores.
        active: [(1, true), (2, true), (3, false), (4, false)].map(|(n, keeps)| (id(n), keeps)).into(),
        named: (1..6).map(id).collect(),
        boxed: [(1, true), (3, true)].map(|(n, by_keeper)| (id(n), by_keeper)).into(),
        said: said.iter().map(|(n, ready)| (id(*n), *ready)).collect(),
        here: [(1, 5), (2, 5), (3, 5)].map(|(n, last)| (id(n), last)).into(),
        for_guardians: true,
    }
}

#[test]
fn keys_end_when_all_that_can_have_one_are_ready() {
    let all = [(1, ready(5, true)), (2, ready(0, false)), (3, ready(4, false))];
    assert_eq!(scene(&all).may_end(), Ok(()), "who only stores is not asked");
    let but = |n: usize, other: &[(usize, Ready)]| {
        let said: Vec<_> = all.iter().filter(|(m, _)| *m != n).chain(other).copied().collect();
        scene(&said)
    };
    for n in 1..=3 {
        assert_eq!(but(n, &[]).may_end(), Err(Wait::Words([id(n)].into())));
        let mut gone = but(n, &[]);
        gone.active.remove(&id(n));
        let whole = if n == 1 { Err(Wait::Whole) } else { Ok(()) };
        assert_eq!(gone.may_end(), whole, "one without rights holds nobody up, but somebody must know");
    }
    let earlier = Ready { kept: 1 << 16, ..ready(5, true) };
    assert_eq!(but(1, &[(1, earlier)]).may_end(), Err(Wait::Words([id(1)].into())));
    let later = Ready { kept: 3 << 16, ..ready(5, true) };
    assert_eq!(but(1, &[(1, later)]).may_end(), Ok(()));
    assert_eq!(but(3, &[(3, ready(6, false))]).may_end(), Err(Wait::Entries([id(3)].into())));
    assert_eq!(but(1, &[(1, ready(5, false))]).may_end(), Err(Wait::Whole), "nobody has all keys");

    let whole = || scene(&all);
    let private = Scene { for_guardians: false, ..whole() };
    assert_eq!(private.may_end(), Err(Wait::Guardians));
    let mut unheard = whole();
    unheard.boxed.insert(id(9), true);
    assert_eq!(unheard.may_end(), Err(Wait::Log), "it has a key, and the log does not say yet who it is");
    unheard.boxed.insert(id(9), false);
    assert_eq!(unheard.may_end(), Ok(()), "anybody can box something for itself");
    assert_eq!(Scene { active: [(id(4), false)].into(), ..whole() }.may_end(), Err(Wait::Whole));
}

/// What a node says in the directory.
#[derive(Debug, Clone, Copy)]
enum Say {
    /// Boxes a key that ends for another node.
    Box(usize),
    /// Boxes the key that stays for the guardians.
    Guardians,
    Ready(Ready),
}

/// What a node writes into the bucket: with a key that ends, or sealed anew what another entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Old,
    Anew(usize, u64),
}

/// What happens in the log.
#[derive(Debug, Clone, Copy)]
enum Op {
    LetIn(usize),
    End,
    Remove(usize),
}

#[derive(Debug, Clone, Default)]
struct Machine {
    /// Whether it has a key that ends.
    has_old: bool,
    has_new: bool,
    ended: bool,
    /// Which operations it knows: any, to be safe, whatever came before.
    log: BTreeSet<usize>,
    directory: [usize; NODES],
    entries: [usize; NODES],
}

const NODES: usize = 4;

const fn is_keeper(n: usize) -> bool {
    n < 3
}

/// Three that hold keys, the last of them let in while this runs, and one that only stores.
#[derive(Debug, Default)]
struct World {
    log: Vec<Op>,
    said: [Vec<Say>; NODES],
    written: [Vec<Entry>; NODES],
    machines: [Machine; NODES],
}

impl World {
    fn new() -> Self {
        let log = vec![Op::LetIn(0), Op::LetIn(1), Op::LetIn(3)];
        let mut world = Self { log, ..Self::default() };
        for (n, machine) in world.machines.iter_mut().enumerate() {
            machine.log = (0..3).collect();
            machine.has_old = n < 2;
        }
        world.said[0].push(Say::Box(1));
        world
    }

    fn known(&self, n: usize) -> impl Iterator<Item = &Op> {
        self.machines[n].log.iter().map(|at| &self.log[*at])
    }

    fn decide(&mut self, n: usize, op: Op) {
        self.machines[n].log.insert(self.log.len());
        self.log.push(op);
    }

    fn scene(&self, n: usize) -> Scene {
        let mut scene = Scene { kept: KEPT, ..Scene::default() };
        for op in self.known(n) {
            match op {
                Op::LetIn(m) => {
                    scene.named.insert(id(*m));
                    scene.active.insert(id(*m), is_keeper(*m));
                }
                Op::Remove(m) => drop(scene.active.remove(&id(*m))),
                Op::End => {}
            }
        }
        for m in 0..NODES {
            scene.here.insert(id(m), self.machines[n].entries[m] as u64);
            for say in &self.said[m][..self.machines[n].directory[m]] {
                match say {
                    Say::Box(to) => drop(scene.boxed.insert(id(*to), true)),
                    Say::Guardians => scene.for_guardians = true,
                    Say::Ready(ready) => drop(scene.said.insert(id(m), *ready)),
                }
            }
        }
        scene
    }

    fn is_active(&self, m: usize) -> bool {
        let of = |op: &&Op| matches!(op, Op::LetIn(other) | Op::Remove(other) if *other == m);
        matches!(self.log.iter().rfind(of), Some(Op::LetIn(_)))
    }

    /// Whether somebody with rights has not heard of a machine that one let in: if that one is removed then, nobody
    /// waits for the new machine. A gap that is known (decision 7).
    fn let_in_unheard(&self, by: usize) -> bool {
        let op = self.log.iter().position(|op| matches!(op, Op::LetIn(2)));
        let by_it = self.said[by].iter().any(|say| matches!(say, Say::Box(2)));
        let unheard =
            |op: usize| (0..NODES).any(|m| self.is_active(m) && !self.machines[m].log.contains(&op));
        by_it && op.is_some_and(unheard)
    }

    fn is_anew(&self, known_to: usize, origin: usize, seq: u64) -> bool {
        let known = self.machines[known_to].entries;
        let mut all = (0..NODES).flat_map(|m| &self.written[m][..known[m]]);
        all.any(|entry| *entry == Entry::Anew(origin, seq))
    }

    /// What lives on a key that ends, as a node knows.
    fn living(&self, n: usize) -> Vec<(usize, u64)> {
        let known = self.machines[n].entries;
        let old = (0..NODES).flat_map(|m| {
            let written = (1..).zip(&self.written[m][..known[m]]);
            written.filter(|(_, entry)| **entry == Entry::Old).map(move |(seq, _)| (m, seq))
        });
        old.filter(|(origin, seq)| !self.is_anew(n, *origin, *seq)).collect()
    }

    fn write(&mut self, n: usize, entry: Entry) {
        // Who goes on after its disk was away goes on where it was.
        assert_eq!(self.machines[n].entries[n], self.written[n].len());
        self.written[n].push(entry);
        self.machines[n].entries[n] += 1;
    }

    fn say(&mut self, n: usize, say: Say) {
        self.said[n].push(say);
        self.machines[n].directory[n] = self.said[n].len();
    }

    fn step(&mut self, (what, n, m): (u8, usize, usize)) {
        let hears_end = self.known(n).any(|op| matches!(op, Op::End));
        let machine = &self.machines[n];
        match what {
            // One thing more from another one, in its stream's order.
            0..3 => {
                let theirs = self.machines[m].log.difference(&machine.log).copied();
                let one = if what == 0 { theirs.max() } else { theirs.min() };
                self.machines[n].log.extend(one);
            }
            3..7 => {
                let from = usize::from(what) % NODES;
                let (mine, theirs) = (machine.directory[from], self.machines[m].directory[from]);
                self.machines[n].directory[from] = mine.max(theirs.min(mine + 1));
                // Boxes bring keys.
                for say in &self.said[from][..self.machines[n].directory[from]] {
                    self.machines[n].has_old |= matches!(say, Say::Box(to) if *to == n);
                    self.machines[n].has_new |= n < 3 && matches!(say, Say::Guardians);
                }
            }
            7..11 => {
                let from = usize::from(what) % NODES;
                let (mine, theirs) = (machine.entries[from], self.machines[m].entries[from]);
                self.machines[n].entries[from] = mine.max(theirs.min(mine + 1));
            }
            // Seals with the key that it would: none that ends, once it knows that.
            11 if machine.has_old && !(machine.has_new && hears_end) && !machine.ended => {
                self.write(n, Entry::Old);
            }
            // A keeper that has not heard lets in another one, and gives it what it has.
            12 if n < 2 && !hears_end && !self.log.iter().any(|op| matches!(op, Op::LetIn(2))) => {
                self.decide(n, Op::LetIn(2));
                self.say(n, Say::Box(2));
            }
            13 if n == 0 && !hears_end => {
                self.decide(n, Op::End);
                self.machines[0].has_new = true;
                self.say(0, Say::Guardians);
            }
            14 if machine.has_old && machine.has_new && hears_end => {
                for (origin, seq) in self.living(n) {
                    self.write(n, Entry::Anew(origin, seq));
                }
            }
            // Who has none of those keys cannot see what lives.
            15 if machine.has_new && hears_end && (!machine.has_old || self.living(n).is_empty()) => {
                let (last, whole) = (machine.entries[n] as u64, machine.has_old);
                self.say(n, Say::Ready(ready(last, whole)));
            }
            16 if hears_end && self.scene(n).may_end() == Ok(()) => {
                self.machines[n].ended = true;
                self.machines[n].has_old = false;
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// However little of what others said has come, and in which order: when a node lets go, whatever a node with
    /// rights sealed with a key that ends was sealed anew, and that one knows it.
    #[test]
    fn no_key_goes_as_long_as_something_lives_on_it_alone(
        steps in prop::collection::vec((0u8..17, 0..NODES, 0..NODES), 0..400),
        dies in prop::option::of((0usize..400, 0..3usize)),
    ) {
        let mut world = World::new();
        for (at, step) in steps.into_iter().enumerate() {
            if let Some((_, dead)) = dies.filter(|(when, _)| *when == at)
                && world.is_active(dead)
                && !world.let_in_unheard(dead)
            {
                world.decide(3, Op::Remove(dead));
            }
            let is_gone = |n: usize| world.log.iter().any(|op| matches!(op, Op::Remove(m) if *m == n));
            if is_gone(step.1) || is_gone(step.2) {
                continue;
            }
            let before = world.machines[step.1].ended;
            world.step(step);
            if world.machines[step.1].ended && !before {
                for m in (0..3).filter(|m| world.is_active(*m)) {
                    let own = (1..).zip(&world.written[m]).filter(|(_, entry)| **entry == Entry::Old);
                    for (seq, _) in own {
                        prop_assert!(world.is_anew(m, m, seq), "{} of {m} is lost: {world:?}", seq);
                    }
                }
            }
        }
    }
}

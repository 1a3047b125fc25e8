//! The world in which `sync` replicates a log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use freehold_sync::{Event, Input, LogSync, Message, Output, Ticket};
use freehold_wire::{Bounded, DecodeError, Millis, OpId};

use crate::check::Numbers;
use crate::network::{Name, Network, plain_id};
use crate::{Choose, Fault, Kind, Letter, Options, TestLog, Trace, World};

type Rows = Vec<(OpId, Vec<u8>)>;

/// How long a healed world may take.
const HEAL_MAX: Millis = Millis::from_secs(300);

#[derive(Debug)]
struct Machine {
    /// How far its clock is ahead of the world's.
    clock: Millis,
    /// What is durable, in the order in which it came.
    disk: Rows,
    /// Nothing while it is stopped.
    core: Option<LogSync<TestLog>>,
    writes: VecDeque<(Ticket, Rows)>,
}

/// Nodes with a log each, their disks, and the network between them.
#[derive(Debug)]
pub struct LogWorld {
    options: Options,
    now: Millis,
    nodes: BTreeMap<Name, Machine>,
    network: Network<Message>,
    names: u8,
    written: usize,
    nonce: u64,
    /// What a node has said to be durable, and must have for ever.
    acknowledged: BTreeMap<Name, BTreeMap<OpId, u64>>,
    numbers: Numbers,
    wrong: Option<String>,
    trace: Trace,
}

impl LogWorld {
    /// A new world, all nodes connected.
    pub fn new(options: Options, choose: &mut dyn Choose) -> Self {
        let mut world = Self {
            now: Millis(0),
            nodes: BTreeMap::new(),
            network: Network::new(),
            names: 0,
            written: 0,
            nonce: 0,
            acknowledged: BTreeMap::new(),
            numbers: Numbers::default(),
            wrong: None,
            trace: Trace::default(),
            options,
        };
        for _ in 0..world.options.nodes {
            // Off by up to a day: nobody may depend on another's clock.
            let clock = if world.options.crash_between == 0 { 0 } else { choose.below(86_400_000) };
            world.found(Millis(u64::try_from(clock).unwrap_or(0)), choose);
        }
        world
    }

    fn found(&mut self, clock: Millis, choose: &mut dyn Choose) {
        let name = Name(self.names);
        self.names = self.names.saturating_add(1);
        let machine = Machine { clock, disk: Vec::new(), core: None, writes: VecDeque::new() };
        self.nodes.insert(name, machine);
        self.start(name, choose);
    }

    fn start(&mut self, name: Name, choose: &mut dyn Choose) {
        if let Some(node) = self.nodes.get_mut(&name) {
            node.core = Some(LogSync::new(TestLog::restore(&node.disk)));
            self.note(name, "start", format_args!(""));
            self.connect_all(choose);
        }
    }

    fn stop(&mut self, name: Name, choose: &mut dyn Choose) {
        let Some(node) = self.nodes.get_mut(&name) else { return };
        node.core = None;
        let lost = node.writes.len();
        node.writes.clear();
        self.note(name, "crash", format_args!("{lost} writes lost"));
        for other in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.part(name, other, choose);
        }
        self.check_kept(name);
    }

    /// What was acknowledged must be on the disk that acknowledged it.
    fn check_kept(&mut self, name: Name) {
        let Some(node) = self.nodes.get(&name) else { return };
        let disk: BTreeSet<&OpId> = node.disk.iter().map(|(id, _)| id).collect();
        let lost = self.acknowledged.get(&name).and_then(|ids| ids.keys().find(|id| !disk.contains(id)));
        if let Some(id) = lost {
            self.wrong = Some(format!("{name} acknowledged {} and does not have it", id.short()));
        }
    }

    fn connect_all(&mut self, choose: &mut dyn Choose) {
        let running: Vec<Name> =
            self.nodes.iter().filter(|(_, node)| node.core.is_some()).map(|(name, _)| *name).collect();
        for a in &running {
            for b in running.iter().filter(|b| *b > a) {
                // Either may have crashed while others were connected.
                let both = [a, b].into_iter().all(|n| self.nodes.get(n).is_some_and(|n| n.core.is_some()));
                if both && self.network.connect(*a, *b) {
                    self.hand(*a, Input::Connected(plain_id(*b)), choose);
                    if self.network.is_up(*a, *b) {
                        self.hand(*b, Input::Connected(plain_id(*a)), choose);
                    }
                }
            }
        }
    }

    fn part(&mut self, a: Name, b: Name, choose: &mut dyn Choose) {
        if self.network.disconnect(a, b) {
            self.hand(a, Input::Disconnected(plain_id(b)), choose);
            self.hand(b, Input::Disconnected(plain_id(a)), choose);
        }
    }

    /// Hands an input to a running node and carries out what comes of it.
    fn hand(&mut self, name: Name, input: Input, choose: &mut dyn Choose) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(&name)
            && let Some(core) = &mut node.core
        {
            core.handle(now.plus(node.clock), input);
            self.carry_out(name, choose);
        }
    }

    fn carry_out(&mut self, name: Name, choose: &mut dyn Choose) {
        while let Some(output) =
            self.nodes.get_mut(&name).and_then(|node| node.core.as_mut()).and_then(LogSync::poll_output)
        {
            let of = self.options.crash_between;
            if of > 0 && self.allows(Kind::Crash) && choose.below(of * 10) == 1 {
                return self.stop(name, choose);
            }
            self.perform(name, output, choose);
        }
    }

    fn perform(&mut self, name: Name, output: Output<DecodeError>, choose: &mut dyn Choose) {
        match output {
            Output::Store(ticket, rows) => {
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.writes.push_back((ticket, rows));
                }
                if self.options.fault == Some(Fault::StoredEarly) {
                    self.hand(name, Input::Stored(ticket), choose);
                }
            }
            Output::Send(to, message) => {
                if let Message::Operations { operations, .. } = &message {
                    for bytes in operations {
                        self.wrong = self.wrong.take().or(self.numbers.seen(bytes));
                    }
                }
                self.network.send(name, Name(*to.as_bytes().first().unwrap_or(&0)), message);
            }
            Output::Drop(peer) => {
                self.wrong = Some(format!("{name} drops {}, which is honest", peer.short()));
            }
            Output::Tell(Event::Refused { why, .. }) => self.wrong = Some(format!("{name} refuses: {why}")),
            // A write before it failed, or is under way.
            Output::Tell(Event::Unrooted(_) | Event::Busy(_) | Event::Admitted(_) | Event::InStep(_)) => {}
        }
    }

    fn write(&mut self, name: Name, choose: &mut dyn Choose) {
        let Some(log) = self.nodes.get(&name).and_then(|node| node.core.as_ref()).map(LogSync::log) else {
            return;
        };
        self.nonce += 1;
        let own = log.letters().values().filter(|letter| letter.author == name.0);
        let seq = own.map(|letter| letter.seq).max().unwrap_or(0) + 1;
        let sign = self.options.fault.is_none() && !log.letters().is_empty() && choose.below(4) == 1;
        let letter = if sign {
            let at = choose.below(log.letters().len());
            log.letters().values().nth(at).map(|l| Letter { signatures: 1 << (name.0 % 64), ..l.clone() })
        } else {
            let parents = Bounded::fill(&mut log.heads().into_iter());
            Some(Letter { author: name.0, seq, nonce: self.nonce, parents, signatures: 0 })
        };
        let Some(letter) = letter else { return };
        self.written += 1;
        let what = if sign { "sign" } else { "append" };
        self.note(name, what, format_args!("{}/{} {}", letter.author, letter.seq, letter.id().short()));
        self.hand(name, Input::Append(letter.to_bytes()), choose);
    }

    fn sync(&mut self, name: Name, fails: bool, choose: &mut dyn Choose) {
        let Some(node) = self.nodes.get_mut(&name) else { return };
        let Some((ticket, rows)) = node.writes.pop_front() else { return };
        let count = rows.len();
        if fails {
            self.note(name, "fail", format_args!("ticket {}, {count} operations", ticket.0));
            return self.hand(name, Input::StoreFailed(ticket), choose);
        }
        let acknowledged = self.acknowledged.entry(name).or_default();
        for (id, bytes) in rows {
            if let Ok(letter) = Letter::decode(&bytes)
                && letter.author == name.0
            {
                acknowledged.insert(id, letter.seq);
            }
            match node.disk.iter_mut().find(|(other, _)| *other == id) {
                Some((_, kept)) => *kept = bytes,
                None => node.disk.push((id, bytes)),
            }
        }
        self.note(name, "sync", format_args!("ticket {}, {count} operations", ticket.0));
        if self.options.fault != Some(Fault::StoredEarly) {
            self.hand(name, Input::Stored(ticket), choose);
        }
    }

    fn deliver(&mut self, at: usize, keep: bool, choose: &mut dyn Choose) {
        let flight = if keep { self.network.flights.get(at).cloned() } else { self.network.take(at) };
        let Some(flight) = flight else { return };
        let what = if keep { "repeat" } else { "deliver" };
        self.note(flight.to, what, format_args!("{} from {}", flight.message.name(), flight.from));
        // The bytes go over the wire, so that encoding is part of the world.
        match Message::decode(&flight.message.encode()) {
            Ok(message) => self.hand(flight.to, Input::Received(plain_id(flight.from), message), choose),
            Err(error) => self.wrong = Some(format!("a message does not decode: {error}")),
        }
    }

    /// Lets time pass until the first thing that is due.
    fn wait(&mut self, choose: &mut dyn Choose) {
        let due = self.nodes.iter().filter_map(|(name, node)| {
            let (at, why) = node.core.as_ref()?.poll_timeout()?;
            Some((at.since(node.clock).max(self.now), *name, why))
        });
        let Some((at, name, why)) = due.min() else { return };
        self.now = at;
        self.note(name, "wait", format_args!("{why}"));
        if let Some(node) = self.nodes.get_mut(&name)
            && let Some(core) = &mut node.core
        {
            core.handle_timeout(at.plus(node.clock));
            self.carry_out(name, choose);
        }
    }

    fn pick(&self, choose: &mut dyn Choose, fits: impl Fn(&Machine) -> bool) -> Option<Name> {
        let fitting: Vec<Name> =
            self.nodes.iter().filter(|(_, node)| fits(node)).map(|(name, _)| *name).collect();
        fitting.get(choose.below(fitting.len())).copied()
    }

    fn note(&mut self, name: Name, what: &str, detail: std::fmt::Arguments<'_>) {
        let state = self.nodes.get(&name).and_then(|node| node.core.as_ref()).map(LogSync::describe);
        let state = state.unwrap_or_else(|| "stopped".to_owned());
        self.trace.note(self.now, name, what, format_args!("{detail} | {state}"));
    }

    fn converged(&self) -> bool {
        let mut logs = self.nodes.values().map(|node| node.core.as_ref().map(|core| core.log().letters()));
        let Some(first) = logs.next() else { return true };
        logs.all(|log| log == first) && self.nodes.values().all(|node| node.writes.is_empty())
    }

    fn check_healed(&self) -> Result<(), String> {
        for (name, node) in &self.nodes {
            // The disk may have more: a child whose parent's write failed.
            let restored = TestLog::restore(&node.disk);
            let kept = |(id, letter)| restored.letters().get(id) == Some(letter);
            if !node.core.as_ref().is_some_and(|core| core.log().letters().iter().all(kept)) {
                return Err(format!("{name} has in memory what it has not on disk"));
            }
        }
        let all = self.nodes.values().next().and_then(|node| node.core.as_ref()).map(LogSync::log);
        let lost = self.acknowledged.iter().find_map(|(name, ids)| {
            let lost = ids.keys().find(|id| all.is_none_or(|log| !log.letters().contains_key(id)))?;
            Some(format!("{} of {name} was acknowledged and is not in the log", lost.short()))
        });
        lost.map_or(Ok(()), Err)
    }
}

impl World for LogWorld {
    fn options(&self) -> &Options {
        &self.options
    }

    fn allows(&self, kind: Kind) -> bool {
        let any = |fits: fn(&Machine) -> bool| self.nodes.values().any(fits);
        match kind {
            Kind::Write => self.written < self.options.writes && any(|node| node.core.is_some()),
            Kind::Deliver | Kind::Lose | Kind::Repeat => !self.network.flights.is_empty(),
            Kind::Sync | Kind::Fail => any(|node| !node.writes.is_empty()),
            Kind::Crash => any(|node| node.core.is_some()),
            Kind::Restart => any(|node| node.core.is_none()),
            Kind::Cut => self.nodes.len() > 1,
            Kind::Mend => !self.network.cuts().is_empty(),
            Kind::Wait => any(|node| node.core.as_ref().is_some_and(|core| core.poll_timeout().is_some())),
            Kind::Destroy => self.names < 8,
            _ => false,
        }
    }

    fn step(&mut self, kind: Kind, choose: &mut dyn Choose) {
        match kind {
            Kind::Write => {
                if let Some(name) = self.pick(choose, |node| node.core.is_some()) {
                    self.write(name, choose);
                }
            }
            Kind::Deliver | Kind::Repeat => {
                if let Some(at) = self.network.pick(choose, self.options.reorder) {
                    self.deliver(at, kind == Kind::Repeat, choose);
                }
            }
            Kind::Lose => {
                if let Some(flight) = self.network.pick(choose, true).and_then(|at| self.network.take(at)) {
                    self.note(
                        flight.to,
                        "lose",
                        format_args!("{} from {}", flight.message.name(), flight.from),
                    );
                }
            }
            Kind::Sync | Kind::Fail => {
                if let Some(name) = self.pick(choose, |node| !node.writes.is_empty()) {
                    self.sync(name, kind == Kind::Fail, choose);
                }
            }
            Kind::Crash => {
                if let Some(name) = self.pick(choose, |node| node.core.is_some()) {
                    self.stop(name, choose);
                }
            }
            Kind::Restart => {
                if let Some(name) = self.pick(choose, |node| node.core.is_none()) {
                    self.start(name, choose);
                }
            }
            Kind::Cut => {
                if let (Some(a), Some(b)) = (self.pick(choose, |_| true), self.pick(choose, |_| true))
                    && a != b
                {
                    self.note(a, "cut", format_args!("from {b}"));
                    self.network.cut(a, b);
                    self.part(a, b, choose);
                }
            }
            Kind::Mend => {
                let cuts = self.network.cuts();
                if let Some((a, b)) = cuts.get(choose.below(cuts.len())).copied() {
                    self.note(a, "mend", format_args!("to {b}"));
                    self.network.mend(a, b);
                    self.connect_all(choose);
                }
            }
            Kind::Wait => self.wait(choose),
            Kind::Destroy => {
                if let Some(name) = self.pick(choose, |_| true) {
                    self.stop(name, choose);
                    self.nodes.remove(&name);
                    // What only it had is gone with it.
                    self.acknowledged.remove(&name);
                    self.found(Millis(0), choose);
                }
            }
            _ => {}
        }
    }

    fn violation(&self) -> Option<String> {
        self.wrong.clone()
    }

    fn heal(&mut self, choose: &mut dyn Choose) -> Result<(), String> {
        self.options.crash_between = 0;
        for (a, b) in self.network.cuts() {
            self.network.mend(a, b);
        }
        for name in self.nodes.keys().copied().collect::<Vec<_>>() {
            if self.nodes.get(&name).is_some_and(|node| node.core.is_none()) {
                self.start(name, choose);
            }
        }
        self.connect_all(choose);
        let until = self.now.plus(HEAL_MAX);
        while self.now < until && self.wrong.is_none() {
            self.trace.step();
            let writing = self.nodes.iter().find(|(_, node)| !node.writes.is_empty()).map(|(name, _)| *name);
            if !self.network.flights.is_empty() {
                self.deliver(0, false, choose);
            } else if let Some(name) = writing {
                self.sync(name, false, choose);
            } else if self.converged() {
                return self.check_healed();
            } else {
                self.wait(choose);
            }
        }
        Err(format!("the logs have not converged within {HEAL_MAX} after everything was healed"))
    }

    fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }
}

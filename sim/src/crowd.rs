//! A large realm: a thousand machines with the real log, connected as `reach` says, and the time until
//! each of them has heard what one of them said.

mod founding;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use freehold_reach::neighbours;
use freehold_realm::{Body, OpSet, State};
use freehold_sync::{Input, LogSync, Message, Output, Ticket};
use freehold_wire::{Millis, NodeId, OpId};

use crate::Choose;
use founding::Founding;

/// A message is this long on its way, in milliseconds: next door, or around the world by a relay.
const WAY: (usize, usize) = (1, 300);
/// A write takes this long to be durable, in milliseconds: from a solid-state disk to a busy turning one.
const WRITE: (usize, usize) = (1, 100);

#[derive(Debug)]
enum Due {
    Arrives { from: usize, to: usize, message: Message },
    Stored { at: usize, ticket: Ticket },
}

#[derive(Debug)]
struct Machine {
    id: NodeId,
    on: bool,
    core: LogSync<OpSet>,
    /// Whom it has connections with.
    with: BTreeSet<usize>,
}

/// When the machines had an operation, and what it cost.
#[derive(Debug, Clone)]
pub struct Spread {
    /// After how long each machine had it, in order; those that are off are left out.
    pub times: Vec<Millis>,
    /// Messages that were on their way meanwhile, in all, and their bytes.
    pub messages: u64,
    /// Bytes of these.
    pub bytes: u64,
}

impl Spread {
    /// After how long so many of a hundred machines had it.
    pub fn after(&self, hundredths: usize) -> Millis {
        let last = self.times.len().saturating_sub(1);
        self.times.get(last * hundredths / 100).copied().unwrap_or_default()
    }
}

/// The realm and the network between its machines.
#[derive(Debug)]
pub struct Crowd {
    founding: Founding,
    machines: Vec<Machine>,
    places: BTreeMap<NodeId, usize>,
    /// With whom each wants to be connected.
    keeps: BTreeMap<NodeId, BTreeSet<NodeId>>,
    now: Millis,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    due: BTreeMap<u64, Due>,
    /// What comes over a connection stays in order.
    latest: BTreeMap<(usize, usize), Millis>,
    count: u64,
    sent: (u64, u64),
}

impl Crowd {
    /// A realm of so many machines that have all heard everything, and are connected.
    pub fn new(machines: u32, choose: &mut dyn Choose) -> Self {
        let founding = Founding::new(machines);
        let ready = LogSync::new(founding.set().clone());
        let all: Vec<Machine> = founding
            .nodes()
            .map(|id| Machine { id, on: true, core: ready.clone(), with: BTreeSet::new() })
            .collect();
        let places = all.iter().enumerate().map(|(at, machine)| (machine.id, at)).collect();
        let state = founding.state();
        let keeps = all.iter().map(|machine| (machine.id, neighbours(state, &machine.id))).collect();
        let mut crowd = Self {
            founding,
            machines: all,
            places,
            keeps,
            now: Millis(0),
            queue: BinaryHeap::new(),
            due: BTreeMap::new(),
            latest: BTreeMap::new(),
            count: 0,
            sent: (0, 0),
        };
        for at in 0..crowd.machines.len() {
            crowd.connect(at, choose);
        }
        crowd.settle(choose);
        crowd
    }

    /// What the log says.
    pub const fn state(&self) -> &State {
        self.founding.state()
    }

    /// A machine's id.
    pub fn id(&self, at: usize) -> Option<NodeId> {
        self.machines.get(at).map(|machine| machine.id)
    }

    /// How many connections each machine keeps.
    pub fn connections(&self) -> Vec<usize> {
        self.machines.iter().map(|machine| machine.with.len()).collect()
    }

    /// The founder says something at a machine; how it spreads to all that are on, nobody asking anew: at most
    /// until the first thing that anybody does because time has passed.
    ///
    /// # Errors
    /// How many have not heard of it when nothing is on its way any more.
    pub fn say(&mut self, at: usize, body: Body, choose: &mut dyn Choose) -> Result<Spread, usize> {
        let op = self.founding.say(body);
        let (id, from, sent) = (op.id(), self.now, self.sent);
        self.hand(at, Input::Append(op.to_bytes()), choose);
        self.spread(id, from, sent, choose)
    }

    /// A new machine: says that it is let in at a machine, and fetches everything from its neighbours.
    ///
    /// # Errors
    /// As with [`Crowd::say`].
    pub fn join(&mut self, at: usize, choose: &mut dyn Choose) -> Result<Spread, usize> {
        let (id, op) = self.founding.join();
        let (from, sent) = (self.now, self.sent);
        let core = LogSync::new(OpSet::new(self.founding.set().realm()));
        let place = self.machines.len();
        self.machines.push(Machine { id, on: true, core, with: BTreeSet::new() });
        self.places.insert(id, place);
        self.hand(at, Input::Append(op.to_bytes()), choose);
        self.connect(place, choose);
        self.spread(op.id(), from, sent, choose)
    }

    /// A machine goes away without a word.
    pub fn leave(&mut self, at: usize, choose: &mut dyn Choose) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.on = false;
        let (id, with) = (machine.id, std::mem::take(&mut machine.with));
        for other in with {
            let Some(peer) = self.machines.get_mut(other) else { continue };
            peer.with.remove(&at);
            let theirs = peer.id;
            self.hand(other, Input::Disconnected(id), choose);
            if let Some(machine) = self.machines.get_mut(at) {
                machine.core.handle(self.now, Input::Disconnected(theirs));
            }
        }
    }

    /// A machine that was off is back; after how long it has all that was said.
    ///
    /// # Errors
    /// As with [`Crowd::say`].
    pub fn back(&mut self, at: usize, choose: &mut dyn Choose) -> Result<Millis, usize> {
        let from = self.now;
        if let Some(machine) = self.machines.get_mut(at) {
            machine.on = true;
        }
        self.connect(at, choose);
        while !self.machines.get(at).is_some_and(|machine| self.has_all(machine)) {
            if self.step(choose).is_none() {
                return Err(1);
            }
        }
        Ok(self.now.since(from))
    }

    fn has_all(&self, machine: &Machine) -> bool {
        machine.core.log().len() == self.founding.set().len()
    }

    fn spread(
        &mut self,
        id: OpId,
        from: Millis,
        sent: (u64, u64),
        choose: &mut dyn Choose,
    ) -> Result<Spread, usize> {
        let on = self.machines.iter().enumerate().filter(|(_, machine)| machine.on);
        let mut waiting: BTreeSet<usize> = on.map(|(at, _)| at).collect();
        let mut times = Vec::new();
        while !waiting.is_empty() {
            let Some(at) = self.step(choose) else { return Err(waiting.len()) };
            let has = self.machines.get(at).is_some_and(|machine| machine.core.log().contains(&id));
            if has && waiting.remove(&at) {
                times.push(self.now.since(from));
            }
        }
        let (messages, bytes) = (self.sent.0 - sent.0, self.sent.1 - sent.1);
        Ok(Spread { times, messages, bytes })
    }

    /// Connects a machine with its neighbours that are on, and with those whose neighbour it is.
    fn connect(&mut self, at: usize, choose: &mut dyn Choose) {
        let Some(id) = self.id(at) else { return };
        let state = self.founding.state();
        let own = self.keeps.entry(id).or_insert_with(|| neighbours(state, &id)).clone();
        let others = self.machines.iter().enumerate().filter(|(other, machine)| *other != at && machine.on);
        let kept = |other: &NodeId| self.keeps.get(other).is_some_and(|keeps| keeps.contains(&id));
        let wanted = others.filter(|(_, machine)| own.contains(&machine.id) || kept(&machine.id));
        let wanted: Vec<(usize, NodeId)> = wanted.map(|(other, machine)| (other, machine.id)).collect();
        for (other, theirs) in wanted {
            let fresh = self.machines.get_mut(at).is_some_and(|machine| machine.with.insert(other));
            if fresh && let Some(peer) = self.machines.get_mut(other) {
                peer.with.insert(at);
                self.hand(at, Input::Connected(theirs), choose);
                self.hand(other, Input::Connected(id), choose);
            }
        }
    }

    /// Lets happen what is under way, until nothing is.
    fn settle(&mut self, choose: &mut dyn Choose) {
        while self.step(choose).is_some() {}
    }

    /// The next thing that is under way happens; says at which machine.
    fn step(&mut self, choose: &mut dyn Choose) -> Option<usize> {
        let Reverse((now, number)) = self.queue.pop()?;
        self.now = now;
        match self.due.remove(&number)? {
            Due::Arrives { from, to, message } => {
                let up = self.machines.get(to).is_some_and(|machine| machine.with.contains(&from));
                if let Some(id) = self.id(from).filter(|_| up) {
                    self.hand(to, Input::Received(id, message), choose);
                }
                Some(to)
            }
            Due::Stored { at, ticket } => {
                self.hand(at, Input::Stored(ticket), choose);
                Some(at)
            }
        }
    }

    fn hand(&mut self, at: usize, input: Input, choose: &mut dyn Choose) {
        let Some(machine) = self.machines.get_mut(at).filter(|machine| machine.on) else { return };
        machine.core.handle(self.now, input);
        while let Some(output) = self.machines.get_mut(at).and_then(|machine| machine.core.poll_output()) {
            match output {
                Output::Send(peer, message) => self.send(at, &peer, message, choose),
                Output::Store(ticket, _) => {
                    let when = self.now.plus(between(WRITE, choose));
                    self.expect(when, Due::Stored { at, ticket });
                }
                Output::Drop(_) | Output::Tell(_) => {}
            }
        }
    }

    fn send(&mut self, from: usize, peer: &NodeId, message: Message, choose: &mut dyn Choose) {
        let Some(to) = self.places.get(peer).copied() else { return };
        self.sent.0 += 1;
        self.sent.1 += message.encode().len() as u64;
        let before = self.latest.get(&(from, to)).copied().unwrap_or_default();
        let when = self.now.plus(between(WAY, choose)).max(before);
        self.latest.insert((from, to), when);
        self.expect(when, Due::Arrives { from, to, message });
    }

    fn expect(&mut self, when: Millis, due: Due) {
        self.count += 1;
        self.queue.push(Reverse((when, self.count)));
        self.due.insert(self.count, due);
    }
}

fn between((from, to): (usize, usize), choose: &mut dyn Choose) -> Millis {
    Millis(u64::try_from(from + choose.below(to - from)).unwrap_or(0))
}

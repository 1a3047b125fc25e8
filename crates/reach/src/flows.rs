//! The flows under way with one peer: an answer comes in because something went out, and what was let in is
//! asked about again when the log says something else. So a right that ends ends what goes by it.

use freehold_packet::{Flow, protocol};
use freehold_wire::Millis;

use crate::net::Verdict;

/// Places that a hash leads to; of more flows the one that is silent for longest goes.
const WAYS: usize = 8;
/// As many flows as there is room for at first.
const FIRST: usize = 1024;
/// How long a silent TCP connection is remembered (RFC 5382), other flows with ports, and echoes.
const TCP_IDLE: Millis = Millis::from_secs(2 * 3600 + 240);
const UDP_IDLE: Millis = Millis::from_secs(300);
const OTHER_IDLE: Millis = Millis::from_secs(60);

/// Who began, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// This side: its answers come in.
    Ours,
    /// The other side, which might at that generation.
    Theirs(u64),
    /// The other side, which might and may no more since that generation: what this side still has to say
    /// does not begin it anew.
    Over(u64),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// As its packets come in.
    flow: Flow,
    stands: Stands,
    last: Millis,
}

/// The flows with one peer.
#[derive(Debug, Clone)]
pub struct Flows {
    sets: Vec<[Option<Entry>; WAYS]>,
    most: usize,
    start: u64,
    factor: u64,
}

impl Flows {
    /// Room for so many flows at most. The seed is drawn anew each time, so that nobody else knows which
    /// flows share a place.
    pub fn new(seed: [u8; 16], room: usize) -> Self {
        let wide = u128::from_le_bytes(seed);
        let most = (room / WAYS).max(1).next_power_of_two();
        let sets = vec![[None; WAYS]; (FIRST / WAYS).min(most)];
        let (start, factor) = halves(wide);
        Self { sets, most, start, factor: factor | 1 }
    }

    /// Whether a packet that comes in may go on. `judge` is asked only about what begins, and at a new
    /// generation of the network about what the other side began. Of TCP anything may begin a flow that is
    /// allowed to begin, as it may be older than this table.
    pub fn inbound(
        &mut self,
        generation: u64,
        now: Millis,
        flow: &Flow,
        judge: impl FnOnce() -> Verdict,
    ) -> bool {
        if let Some(entry) = self.find(flow, now) {
            return entry.goes_on(generation, now, judge);
        }
        let may = judge().allowed();
        if may {
            self.keep(Entry { flow: *flow, stands: Stands::Theirs(generation), last: now });
        }
        may
    }

    /// Whether a packet that comes in belongs to a flow that this side began: for senders that may do
    /// nothing but answer.
    pub fn answered(&mut self, now: Millis, flow: &Flow) -> bool {
        match self.find(flow, now) {
            Some(entry) if entry.stands == Stands::Ours => {
                entry.last = now;
                true
            }
            _ => false,
        }
    }

    /// Notes a packet that goes out, so that answers may come. `opens`: whether it can be the first of a
    /// flow. Of TCP that is one with SYN and without ACK; for a while after a start, when connections are
    /// older than this table, a shell may count all of them. Whether it may go: not if it belongs to what was
    /// let in and may come no more; `judge` is asked about that flow, as it came in, at a new generation.
    pub fn outbound(
        &mut self,
        generation: u64,
        now: Millis,
        flow: &Flow,
        opens: bool,
        judge: impl FnOnce() -> Verdict,
    ) -> bool {
        let back = flow.reversed();
        if let Some(entry) = self.find(&back, now) {
            return entry.goes_on(generation, now, judge);
        }
        if opens {
            self.keep(Entry { flow: back, stands: Stands::Ours, last: now });
        }
        true
    }

    /// Whether a packet from somebody else goes out, for whom this side passes packets on: only if it belongs to
    /// a flow that the other side began and still may. It begins none.
    pub fn returned(
        &mut self,
        generation: u64,
        now: Millis,
        flow: &Flow,
        judge: impl FnOnce() -> Verdict,
    ) -> bool {
        match self.find(&flow.reversed(), now) {
            Some(entry) if entry.stands != Stands::Ours => entry.goes_on(generation, now, judge),
            _ => false,
        }
    }

    /// How many flows there is room for at present.
    pub fn room(&self) -> usize {
        self.sets.len() * WAYS
    }

    fn find(&mut self, flow: &Flow, now: Millis) -> Option<&mut Entry> {
        let at = self.place(flow);
        let set = self.sets.get_mut(at)?;
        set.iter_mut().flatten().find(|entry| entry.flow == *flow && entry.lives(now))
    }

    fn keep(&mut self, entry: Entry) {
        let now = entry.last;
        while self.sets.len() < self.most && self.is_full(&entry.flow, now) {
            self.grow(now);
        }
        let at = self.place(&entry.flow);
        let Some(set) = self.sets.get_mut(at) else { return };
        // An empty place, or that of the one that is silent for longest; dead ones are such. What is over is
        // displaced by nothing else: forgotten, it could begin anew from this side.
        let is_over = |entry: &Entry| matches!(entry.stands, Stands::Over(_)) && entry.lives(now);
        let silent = |place: &&mut Option<Entry>| place.as_ref().map(|entry| (is_over(entry), entry.last));
        if let Some(place) = set.iter_mut().min_by_key(silent) {
            *place = Some(entry);
        }
    }

    fn is_full(&self, flow: &Flow, now: Millis) -> bool {
        let set = self.sets.get(self.place(flow));
        set.is_some_and(|set| set.iter().all(|place| place.is_some_and(|entry| entry.lives(now))))
    }

    /// Twice the places; the dead stay behind.
    fn grow(&mut self, now: Millis) {
        let wider = vec![[None; WAYS]; (self.sets.len() * 2).min(self.most)];
        for entry in std::mem::replace(&mut self.sets, wider).into_iter().flatten().flatten() {
            let at = self.place(&entry.flow);
            let set = self.sets.get_mut(at).filter(|_| entry.lives(now));
            if let Some(place) = set.and_then(|set| set.iter_mut().find(|place| place.is_none())) {
                *place = Some(entry);
            }
        }
    }

    fn place(&self, flow: &Flow) -> usize {
        let (src, dst) = (wide(flow.src), wide(flow.dst));
        let ports = u64::from(flow.proto) << 32 | u64::from(flow.sport) << 16 | u64::from(flow.dport);
        let words = [src.0, src.1, dst.0, dst.1, ports];
        let mixed = words.into_iter().fold(self.start, |state, word| fold(state ^ word, self.factor));
        // The number of sets is a power of two.
        usize::try_from(mixed & (self.sets.len() as u64 - 1)).unwrap_or(0)
    }
}

impl Entry {
    /// Whether another packet of it may pass, in either direction.
    fn goes_on(&mut self, generation: u64, now: Millis, judge: impl FnOnce() -> Verdict) -> bool {
        self.last = now;
        match self.stands {
            Stands::Ours => true,
            Stands::Theirs(of) if of == generation => true,
            Stands::Over(of) if of == generation => false,
            Stands::Theirs(_) | Stands::Over(_) => {
                let may = judge().allowed();
                self.stands = if may { Stands::Theirs(generation) } else { Stands::Over(generation) };
                may
            }
        }
    }

    fn lives(&self, now: Millis) -> bool {
        let idle = match self.flow.proto {
            protocol::TCP => TCP_IDLE,
            protocol::UDP => UDP_IDLE,
            _ => OTHER_IDLE,
        };
        now.since(self.last) <= idle
    }
}

/// Both halves of a product, folded.
fn fold(a: u64, b: u64) -> u64 {
    let (low, high) = halves(u128::from(a).wrapping_mul(u128::from(b)));
    low ^ high
}

fn halves(wide: u128) -> (u64, u64) {
    let low = u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(0);
    (low, u64::try_from(wide >> 64).unwrap_or(0))
}

fn wide(at: std::net::IpAddr) -> (u64, u64) {
    match at {
        std::net::IpAddr::V4(at) => (u64::from(at.to_bits()), 4),
        std::net::IpAddr::V6(at) => halves(at.to_bits()),
    }
}

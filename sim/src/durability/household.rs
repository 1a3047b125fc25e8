//! One household's copies, day by day.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::hash;
use freehold_passes::storage::Phase;
use freehold_placement::{BucketView, Cuts, NodeView, View, place};
use freehold_realm::body::{Ceilings, Resource, Terms};
use freehold_wire::{BucketId, EntryId, Millis, NodeId, RealmId, Regions, ZoneId};

use super::fates::Blow;
use super::{Apart, Care, Fates, Odds, Rule, Tally};

const DAY: Millis = Millis::from_hours(24);
/// A bit for each of the household's slots.
type Slots = u64;

/// A machine of its own, or room at a lender's.
#[derive(Debug)]
struct Slot {
    id: NodeId,
    owner: usize,
    machine: usize,
    house: usize,
    /// Which shard lies there, if the rooms are one backend.
    shard: usize,
    /// When the lender gives notice.
    ends: Option<u32>,
    /// Lost, and not replaced before this.
    down_until: u32,
    /// For how many days it has not answered.
    silent: u32,
    /// It was emptied, and nobody has looked since.
    emptied: bool,
    stands: Stands,
    draining: bool,
}

/// How a lender's grant stands; one's own machines are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Open,
    /// What is there is given out, and nothing taken in.
    Closed,
    Gone,
}

impl Slot {
    fn is_gone(&self) -> bool {
        self.stands == Stands::Gone
    }
}

/// An object: who has it, and who is believed to.
#[derive(Debug)]
struct Kept {
    entry: EntryId,
    belongs: Slots,
    real: Slots,
    believed: Slots,
    lost: bool,
}

#[derive(Debug)]
struct Household<'a> {
    odds: &'a Odds,
    fates: &'a Fates,
    rule: &'a Rule,
    care: Care,
    me: usize,
    slots: Vec<Slot>,
    /// Who was asked for room already.
    asked: usize,
    /// When another lender will have been found.
    found: Option<u32>,
    objects: Vec<Kept>,
    moved: bool,
    tally: Tally,
}

/// From what an object can be had.
#[derive(Debug)]
struct Sources {
    own: Slots,
    data: Option<u32>,
    /// Who has which shard: after one was made anew elsewhere, several have the same.
    shards: BTreeMap<usize, Slots>,
}

impl Sources {
    fn give(&self, from: Slots) -> bool {
        let Some(data) = self.data else { return from != 0 };
        let shards = self.shards.values().filter(|with| from & **with != 0).count();
        from & self.own != 0 || shards >= data as usize
    }
}

/// What becomes of every household of a world under a rule.
pub fn households(odds: &Odds, fates: &Fates, rule: &Rule, care: Care) -> Tally {
    let all = 0..fates.owners.len();
    all.fold(Tally::default(), |tally, me| tally.plus(Household::new(odds, fates, rule, care, me).run()))
}

fn id(salt: usize, words: [usize; 3]) -> [u8; 32] {
    let bytes: Vec<u8> =
        [salt, words[0], words[1], words[2]].iter().flat_map(|word| word.to_be_bytes()).collect();
    hash::digest("freehold 2026 simulated household", &bytes)
}

const fn bit(at: usize) -> Slots {
    1 << (at % 64)
}

impl<'a> Household<'a> {
    fn new(odds: &'a Odds, fates: &'a Fates, rule: &'a Rule, care: Care, me: usize) -> Self {
        let object = |n| EntryId::from_bytes(id(fates.salt, [me, n, usize::MAX]));
        let kept = |entry| Kept { entry, belongs: 0, real: 0, believed: 0, lost: false };
        let mut household = Self {
            odds,
            fates,
            rule,
            care,
            me,
            slots: Vec::new(),
            asked: 0,
            found: None,
            objects: (0..odds.objects).map(object).map(kept).collect(),
            moved: false,
            tally: Tally { households: 1, objects: odds.objects as u64, ..Tally::default() },
        };
        // One that stores nothing is there all the same: it writes, and asks the lenders.
        for machine in 0..rule.own.max(1) {
            household.add(me, machine, machine % rule.houses.max(1), None);
        }
        for _ in 0..rule.lenders {
            household.ask(0);
        }
        household.belong();
        for object in &mut household.objects {
            let first = object.belongs | if rule.keeps { bit(0) } else { 0 };
            (object.real, object.believed) = (first, first);
        }
        household
    }

    fn add(&mut self, owner: usize, machine: usize, house: usize, ends: Option<u32>) {
        let id = NodeId::from_bytes(id(self.fates.salt, [self.me, self.slots.len(), 0]));
        let rooms =
            self.slots.iter().filter(|slot| slot.owner != self.me && !slot.is_gone() && !slot.draining);
        let known: BTreeSet<usize> = rooms.map(|slot| slot.shard).collect();
        let shard = (0..self.rule.lenders).find(|shard| !known.contains(shard)).unwrap_or(0);
        self.slots.push(Slot {
            id,
            owner,
            machine,
            house,
            shard,
            ends,
            down_until: 0,
            silent: 0,
            emptied: false,
            stands: Stands::Open,
            draining: false,
        });
        self.moved = true;
    }

    /// The next friend who can be asked lends room.
    fn ask(&mut self, day: u32) {
        let Some(owner) = self.fates.owner(self.me) else { return };
        while let Some(candidate) = owner.candidates.get(self.asked) {
            self.asked += 1;
            if !self.fates.is_away(candidate.owner, day) {
                self.add(candidate.owner, 0, 0, candidate.stays.map(|stays| day + stays));
                return;
            }
        }
    }

    fn run(mut self) -> Tally {
        let leaves = self.fates.owner(self.me).and_then(|owner| owner.vanishes).unwrap_or(self.odds.days);
        for day in 0..leaves {
            self.strike(day);
            self.end(day);
            let up = self.up(day);
            let home = up & self.own() != 0;
            if home {
                self.look(day, up);
                if self.care != Care::None {
                    self.mind(day, up);
                }
            }
            if self.moved && self.care != Care::None {
                self.belong();
            }
            if home && self.care != Care::None {
                self.repair(day, up);
            }
            self.count(up, home);
        }
        if leaves == self.odds.days {
            let (own, piece) = (self.own(), self.rule.piece());
            let room = |slots: Slots| {
                u64::from((slots & own).count_ones()) * 12 + u64::from((slots & !own).count_ones()) * piece
            };
            self.tally.room = self.objects.iter().map(|object| room(object.real)).sum();
            self.tally.still = self.tally.objects;
        }
        self.tally.lost = self.objects.iter().filter(|object| object.lost).count() as u64;
        self.tally.losers = u32::from(self.tally.lost > 0);
        self.tally
    }

    fn mask(&self, of: impl Fn(&Slot) -> bool) -> Slots {
        self.slots.iter().enumerate().filter(|(_, slot)| of(slot)).fold(0, |mask, (at, _)| mask | bit(at))
    }

    fn own(&self) -> Slots {
        self.mask(|slot| slot.owner == self.me)
    }

    fn up(&self, day: u32) -> Slots {
        self.mask(|slot| !slot.is_gone() && day >= slot.down_until && !self.fates.is_away(slot.owner, day))
    }

    fn sources(&self) -> Sources {
        let mut shards: BTreeMap<usize, Slots> = BTreeMap::new();
        let coded = self.rule.data.is_some();
        let rooms = self.slots.iter().enumerate().filter(|(_, slot)| coded && slot.owner != self.me);
        for (at, slot) in rooms {
            *shards.entry(slot.shard).or_default() |= bit(at);
        }
        Sources { own: self.own(), data: self.rule.data, shards }
    }

    /// Disks, houses, people: what is lost today.
    fn strike(&mut self, day: u32) {
        let (fates, odds) = (self.fates, self.odds);
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(at) else { continue };
            let blow = fates.blow(slot.owner, slot.machine, slot.house, day);
            if let Some(blow) = blow {
                slot.down_until = day + if blow == Blow::Disk { odds.replace } else { odds.rebuild };
                slot.emptied = true;
            }
            let mine = slot.owner == self.me;
            let vanished = !mine && fates.owner(slot.owner).is_some_and(|owner| owner.vanishes == Some(day));
            if blow.is_some() || vanished || (!mine && fates.has_defected(slot.owner, day)) {
                self.objects.iter_mut().for_each(|object| object.real &= !bit(at));
            }
            if let Some(which) = fates.damage(slot.owner, slot.machine, day) {
                let number = which.checked_rem(self.objects.len()).unwrap_or(0);
                self.objects.get_mut(number).into_iter().for_each(|object| object.real &= !bit(at));
            }
            // What replaces a machine is another one, and is known to be empty.
            if mine && slot.emptied && day >= slot.down_until {
                slot.emptied = false;
                slot.id = NodeId::from_bytes(id(fates.salt, [self.me, at, day as usize + 1]));
                self.moved = true;
                self.objects.iter_mut().for_each(|object| object.believed &= !bit(at));
            }
        }
    }

    /// Grants that end: as far as the terms go, by the rule that both sides go by.
    fn end(&mut self, day: u32) {
        let terms = Terms {
            resource: Resource::Storage,
            ceilings: Ceilings::default(),
            from: Millis(0),
            until: Millis(u64::MAX),
            wind_down_days: self.odds.wind_down,
        };
        let at = |day: u32| Millis(DAY.0 * u64::from(day));
        let ahead = self.care == Care::Ahead;
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let Some(ends) = slot.ends.filter(|ends| day > *ends && !slot.is_gone()) else { continue };
            let phase = Phase::at(&terms, Some(at(ends)), at(day));
            self.moved |= slot.stands == Stands::Open && !phase.takes();
            slot.stands = if phase.takes() { Stands::Open } else { Stands::Closed };
            slot.draining |= ahead;
            if !phase.gives() {
                (slot.stands, self.moved) = (Stands::Gone, true);
                for object in &mut self.objects {
                    object.real &= !bit(number);
                    object.believed &= !bit(number);
                }
            }
        }
    }

    /// What lies there is looked at: what was emptied shows at once, a lie or damage when all is read.
    fn look(&mut self, day: u32, up: Slots) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if up & bit(at) == 0 {
                continue;
            }
            let every = if slot.owner == self.me { self.odds.check } else { self.odds.check_remote }.max(1);
            let reads = (u64::from(day) + at as u64 * 5).is_multiple_of(every.into());
            if !reads && !slot.emptied {
                continue;
            }
            slot.emptied = false;
            let mut missing = false;
            for object in &mut self.objects {
                missing |= object.believed & !object.real & bit(at) != 0;
                object.believed &= object.real | !bit(at);
            }
            if missing && self.fates.has_defected(slot.owner, day) && slot.owner != self.me {
                (slot.stands, self.moved) = (Stands::Gone, true);
            }
        }
    }

    /// People see who has been silent for long, and look for somebody else.
    fn mind(&mut self, day: u32, up: Slots) {
        for (at, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.owner != self.me) {
            slot.silent = if up & bit(at) == 0 { slot.silent + 1 } else { 0 };
            let draining = slot.silent >= self.odds.give_up || (slot.draining && slot.stands != Stands::Open);
            self.moved |= draining != slot.draining;
            slot.draining = draining;
        }
        let lenders =
            self.slots.iter().filter(|slot| slot.owner != self.me && !slot.is_gone() && !slot.draining);
        if lenders.count() >= self.rule.lenders {
            self.found = None;
        } else if *self.found.get_or_insert(day + self.odds.find) <= day {
            self.found = None;
            self.ask(day);
        }
    }

    /// The realm as its log tells it, with the rooms that it was lent as nodes of it.
    fn view(&self, bucket: BucketId) -> View {
        let zone = |slot: &Slot| {
            let owner = self.fates.owner(slot.owner);
            let town = owner.and_then(|owner| owner.towns.get(slot.house)).copied().unwrap_or(0);
            let number = match self.rule.apart {
                Apart::Nothing => return ZoneId::NONE,
                Apart::Owners => slot.owner,
                Apart::Places => town,
            };
            ZoneId::from_bytes((number as u128 + 1).to_be_bytes())
        };
        let coded = self.rule.data.is_some();
        let kept = self.slots.iter().filter(|slot| !slot.is_gone() && (slot.owner == self.me || !coded));
        let node = |slot: &Slot| {
            let stores = slot.owner != self.me || self.rule.own > 0;
            (slot.id, NodeView { stores, draining: slot.draining, zone: zone(slot), ..NodeView::default() })
        };
        let mut nodes: BTreeMap<NodeId, NodeView> = kept.map(node).collect();
        if coded {
            nodes.insert(self.backend(), NodeView { stores: true, ..NodeView::default() });
        }
        let asks = BucketView { copies: self.rule.copies, zones: 0, regions: Regions::default() };
        View {
            realm: RealmId::from_bytes([0; 32]),
            directory: BucketId::from_bytes([0; 32]),
            nodes,
            buckets: BTreeMap::from([(bucket, asks)]),
            members: BTreeSet::new(),
            writers: BTreeSet::new(),
            quiet: BTreeSet::new(),
            cuts: Cuts::new(),
        }
    }

    /// The node that is all lenders' rooms together.
    fn backend(&self) -> NodeId {
        NodeId::from_bytes(id(self.fates.salt, [self.me, usize::MAX, 0]))
    }

    /// Asks where everything belongs.
    fn belong(&mut self) {
        self.moved = false;
        let bucket = BucketId::from_bytes(id(self.fates.salt, [self.me, usize::MAX, usize::MAX]));
        let view = self.view(bucket);
        let mut bits: BTreeMap<NodeId, Slots> =
            self.slots.iter().enumerate().map(|(at, slot)| (slot.id, bit(at))).collect();
        if self.rule.data.is_some() {
            let rooms = self.mask(|slot| slot.owner != self.me && !slot.is_gone() && !slot.draining);
            bits.insert(self.backend(), rooms);
        }
        for object in &mut self.objects {
            let nodes = place(&view, &bucket, &object.entry);
            object.belongs = nodes.iter().fold(0, |all, node| all | bits.get(node).copied().unwrap_or(0));
        }
    }

    /// Copies go where they belong, from whoever has them. None goes because others have it.
    fn repair(&mut self, day: u32, up: Slots) {
        let takes = up & self.mask(|slot| slot.stands == Stands::Open);
        let fates = self.fates;
        let defected = self.mask(|slot| slot.owner != self.me && fates.has_defected(slot.owner, day));
        let (sources, piece) = (self.sources(), self.rule.piece());
        let mut left = u64::from(self.odds.copied_a_day) * 12;
        for object in &mut self.objects {
            let mut missing = object.belongs & !object.believed & takes;
            while missing != 0 && left >= piece && sources.give(object.real & up) {
                let one = missing & missing.wrapping_neg();
                missing &= !one;
                let costs = if one & sources.own == 0 { piece } else { 12 };
                left = left.saturating_sub(costs);
                self.tally.copied += costs;
                object.believed |= one;
                object.real |= one & !defected;
            }
        }
    }

    fn count(&mut self, up: Slots, home: bool) {
        let sources = self.sources();
        for object in self.objects.iter_mut().filter(|object| !object.lost) {
            object.lost = !sources.give(object.real);
            if home && !object.lost {
                self.tally.object_days += 1;
                self.tally.unreadable += u64::from(!sources.give(object.real & up));
            }
        }
    }
}

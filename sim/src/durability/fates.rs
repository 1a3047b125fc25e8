//! What happens to whom on which day: drawn before anything is placed, so that every rule meets the same.

use super::Odds;
use crate::Choose;

/// An owner's machines: as many as the rule that needs most.
pub(super) const MACHINES: usize = 4;
/// Whom a realm may ask for room, one after the other.
const CANDIDATES: usize = 16;
const QUARTER: u32 = 91;
const MILLION: usize = 1_000_000;

/// A realm that may lend another room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) owner: usize,
    /// Gives notice after so many days.
    pub(super) stays: Option<u32>,
}

/// One owner's fate.
#[derive(Debug, Clone, Default)]
pub(super) struct Owner {
    /// The towns of the first house and of the second.
    pub(super) towns: [usize; 2],
    /// Days on which a disk is lost.
    disks: [Vec<u32>; MACHINES],
    /// Days on which an object is damaged on a disk, and which.
    damage: [Vec<(u32, usize)>; MACHINES],
    houses: [Vec<u32>; 2],
    mishaps: Vec<u32>,
    /// Whether there is any of these on a day.
    struck: Vec<bool>,
    away: Vec<(u32, u32)>,
    pub(super) vanishes: Option<u32>,
    pub(super) defects: Option<u32>,
    pub(super) candidates: Vec<Candidate>,
}

/// What happens to everybody.
#[derive(Debug, Clone)]
pub struct Fates {
    pub(super) owners: Vec<Owner>,
    towns: Vec<Vec<u32>>,
    /// Tells this world's ids from others'.
    pub(super) salt: usize,
}

/// How a machine was emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    Disk,
    House,
}

/// The days on which something happens. As many questions are asked whatever is answered: a world in which one thing
/// happens more often is otherwise the same.
fn strikes(choose: &mut dyn Choose, a_year: usize, days: u32) -> Vec<u32> {
    let quarter_days = QUARTER as usize;
    let quarters = (0..days / QUARTER).filter_map(|quarter| {
        let drawn = choose.below(4 * MILLION * quarter_days);
        let day = u32::try_from(drawn % quarter_days).unwrap_or(0);
        (drawn / quarter_days < a_year).then(|| quarter * QUARTER + day)
    });
    quarters.collect()
}

impl Fates {
    /// Draws a world.
    pub fn new(odds: &Odds, choose: &mut dyn Choose) -> Self {
        let salt = choose.below(usize::MAX);
        let towns = (0..odds.towns).map(|_| strikes(choose, odds.town, odds.days)).collect();
        let homes: Vec<[usize; 2]> =
            (0..odds.realms).map(|_| [0; 2].map(|_| choose.below(odds.towns))).collect();
        let owner = |at: usize| {
            let mut owner = drawn(odds, choose);
            owner.towns = homes.get(at).copied().unwrap_or_default();
            owner.candidates = candidates(odds, choose, at, &homes);
            owner
        };
        let mut fates = Self { owners: (0..odds.realms).map(owner).collect(), towns, salt };
        for owner in &mut fates.owners {
            owner.struck = vec![false; odds.days as usize];
            let towns = owner.towns.iter().filter_map(|town| fates.towns.get(*town)).flatten();
            let own = owner.disks.iter().chain(&owner.houses).flatten().chain(&owner.mishaps);
            for day in own.chain(towns) {
                owner.struck.get_mut(*day as usize).into_iter().for_each(|struck| *struck = true);
            }
        }
        fates
    }

    pub(super) fn owner(&self, owner: usize) -> Option<&Owner> {
        self.owners.get(owner)
    }

    /// Whether a machine is emptied on a day.
    pub(super) fn blow(&self, owner: usize, machine: usize, house: usize, day: u32) -> Option<Blow> {
        let owner = self.owner(owner)?;
        owner.struck.get(day as usize).filter(|struck| **struck)?;
        let town = owner.towns.get(house).and_then(|town| self.towns.get(*town));
        let has = |days: Option<&Vec<u32>>| days.is_some_and(|days| days.contains(&day));
        if has(town) || has(owner.houses.get(house)) || has(Some(&owner.mishaps)) {
            return Some(Blow::House);
        }
        has(owner.disks.get(machine)).then_some(Blow::Disk)
    }

    /// Which object is damaged on a machine on a day, as a number of any size.
    pub(super) fn damage(&self, owner: usize, machine: usize, day: u32) -> Option<usize> {
        let damage = self.owner(owner)?.damage.get(machine)?;
        damage.iter().find(|(on, _)| *on == day).map(|(_, which)| *which)
    }

    /// Whether an owner's machines are off on a day.
    pub(super) fn is_away(&self, owner: usize, day: u32) -> bool {
        let Some(owner) = self.owner(owner) else { return true };
        owner.vanishes.is_some_and(|from| day >= from)
            || owner.away.iter().any(|(from, to)| (*from..*to).contains(&day))
    }

    /// Whether an owner has begun to delete what others have there.
    pub(super) fn has_defected(&self, owner: usize, day: u32) -> bool {
        self.owner(owner).and_then(|owner| owner.defects).is_some_and(|from| day >= from)
    }
}

fn drawn(odds: &Odds, choose: &mut dyn Choose) -> Owner {
    let days = odds.days;
    let disks = [(); MACHINES].map(|()| strikes(choose, odds.disk, days));
    let damage = [(); MACHINES].map(|()| {
        let struck = strikes(choose, odds.damage, days);
        let which = choose.below(MILLION);
        struck.into_iter().map(|day| (day, which + day as usize)).collect()
    });
    let houses = [(); 2].map(|()| strikes(choose, odds.house, days));
    let mishaps = strikes(choose, odds.owner, days);
    let (least, most) = odds.away_for;
    let spans: Vec<usize> = (0..days / QUARTER).map(|_| choose.below((most - least) as usize + 1)).collect();
    let span =
        |day: u32| spans.get((day / QUARTER) as usize).map_or(0, |more| u32::try_from(*more).unwrap_or(0));
    let away =
        strikes(choose, odds.away, days).into_iter().map(|day| (day, day + least + span(day))).collect();
    let vanishes = strikes(choose, odds.vanishing, days).first().copied();
    let (defects, day) = (choose.below(MILLION) < odds.defectors.share, choose.below(days as usize));
    let day = if odds.defectors.together { days / 2 } else { u32::try_from(day).unwrap_or(0) };
    let defects = defects.then_some(day);
    Owner { disks, damage, houses, mishaps, away, vanishes, defects, ..Owner::default() }
}

/// Friends in the order in which they are asked, each of them once.
fn candidates(odds: &Odds, choose: &mut dyn Choose, me: usize, homes: &[[usize; 2]]) -> Vec<Candidate> {
    let town = homes.get(me).map(|towns| towns[0]);
    let near: Vec<usize> =
        (0..homes.len()).filter(|at| homes.get(*at).map(|towns| towns[0]) == town).collect();
    let mut all: Vec<Candidate> = Vec::new();
    for _ in 0..CANDIDATES * 2 {
        let (in_town, one, any) =
            (choose.below(100) < odds.near, choose.below(near.len()), choose.below(homes.len()));
        let owner = near.get(one).copied().filter(|_| in_town).unwrap_or(any);
        let stays = strikes(choose, odds.parting, odds.days).first().copied();
        if owner != me && all.len() < CANDIDATES && all.iter().all(|known| known.owner != owner) {
            all.push(Candidate { owner, stays });
        }
    }
    all
}

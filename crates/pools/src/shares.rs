//! Who lends how much to whom: worked out by everybody from the charter alone, so that what two members do who do not
//! hear each other is never together more than was agreed.

use std::collections::BTreeMap;

use freehold_wire::{Millis, RealmId, ZoneId};

use crate::{Member, Standing};

/// Rounds in which room is shared out evenly, before what is left goes by order.
const ROUNDS: usize = 64;

/// What one member lends another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// Who lends.
    pub lender: RealmId,
    /// To whom.
    pub borrower: RealmId,
    /// Bytes.
    pub bytes: u64,
}

/// Rows and columns of what is left.
struct Left<'a> {
    members: Vec<&'a Member>,
    gives: Vec<u64>,
    wants: Vec<u64>,
    shares: BTreeMap<(usize, usize), u64>,
}

impl Left<'_> {
    /// Lenders from whom a borrower may have something in this pass: in other places at first.
    fn lenders(&self, borrower: usize, anywhere: bool) -> Vec<usize> {
        let others = self.gives.iter().enumerate();
        let may = |(at, left): &(usize, &u64)| {
            *at != borrower && **left > 0 && (anywhere || !self.together(*at, borrower))
        };
        others.filter(may).map(|(at, _)| at).collect()
    }

    fn lend(&mut self, lender: usize, borrower: usize, bytes: u64) {
        let left = |of: &[u64], at: usize| of.get(at).copied().unwrap_or(0);
        let bytes = bytes.min(left(&self.gives, lender)).min(left(&self.wants, borrower));
        if bytes == 0 {
            return;
        }
        self.gives.get_mut(lender).into_iter().for_each(|left| *left -= bytes);
        self.wants.get_mut(borrower).into_iter().for_each(|left| *left -= bytes);
        *self.shares.entry((lender, borrower)).or_default() += bytes;
    }

    /// Each borrower asks as much of each lender; who is asked for more than there is gives each their part of it.
    fn round(&mut self, anywhere: bool) -> bool {
        let mut asked: BTreeMap<usize, Vec<(usize, u64)>> = BTreeMap::new();
        for (borrower, want) in self.wants.iter().enumerate().filter(|(_, want)| **want > 0) {
            let lenders = self.lenders(borrower, anywhere);
            let each = want.checked_div(lenders.len() as u64).unwrap_or(0);
            for lender in lenders.into_iter().filter(|_| each > 0) {
                asked.entry(lender).or_default().push((borrower, each));
            }
        }
        let mut moved = false;
        for (lender, wishes) in asked {
            let all: u128 = wishes.iter().map(|(_, bytes)| u128::from(*bytes)).sum();
            let has = u128::from(self.gives.get(lender).copied().unwrap_or(0)).min(all);
            for (borrower, bytes) in wishes {
                let part = (u128::from(bytes) * has).checked_div(all).unwrap_or(0);
                let part = u64::try_from(part).unwrap_or(0);
                moved |= part > 0;
                self.lend(lender, borrower, part);
            }
        }
        moved
    }

    /// Whether two stand in one place, or are one.
    fn together(&self, one: usize, other: usize) -> bool {
        let place = |at: usize| self.members.get(at).map(|member| member.place);
        one == other || (place(one) == place(other) && place(one).is_some_and(ZoneId::is_some))
    }

    fn shift(&mut self, pair: (usize, usize), by: u64, more: bool) {
        let share = self.shares.entry(pair).or_default();
        *share = if more { share.saturating_add(by) } else { share.saturating_sub(by) };
        if *share == 0 {
            self.shares.remove(&pair);
        }
    }

    /// Two within one place exchange with two who lend each other something elsewhere, where that takes both apart:
    /// what each gives and has in all stays.
    fn exchange(&mut self) -> bool {
        let near: Vec<(usize, usize)> = self
            .shares
            .keys()
            .copied()
            .filter(|(lender, borrower)| self.together(*lender, *borrower))
            .collect();
        let mut moved = false;
        for (lender, borrower) in near {
            let others: Vec<(usize, usize)> = self.shares.keys().copied().collect();
            for (other, whom) in others {
                let apart = !self.together(other, borrower) && !self.together(lender, whom);
                let left = |pair: (usize, usize)| self.shares.get(&pair).copied().unwrap_or(0);
                let bytes = left((lender, borrower)).min(left((other, whom)));
                if apart && bytes > 0 {
                    self.shift((lender, borrower), bytes, false);
                    self.shift((other, whom), bytes, false);
                    self.shift((lender, whom), bytes, true);
                    self.shift((other, borrower), bytes, true);
                    moved = true;
                }
            }
        }
        moved
    }

    /// What no round could share out, in the order of the realms.
    fn rest(&mut self, anywhere: bool) {
        for borrower in 0..self.members.len() {
            for lender in self.lenders(borrower, anywhere) {
                let want = self.wants.get(borrower).copied().unwrap_or(0);
                self.lend(lender, borrower, want);
            }
        }
    }
}

/// What each lends each: no more than they give and no more than the other may use, over as many owners as there are, and
/// within one place only what could not be elsewhere by an exchange with anybody. Nothing stays that somebody could have.
pub fn allot<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<Share> {
    let mut members: Vec<&Member> = members.collect();
    members.sort_unstable_by_key(|member| member.realm);
    members.dedup_by_key(|member| member.realm);
    let gives = members.iter().map(|member| member.gives).collect();
    let wants = members.iter().map(|member| member.uses).collect();
    let mut left = Left { members, gives, wants, shares: BTreeMap::new() };
    for anywhere in [false, true] {
        for _ in 0..ROUNDS {
            if !left.round(anywhere) {
                break;
            }
        }
        left.rest(anywhere);
    }
    for _ in 0..ROUNDS {
        if !left.exchange() {
            break;
        }
    }
    let realm = |at: &usize| left.members.get(*at).map(|member| member.realm);
    let shares = left.shares.iter().filter_map(|((lender, borrower), bytes)| {
        Some(Share { lender: realm(lender)?, borrower: realm(borrower)?, bytes: *bytes })
    });
    shares.collect()
}

/// What is less than this is not worth a grant: it is left over where rows do not go up evenly.
const LEAST: u64 = 1 << 20;

/// What a lender has to do, so that its grants are what the charter says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dealing {
    /// What it offers: nothing stands with them yet.
    pub offers: Vec<Share>,
    /// Where something stands, but not what the charter says. To change that ends a grant, which moves what lies under
    /// it: that waits for a person.
    pub differs: Vec<Differs>,
}

/// A grant that is not what the charter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Differs {
    /// With whom.
    pub with: RealmId,
    /// The bytes that it lends.
    pub stands: u64,
    /// The bytes that it should.
    pub due: u64,
}

/// What one lender has to do, by the bytes that its grants lend to each member. Nothing ends of those who leave, and
/// for whoever leaves, before they are free.
pub fn dealing(me: &RealmId, standing: &Standing, grants: &BTreeMap<RealmId, u64>, now: Millis) -> Dealing {
    let mut dealing = Dealing::default();
    let shares = allot(standing.staying());
    let due: BTreeMap<RealmId, u64> = shares
        .iter()
        .filter(|share| share.lender == *me && share.bytes >= LEAST)
        .map(|share| (share.borrower, share.bytes))
        .collect();
    let is_leaving = |realm: &RealmId| standing.leaving.contains_key(realm) && standing.binds(realm, now);
    for member in standing.charter.members.iter().filter(|member| member.realm != *me) {
        let (with, due) = (member.realm, due.get(&member.realm).copied().unwrap_or(0));
        match grants.get(&with).copied() {
            None if due == 0 => {}
            None => dealing.offers.push(Share { lender: *me, borrower: with, bytes: due }),
            Some(_) if is_leaving(&with) || is_leaving(me) => {}
            Some(stands) if stands == due => {}
            Some(stands) => dealing.differs.push(Differs { with, stands, due }),
        }
    }
    dealing
}

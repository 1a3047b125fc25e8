//! What a member may propose and sign, by the papers that are here.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::{SigningKey, VerifyingKey};
use freehold_wire::{Bounded, Digest, Millis, RealmId, Text};

use crate::papers::{CHARTERS_MAX, rank};
use crate::{Charter, Member, NAME_MAX, Papers, Row, Rules, Signed, Standing};

/// After so many charters a pool takes no more: there is to be room for what waits.
const CHAIN_MAX: usize = CHARTERS_MAX / 2;

/// What is to be otherwise. Before there is a charter the rows alone say what it is to be.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// One's own row.
    pub row: Option<Member>,
    /// Realms that have made a row, and are to come in.
    pub let_in: BTreeSet<RealmId>,
    /// Realms that are to be in it no more.
    pub out: BTreeSet<RealmId>,
    /// What all are bound by.
    pub rules: Option<Rules>,
    /// What the pool is called.
    pub name: Option<Text<NAME_MAX>>,
}

/// Why there is nothing to propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoChange {
    /// Fewer than two would be in it.
    Alone,
    /// Rows with two keys say that they are this realm's.
    TwoKeys(RealmId),
    /// It has made no row.
    NotWaiting(RealmId),
    /// It is no member.
    NoMember(RealmId),
    /// It is so already.
    Nothing,
    /// It has been changed too often.
    Full,
    /// Somebody would give or use too much, or there would be too many.
    Unsound,
}

/// Why a key is not put under a charter, though its owner could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwished {
    /// It says of its owner's realm what that has never said.
    Row,
    /// It has signed another one with that number: to sign this one as well would be to say two things.
    Double(Digest),
    /// There is no such charter, or it waits no more.
    Gone,
    /// It cannot be kept.
    Full,
}

/// Whose signatures a charter waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Without these it never counts.
    pub of: BTreeSet<RealmId>,
    /// And of the others so many.
    pub more: usize,
}

impl Missing {
    /// Whether none is missing.
    pub fn is_none(&self) -> bool {
        self.of.is_empty() && self.more == 0
    }
}

impl Papers {
    /// Realms that would come in: their newest rows, as long as they were never in a charter since they made them.
    pub fn waiting(&self) -> Vec<&Row> {
        let standing = self.standing();
        let chain = self.chain();
        let is_there = |row: &Row| {
            let tip = standing.as_ref().map(|standing| &standing.charter);
            let since = self.charters.iter().filter(|paper| chain.contains(&paper.charter.id()));
            let made_for = since.clone().find(|paper| paper.charter.id() == row.of);
            let number = made_for.map(|paper| paper.charter.number);
            tip.is_some_and(|tip| tip.member(&row.member.realm).is_some())
                || since
                    .filter(|paper| number.is_none_or(|number| paper.charter.number > number))
                    .any(|paper| paper.charter.members.contains(&row.member))
        };
        newest(self.rows.iter().filter(|row| !is_there(row)))
    }

    /// The charter that says all of a change. One that is there already is found again.
    ///
    /// # Errors
    /// [`NoChange`]
    pub fn proposal(&self, change: &Change, now: Millis) -> Result<Charter, NoChange> {
        let standing = self.standing();
        let before = standing.as_ref().map(|standing| &standing.charter);
        let siblings: Vec<&Charter> = self.siblings(before);
        let base = before.map_or(0, |before| before.number);
        let highest = siblings.iter().map(|charter| charter.number).fold(base, u32::max);
        let proposed = match &standing {
            None => self.first(change)?,
            Some(standing) => self.next(standing, change, now)?,
        };
        let same = |charter: &&&Charter| {
            let one = (&charter.members, &charter.rules, &charter.name);
            one == (&proposed.members, &proposed.rules, &proposed.name)
        };
        if let Some(known) = siblings.iter().filter(same).max_by_key(|charter| rank(charter)) {
            return Ok((**known).clone());
        }
        let charter = Charter { number: highest.checked_add(1).ok_or(NoChange::Full)?, ..proposed };
        if !charter.is_sound() {
            return Err(NoChange::Unsound);
        }
        Ok(charter)
    }

    fn siblings(&self, before: Option<&Charter>) -> Vec<&Charter> {
        let before = before.map(Charter::id);
        self.charters.iter().map(|paper| &paper.charter).filter(|charter| charter.before == before).collect()
    }

    fn first(&self, change: &Change) -> Result<Charter, NoChange> {
        let id = self.draft.id();
        let rows = newest(self.rows.iter().filter(|row| row.of == id));
        let mut members: BTreeMap<RealmId, Member> = BTreeMap::new();
        for row in rows.into_iter().filter(|row| !change.out.contains(&row.member.realm)) {
            let realm = row.member.realm;
            // The founder's key is known.
            if self.draft.realm == realm && self.draft.key != row.member.key {
                continue;
            }
            if members.insert(realm, row.member).is_some() {
                return Err(NoChange::TwoKeys(realm));
            }
        }
        let members = several(members)?;
        let (name, rules) = (self.draft.name.clone(), self.draft.rules);
        Ok(Charter { pool: None, before: None, number: 0, name, rules, members })
    }

    fn next(&self, standing: &Standing, change: &Change, now: Millis) -> Result<Charter, NoChange> {
        let tip = &standing.charter;
        if self.chain().len() >= CHAIN_MAX {
            return Err(NoChange::Full);
        }
        let mut members: BTreeMap<RealmId, Member> =
            tip.members.iter().map(|member| (member.realm, *member)).collect();
        for realm in &change.out {
            members.remove(realm).ok_or(NoChange::NoMember(*realm))?;
        }
        // Whoever is free need not be put out by anybody.
        members.retain(|realm, _| standing.binds(realm, now));
        let waiting = self.waiting();
        for realm in &change.let_in {
            let mut rows = waiting.iter().filter(|row| row.member.realm == *realm);
            let row = rows.next().ok_or(NoChange::NotWaiting(*realm))?;
            if rows.next().is_some() {
                return Err(NoChange::TwoKeys(*realm));
            }
            members.insert(*realm, row.member);
        }
        if let Some(row) = change.row {
            members.insert(row.realm, row);
        }
        let members = several(members)?;
        let name = change.name.clone().unwrap_or_else(|| tip.name.clone());
        let rules = change.rules.unwrap_or(tip.rules);
        if (&members, &name, &rules) == (&tip.members, &tip.name, &tip.rules) {
            return Err(NoChange::Nothing);
        }
        let (pool, before) = (Some(standing.pool), Some(tip.id()));
        Ok(Charter { pool, before, number: tip.number, name, rules, members })
    }

    /// Charters that wait for signatures, the one that would count before all others first.
    pub fn proposed(&self) -> Vec<&Signed> {
        let before = self.standing().map(|standing| standing.charter.id());
        let mut all: Vec<&Signed> =
            self.charters.iter().filter(|paper| paper.charter.before == before).collect();
        if before.is_none() {
            all.retain(|paper| paper.begins().is_err());
        }
        all.sort_by_cached_key(|paper| std::cmp::Reverse(rank(&paper.charter)));
        all
    }

    /// Whose signatures a charter waits for.
    pub fn missing(&self, paper: &Signed) -> Missing {
        let signers = paper.signers();
        let has = |key: &VerifyingKey| signers.contains(&key.to_bytes());
        let before = self.charters.iter().find(|known| Some(known.charter.id()) == paper.charter.before);
        let Some(before) = before.map(|before| &before.charter) else {
            let of = paper.charter.members.iter().filter(|member| !has(&member.key));
            return Missing { of: of.map(|member| member.realm).collect(), more: 0 };
        };
        let bound = paper.charter.bound_after(before).into_iter();
        let of: BTreeSet<RealmId> =
            bound.filter(|(_, keys)| !keys.iter().all(has)).map(|(realm, _)| realm).collect();
        let agrees = |member: &&Member| has(&member.key) || of.contains(&member.realm);
        let agreed = before.members.iter().filter(agrees).count();
        let more = before.rules.decide.of(before.members.len()).saturating_sub(agreed);
        Missing { of, more }
    }

    /// Charters that a key can sign and has not.
    pub fn to_sign(&self, key: &VerifyingKey) -> Vec<&Signed> {
        let tip = self.standing().map(|standing| standing.charter);
        let is_in = |charter: &Charter| charter.members.iter().any(|member| member.key == *key);
        let may = |paper: &&Signed| {
            let decides = tip.as_ref().is_some_and(is_in);
            (decides || is_in(&paper.charter)) && !paper.signers().contains(&key.to_bytes())
        };
        self.proposed().into_iter().filter(may).collect()
    }

    /// Puts a realm's key under a charter that waits.
    ///
    /// # Errors
    /// [`Unwished`]: nobody signs by a mistake what they have not said, or two things.
    pub fn sign(&mut self, charter: &Charter, realm: RealmId, key: &SigningKey) -> Result<(), Unwished> {
        let (mine, tip) = (key.verifying(), self.standing().map(|standing| standing.charter));
        if charter.before != tip.as_ref().map(Charter::id) {
            return Err(Unwished::Gone);
        }
        if let Some(member) = charter.member(&realm) {
            let is_known = tip.as_ref().and_then(|tip| tip.member(&realm)) == Some(member);
            let is_said = self.rows.iter().any(|row| row.member == *member && row.member.key == mine);
            if !is_known && !is_said {
                return Err(Unwished::Row);
            }
        }
        let other = |paper: &&Signed| {
            let one = &paper.charter;
            (one.before, one.number) == (charter.before, charter.number)
                && one != charter
                && paper.signers().contains(&mine.to_bytes())
        };
        if let Some(other) = self.charters.iter().find(other) {
            return Err(Unwished::Double(other.charter.id()));
        }
        let known = self.charters.iter().find(|paper| paper.charter == *charter).cloned();
        let mut paper = known.unwrap_or_else(|| Signed::proposed(charter.clone()));
        paper.sign(key);
        let id = charter.id();
        self.add_charter(paper).map_err(|_| Unwished::Full)?;
        let kept = self.charters.iter().find(|paper| paper.charter.id() == id);
        let is_kept = kept.is_some_and(|paper| paper.signers().contains(&mine.to_bytes()));
        is_kept.then_some(()).ok_or(Unwished::Gone)
    }
}

/// Of each realm and key the newest row.
fn newest<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<&'a Row> {
    let mut newest: BTreeMap<(RealmId, Vec<u8>), &Row> = BTreeMap::new();
    for row in rows {
        let known = newest.entry((row.member.realm, row.member.key.to_bytes())).or_insert(row);
        if row.at > known.at {
            *known = row;
        }
    }
    newest.into_values().collect()
}

fn several(members: BTreeMap<RealmId, Member>) -> Result<Bounded<Member, { crate::MEMBERS_MAX }>, NoChange> {
    if members.len() < 2 {
        return Err(NoChange::Alone);
    }
    Bounded::from_vec(members.into_values().collect()).map_err(|_| NoChange::Unsound)
}

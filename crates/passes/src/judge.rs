//! Whether a pass counts here and now, by what this realm's own log says of the grant.

use std::collections::BTreeMap;

use freehold_realm::body::Resource;
use freehold_realm::{Grant, Side};
use freehold_wire::{GrantId, Millis, NodeId, RealmId};

use crate::pass::{LIFE_MAX, Pass, Recall};
use crate::storage::{Phase, wind_down};

/// How much two realms' clocks may differ.
const SKEW: Millis = Millis::from_secs(300);
/// The most recalls that are remembered under one grant.
const RECALLS_MAX: usize = 256;

/// Why a pass does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Reason {
    /// It is for another realm's grant, or another realm's machine.
    #[error("the pass is for other realms than those of the grant")]
    Realm,
    /// Another machine shows it.
    #[error("the pass belongs to another machine")]
    Node,
    /// This realm's own machines need none.
    #[error("the machine is one of the realm's own")]
    Own,
    /// No such grant is lent here.
    #[error("this realm lends nothing by that name")]
    Unknown,
    /// It was ended.
    #[error("the grant was ended")]
    Ended,
    /// It is suspended.
    #[error("the grant is suspended")]
    Suspended,
    /// The grant is over, or has not begun.
    #[error("the grant does not hold at this time")]
    NotNow,
    /// None of the grant's keys has signed it.
    #[error("none of the keys that the grant names has signed it")]
    Signature,
    /// It is for longer than a pass may be, or ends before it begins.
    #[error("the pass is for longer than a day")]
    Wide,
    /// It begins later.
    #[error("the pass has not begun; are both clocks right?")]
    Future,
    /// It is over.
    #[error("the pass is over")]
    Lapsed,
    /// The other realm has taken it back.
    #[error("the pass was taken back")]
    Recalled,
}

/// A machine that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visitor {
    /// Under which grant.
    pub grant: GrantId,
    /// Of which realm.
    pub realm: RealmId,
    /// Which machine.
    pub node: NodeId,
    /// Until when.
    pub until: Millis,
}

/// What a pass is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// This realm.
    pub realm: RealmId,
    /// Its grants, as the log says.
    pub grants: &'a BTreeMap<GrantId, Grant>,
    /// What other realms have taken back.
    pub recalls: &'a Recalls,
    /// This machine's time.
    pub now: Millis,
}

/// What other realms have taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recalls(BTreeMap<(GrantId, NodeId), Millis>);

impl Recalls {
    fn has(&self, grant: GrantId, node: NodeId, from: Millis) -> bool {
        self.0.get(&(grant, node)).is_some_and(|before| from <= *before)
    }

    /// Notes a recall that was judged, and forgets what no pass can be older than. Whether anything is new.
    pub fn note(&mut self, recall: &Recall, now: Millis) -> bool {
        self.0.retain(|_, before| now.since(*before) <= LIFE_MAX.plus(SKEW));
        let word = &recall.word;
        let place = (word.grant, word.node);
        let of = |grant: &GrantId| *grant == word.grant;
        if !self.0.contains_key(&place) && self.0.keys().filter(|(grant, _)| of(grant)).count() >= RECALLS_MAX
        {
            // The oldest says least: its passes are over soonest.
            let oldest = self.0.iter().filter(|((grant, _), _)| of(grant)).min_by_key(|(_, before)| **before);
            if let Some(oldest) = oldest.map(|(place, _)| *place) {
                self.0.remove(&oldest);
            }
        }
        let known = self.0.entry(place).or_insert(Millis(0));
        let is_new = *known < word.before;
        *known = word.before.max(*known);
        is_new
    }
}

fn lent<'a>(
    ground: &Ground<'a>,
    (grant, lender, borrower): (GrantId, RealmId, RealmId),
) -> Result<&'a Grant, Reason> {
    if lender != ground.realm {
        return Err(Reason::Realm);
    }
    let known = ground.grants.get(&grant).filter(|known| known.side == Side::Lends).ok_or(Reason::Unknown)?;
    if known.other != borrower {
        return Err(Reason::Realm);
    }
    if known.terms.resource == Resource::Storage && !known.suspended {
        // What is stored can be fetched for some days after the end.
        return match Phase::of(known, ground.now) {
            Phase::Open | Phase::EndsSoon(_) | Phase::WindingDown(_) => Ok(known),
            Phase::Over if known.revoked => Err(Reason::Ended),
            Phase::NotYet | Phase::Over => Err(Reason::NotNow),
        };
    }
    if known.revoked {
        return Err(Reason::Ended);
    }
    if known.suspended || known.standing_in.is_some() {
        return Err(Reason::Suspended);
    }
    let terms = &known.terms;
    if ground.now < terms.from || ground.now > terms.until { Err(Reason::NotNow) } else { Ok(known) }
}

/// Whether a pass counts that `shower`, whose key the connection has proven, shows; `is_own` says of a machine whether
/// it is this realm's.
///
/// # Errors
/// [`Reason`], the first that is found; a signature is looked at last, as it costs most.
pub fn judge(
    ground: &Ground<'_>,
    pass: &Pass,
    shower: NodeId,
    is_own: impl FnOnce(&NodeId) -> bool,
) -> Result<Visitor, Reason> {
    let claim = &pass.claim;
    let grant = lent(ground, (claim.grant, claim.lender, claim.borrower))?;
    if claim.node != shower {
        return Err(Reason::Node);
    }
    if is_own(&shower) {
        return Err(Reason::Own);
    }
    if claim.until <= claim.from || claim.until.since(claim.from) > LIFE_MAX {
        return Err(Reason::Wide);
    }
    if claim.from > ground.now.plus(SKEW) {
        return Err(Reason::Future);
    }
    if claim.until < ground.now {
        return Err(Reason::Lapsed);
    }
    if ground.recalls.has(claim.grant, claim.node, claim.from) {
        return Err(Reason::Recalled);
    }
    if !grant.keys.iter().any(|key| pass.is_by(key)) {
        return Err(Reason::Signature);
    }
    let until = claim.until.min(last(grant));
    Ok(Visitor { grant: claim.grant, realm: claim.borrower, node: claim.node, until })
}

/// Until when a machine may come under a grant: to fetch what is stored, some days longer than to store it.
pub fn last(grant: &Grant) -> Millis {
    match grant.terms.resource {
        Resource::Storage => {
            grant.ended.unwrap_or(grant.terms.until).min(grant.terms.until).plus(wind_down(&grant.terms))
        }
        _ => grant.terms.until,
    }
}

/// Whether a pass was signed for whoever shows it, by a key of a grant of theirs that this realm lent: so much that they
/// may be told what became of what they kept, whether or not anything holds any more.
pub fn was_theirs(ground: &Ground<'_>, pass: &Pass, shower: NodeId) -> bool {
    let claim = &pass.claim;
    let known = ground.grants.get(&claim.grant).filter(|known| known.side == Side::Lends);
    let ours = claim.lender == ground.realm && claim.node == shower;
    known.is_some_and(|known| {
        ours && known.other == claim.borrower && known.keys.iter().any(|key| pass.is_by(key))
    })
}

/// Whether a recall counts. Nobody but a key of the grant takes passes back, and none that are to come.
///
/// # Errors
/// [`Reason`]
pub fn judge_recall(ground: &Ground<'_>, recall: &Recall) -> Result<(), Reason> {
    let word = &recall.word;
    let grant = lent(ground, (word.grant, word.lender, word.borrower))?;
    if word.before > ground.now.plus(SKEW) {
        return Err(Reason::Future);
    }
    if grant.keys.iter().any(|key| recall.is_by(key)) { Ok(()) } else { Err(Reason::Signature) }
}

//! What counts now, of all papers of a pool that are here: a pure function of their set.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::{Signature, SigningKey, VerifyingKey};
use freehold_wire::{DecodeError, Digest, Millis, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::{Charter, Member, Signed};

const TAG: &[u8] = b"freehold 2026 pool leaving\0";
const DAY: Millis = Millis::from_hours(24);
/// The longest notice, in bytes.
const NOTICE_MAX: usize = 512;

/// That a realm leaves. It may do so alone; the days of its notice are those of the charter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Leaving {
    /// The pool.
    #[n(0)]
    pub pool: Digest,
    /// The realm.
    #[n(1)]
    pub realm: RealmId,
    /// When it said so, by its clock.
    #[n(2)]
    pub at: Millis,
    /// Until when it is bound.
    #[n(3)]
    pub last: Millis,
}

/// That, signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Notice {
    /// What it says.
    #[n(0)]
    pub leaving: Leaving,
    /// The key of the realm's row. Under another one the realm may be a member again.
    #[n(1)]
    pub key: VerifyingKey,
    #[n(2)]
    signature: Signature,
}

impl Notice {
    /// Signs it.
    pub fn sign(leaving: Leaving, key: &SigningKey) -> Self {
        let signature = key.sign(&[TAG, &to_canonical(&leaving)].concat());
        Self { leaving, key: key.verifying(), signature }
    }

    /// Whether that key has signed it.
    pub fn is_signed(&self) -> bool {
        self.key.verify(&[TAG, &to_canonical(&self.leaving)].concat(), &self.signature).is_ok()
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads one from outside.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, NOTICE_MAX)
    }
}

/// A member has signed two charters that both follow one and have one number: proof that it said two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Double {
    /// Whoever did.
    pub realm: RealmId,
    /// The charters.
    pub charters: (Digest, Digest),
}

/// How a pool stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The pool.
    pub pool: Digest,
    /// The charter that counts.
    pub charter: Charter,
    /// Who leaves, and when they are free.
    pub leaving: BTreeMap<RealmId, Millis>,
    /// Who has said two things.
    pub doubles: BTreeSet<Double>,
}

impl Standing {
    /// What all these papers come to, in whatever order they are given; none without the pool's first charter. More papers
    /// can only lead to a charter that follows, or to one that more counts for.
    pub fn of(pool: Digest, papers: &[Signed], notices: &[Notice]) -> Option<Self> {
        let begins = |paper: &&Signed| paper.charter.id() == pool && paper.begins().is_ok();
        let mut charter = &papers.iter().find(begins)?.charter;
        loop {
            let followers = papers.iter().filter(|paper| paper.follows(charter, &pool).is_ok());
            let next = followers.max_by_key(|paper| (paper.charter.number, Reverse(paper.charter.id())));
            let Some(next) = next else { break };
            charter = &next.charter;
        }
        Some(Self {
            pool,
            charter: charter.clone(),
            leaving: leaving(&pool, charter, notices),
            doubles: doubles(&pool, papers),
        })
    }

    /// Who is a member at a time and has not said that they leave: who lends and borrows anew.
    pub fn staying(&self) -> impl Iterator<Item = &Member> {
        self.charter.members.iter().filter(|member| !self.leaving.contains_key(&member.realm))
    }

    /// Whether a realm is bound at a time: a member, or leaving and not free yet.
    pub fn binds(&self, realm: &RealmId, now: Millis) -> bool {
        let free = self.leaving.get(realm).is_some_and(|last| now > *last);
        self.charter.member(realm).is_some() && !free
    }
}

/// Notices of members, by the keys that they have now. The earliest counts: nobody takes a notice back.
fn leaving(pool: &Digest, charter: &Charter, notices: &[Notice]) -> BTreeMap<RealmId, Millis> {
    let mut leaving: BTreeMap<RealmId, Millis> = BTreeMap::new();
    for notice in notices {
        let Leaving { realm, at, last, .. } = notice.leaving;
        let is_theirs = charter.member(&realm).is_some_and(|member| member.key == notice.key);
        let days = Millis(DAY.0 * u64::from(charter.rules.notice_days));
        if notice.leaving.pool == *pool && is_theirs && notice.is_signed() {
            // Who names too early a day is bound as long as the charter says.
            let free = last.max(at.plus(days));
            leaving.entry(realm).and_modify(|known| *known = free.min(*known)).or_insert(free);
        }
    }
    leaving
}

/// Whose key signed at which place: behind which charter, and with which number.
type Place = (Vec<u8>, Option<Digest>, u32);

fn doubles(pool: &Digest, papers: &[Signed]) -> BTreeSet<Double> {
    let ours = papers.iter().filter(|paper| paper.charter.pool == Some(*pool) && paper.charter.is_sound());
    let mut said: BTreeMap<Place, BTreeMap<Digest, RealmId>> = BTreeMap::new();
    for paper in ours {
        let id = paper.charter.id();
        let signers = paper.signers();
        for member in &paper.charter.members {
            let key = member.key.to_bytes();
            if signers.contains(&key) {
                let said = said.entry((key, paper.charter.before, paper.charter.number)).or_default();
                said.insert(id, member.realm);
            }
        }
    }
    let pairs = said.into_values().filter_map(|said| {
        let mut all = said.into_iter();
        let (first, second) = (all.next()?, all.next()?);
        Some(Double { realm: first.1, charters: (first.0, second.0) })
    });
    pairs.collect()
}

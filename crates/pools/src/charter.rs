//! What the members of a pool have agreed on, with their signatures.

use std::collections::BTreeSet;

use freehold_crypt::{Signature, SigningKey, VerifyingKey, hash};
use freehold_wire::{Bounded, DecodeError, Digest, RealmId, Text, ZoneId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

/// The most members: each pair of them may have a grant.
pub const MEMBERS_MAX: usize = 32;
/// The longest name, in bytes.
pub const NAME_MAX: usize = 64;
/// The longest charter with its signatures, in bytes.
pub const CHARTER_MAX: usize = 32 * 1024;
/// The most bytes that one member gives or uses: 2^50, so that no sum is too large.
const BYTES_MAX: u64 = 1 << 50;
/// A member who changes keys signs with both.
const VOICES_MAX: usize = 2 * MEMBERS_MAX;

const TAG: &[u8] = b"freehold 2026 pool charter\0";

/// How many members have to agree to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Decide {
    /// More than half.
    #[n(0)]
    Most,
    /// Every one.
    #[n(1)]
    All,
}

impl Decide {
    /// How many of so many.
    pub const fn of(self, members: usize) -> usize {
        match self {
            Self::Most => members / 2 + 1,
            Self::All => members,
        }
    }
}

/// What every member is bound by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Rules {
    /// Who decides on a change.
    #[n(0)]
    pub decide: Decide,
    /// Whoever leaves says so as many days before.
    #[n(1)]
    pub notice_days: u16,
    /// For so many days after a grant of the pool has ended, what lies there can be fetched.
    #[n(2)]
    pub wind_down_days: u16,
}

/// A realm in a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Member {
    /// The realm.
    #[n(0)]
    pub realm: RealmId,
    /// Signs for it in this pool.
    #[n(1)]
    pub key: VerifyingKey,
    /// Bytes that it lends, to all others together.
    #[n(2)]
    pub gives: u64,
    /// Bytes that it may use, at all others together.
    #[n(3)]
    pub uses: u64,
    /// Where its machines stand: those of one place may be lost together.
    #[n(4)]
    pub place: ZoneId,
}

/// What was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Charter {
    /// The pool: the id of its first charter; none in that one.
    #[n(0)]
    pub pool: Option<Digest>,
    /// The id of the charter that it follows; none in the first.
    #[n(1)]
    pub before: Option<Digest>,
    /// Higher than that one's. Of several that follow one, the highest counts, so that a proposal that did not come
    /// about, or comes too late, stands in nobody's way.
    #[n(2)]
    pub number: u32,
    /// What people call the pool.
    #[n(3)]
    pub name: Text<NAME_MAX>,
    /// What all are bound by.
    #[n(4)]
    pub rules: Rules,
    /// Who is in it; ascending by realm.
    #[n(5)]
    pub members: Bounded<Member, MEMBERS_MAX>,
}

/// A signature under a charter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Voice {
    /// Whose.
    #[n(0)]
    pub key: VerifyingKey,
    #[n(1)]
    signature: Signature,
}

/// A charter with signatures: as many as were collected.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Signed {
    /// What was signed.
    #[n(0)]
    pub charter: Charter,
    /// By whom; ascending by key.
    #[n(1)]
    voices: Bounded<Voice, VOICES_MAX>,
}

/// Why a charter does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Members are not in order, twice there, fewer than two, or give or use too much.
    Members,
    /// It does not follow the one that it is held against.
    Order,
    /// Too few of those who decide have signed: so many are missing.
    Few(usize),
    /// This realm would be bound by what it has not signed.
    Unsigned(RealmId),
}

impl Charter {
    /// Its id: the pool's, if it is the first.
    pub fn id(&self) -> Digest {
        Digest::from_bytes(hash::digest("freehold 2026 pool charter id", &to_canonical(self)))
    }

    /// A realm's row.
    pub fn member(&self, realm: &RealmId) -> Option<&Member> {
        self.members.iter().find(|member| member.realm == *realm)
    }

    /// Whether it can be a charter at all.
    pub fn is_sound(&self) -> bool {
        let pairs = self.members.iter().zip(self.members.iter().skip(1));
        let keys: BTreeSet<Vec<u8>> = self.members.iter().map(|member| member.key.to_bytes()).collect();
        let bounded = |member: &Member| member.gives <= BYTES_MAX && member.uses <= BYTES_MAX;
        self.members.len() >= 2
            && keys.len() == self.members.len()
            && self.members.iter().all(bounded)
            && pairs.into_iter().all(|(one, next)| one.realm < next.realm)
            && self.pool.is_some() == self.before.is_some()
    }

    /// The members who have to sign it to follow that one, whoever else has, and by which keys: each whose row is new or
    /// another; all, if the rules or the name are. Whoever has another key says so with the one before.
    pub(crate) fn bound_after(&self, before: &Self) -> Vec<(RealmId, Vec<VerifyingKey>)> {
        let same_rules = self.rules == before.rules && self.name == before.name;
        let keys = |member: &Member| {
            let known = before.member(&member.realm);
            let unchanged = same_rules && known == Some(member);
            let mut keys = vec![member.key];
            keys.extend(known.map(|known| known.key).filter(|key| *key != member.key));
            (!unchanged).then_some((member.realm, keys))
        };
        self.members.iter().filter_map(keys).collect()
    }

    fn message(&self) -> Vec<u8> {
        [TAG, self.id().as_bytes()].concat()
    }
}

impl Signed {
    /// A charter that nobody has signed yet.
    pub const fn proposed(charter: Charter) -> Self {
        Self { charter, voices: Bounded::new() }
    }

    /// Adds a signature.
    pub fn sign(&mut self, key: &SigningKey) {
        let voice = Voice { key: key.verifying(), signature: key.sign(&self.charter.message()) };
        self.take(std::iter::once(voice));
    }

    /// Adds the signatures that another copy has; `false` if it is another charter. One that is no signature of a
    /// member's key is passed over: so nobody fills up the list.
    pub fn merge(&mut self, other: &Self, known: impl Fn(&VerifyingKey) -> bool) -> bool {
        if self.charter != other.charter {
            return false;
        }
        let message = self.charter.message();
        let good = |voice: &&Voice| known(&voice.key) && voice.key.verify(&message, &voice.signature).is_ok();
        let voices: Vec<Voice> = other.voices.iter().filter(good).copied().collect();
        self.take(voices.into_iter());
        true
    }

    fn take(&mut self, more: impl Iterator<Item = Voice>) {
        let mut all: Vec<Voice> = self.voices.iter().copied().collect();
        for voice in more {
            match all.binary_search_by_key(&voice.key.to_bytes(), |known| known.key.to_bytes()) {
                // Of two signatures of one key each copy keeps the same.
                Ok(at) => {
                    if let Some(known) = all.get_mut(at)
                        && to_canonical(&voice) < to_canonical(known)
                    {
                        *known = voice;
                    }
                }
                Err(at) => all.insert(at, voice),
            }
        }
        if let Ok(all) = Bounded::from_vec(all) {
            self.voices = all;
        }
    }

    /// The keys whose signatures are good.
    pub fn signers(&self) -> BTreeSet<Vec<u8>> {
        let message = self.charter.message();
        let good = self.voices.iter().filter(|voice| voice.key.verify(&message, &voice.signature).is_ok());
        good.map(|voice| voice.key.to_bytes()).collect()
    }

    /// Checks that it may be a pool's first: all have signed.
    ///
    /// # Errors
    /// [`Flaw`]
    pub fn begins(&self) -> Result<(), Flaw> {
        if !self.charter.is_sound() {
            return Err(Flaw::Members);
        }
        if self.charter.before.is_some() {
            return Err(Flaw::Order);
        }
        let signers = self.signers();
        let missing = self.charter.members.iter().find(|member| !signers.contains(&member.key.to_bytes()));
        missing.map_or(Ok(()), |member| Err(Flaw::Unsigned(member.realm)))
    }

    /// Checks that it may follow another one of that pool: as many members of that one as decide there have signed, and
    /// each whose own row is new or another. Other rules take everybody's signature. Whoever is in it no more needs not sign.
    ///
    /// # Errors
    /// [`Flaw`]
    pub fn follows(&self, before: &Charter, pool: &Digest) -> Result<(), Flaw> {
        let charter = &self.charter;
        if !charter.is_sound() {
            return Err(Flaw::Members);
        }
        let behind = charter.before == Some(before.id()) && charter.number > before.number;
        if charter.pool != Some(*pool) || !behind {
            return Err(Flaw::Order);
        }
        let signers = self.signers();
        let has = |key: &VerifyingKey| signers.contains(&key.to_bytes());
        let agreed = before.members.iter().filter(|member| has(&member.key)).count();
        let needed = before.rules.decide.of(before.members.len());
        if agreed < needed {
            return Err(Flaw::Few(needed - agreed));
        }
        let bound = charter.bound_after(before);
        bound
            .into_iter()
            .find(|(_, keys)| !keys.iter().all(has))
            .map_or(Ok(()), |(realm, _)| Err(Flaw::Unsigned(realm)))
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads one from outside; what it is worth is for [`Self::begins`] and [`Self::follows`].
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, CHARTER_MAX)
    }
}

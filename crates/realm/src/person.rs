//! A person: a small chain of statements about their own devices that outlives any realm. The
//! person's id is the hash of the first statement, so the chain can be shown to another realm.
//!
//! Every later statement names an earlier one. Two devices may extend the chain at once, so it can
//! fork; a removal always wins, and what a removed device added behind the remover's back is void.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::{BoxPublic, SigningKey, VerifyingKey, hash};
use freehold_wire::{Bounded, Digest, KeyId, PersonId, to_canonical};
use minicbor::{Decode, Encode};

use crate::body::Body;
use crate::op::Cosignature;

/// The most statements in one chain.
pub const CHAIN_MAX: usize = 128;

/// A person's statements, oldest first.
pub type Chain = Bounded<Statement, CHAIN_MAX>;

/// What a statement says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    /// Begins the chain; the signer is the first device.
    #[n(0)]
    Found {
        /// Makes the person's id unguessable and unlike any other.
        #[cbor(n(0), with = "minicbor::bytes")]
        nonce: [u8; 16],
        /// Where secrets for the first device are sealed to.
        #[n(1)]
        box_key: BoxPublic,
    },
    /// A new device; it signs too.
    #[n(1)]
    Add {
        /// The device's key.
        #[n(0)]
        key: VerifyingKey,
        /// Where secrets for it are sealed to.
        #[n(1)]
        box_key: BoxPublic,
    },
    /// A one-time key (of an invitation) that may add one device and nothing else.
    #[n(2)]
    Delegate {
        /// The one-time key.
        #[n(0)]
        key: VerifyingKey,
    },
    /// A device that is no longer theirs.
    #[n(3)]
    Remove {
        /// Its key.
        #[n(0)]
        key: KeyId,
    },
}

/// One signed statement of a person about their devices.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Statement {
    #[n(0)]
    person: Option<PersonId>,
    #[n(1)]
    prev: Option<Digest>,
    #[n(2)]
    change: Change,
    #[n(3)]
    by: VerifyingKey,
    #[n(4)]
    sigs: Bounded<Cosignature, 2>,
}

#[derive(Encode)]
#[cbor(map)]
struct Unsigned<'a> {
    #[n(0)]
    person: Option<PersonId>,
    #[n(1)]
    prev: Option<Digest>,
    #[n(2)]
    change: &'a Change,
    #[n(3)]
    by: &'a VerifyingKey,
}

/// Why a chain of statements cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It does not begin with a founding statement, or has a second one.
    #[error("a person's chain begins with one founding statement")]
    Beginning,
    /// A statement belongs to another person.
    #[error("a statement in the chain is about another person")]
    OtherPerson,
    /// A statement names a predecessor that is not before it in the chain.
    #[error("a statement in the chain names a predecessor that is not there")]
    Gap,
    /// The signer was not a device of the person at that point.
    #[error("a statement in the chain is signed by a device the person did not have")]
    Signer,
    /// A signature is missing or wrong.
    #[error("a signature in the chain is missing or wrong")]
    Signature,
    /// The same statement twice, or a key added twice.
    #[error("a statement or key appears twice in the chain")]
    Repeated,
}

/// A device as a chain has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainDevice {
    /// Its key.
    pub key: VerifyingKey,
    /// Where secrets for it are sealed to.
    pub box_key: BoxPublic,
}

impl Statement {
    /// Begins a person with their first device.
    pub fn found(nonce: [u8; 16], device: &SigningKey, box_key: BoxPublic) -> Self {
        Self::sign(None, None, Change::Found { nonce, box_key }, device, None)
    }

    /// Adds a device, after the statement `prev`; `device` proves that it holds its key.
    pub fn add(
        person: PersonId,
        prev: Digest,
        by: &SigningKey,
        device: &SigningKey,
        box_key: BoxPublic,
    ) -> Self {
        let change = Change::Add { key: device.verifying(), box_key };
        Self::sign(Some(person), Some(prev), change, by, Some(device))
    }

    /// Lets a one-time key add one device.
    pub fn delegate(person: PersonId, prev: Digest, by: &SigningKey, key: VerifyingKey) -> Self {
        Self::sign(Some(person), Some(prev), Change::Delegate { key }, by, None)
    }

    /// Removes a device.
    pub fn remove(person: PersonId, prev: Digest, by: &SigningKey, key: KeyId) -> Self {
        Self::sign(Some(person), Some(prev), Change::Remove { key }, by, None)
    }

    fn sign(
        person: Option<PersonId>,
        prev: Option<Digest>,
        change: Change,
        by: &SigningKey,
        other: Option<&SigningKey>,
    ) -> Self {
        let mut statement = Self { person, prev, change, by: by.verifying(), sigs: Bounded::new() };
        let message = statement.message();
        let mut sigs: Vec<_> = [Some(by), other]
            .into_iter()
            .flatten()
            .map(|key| Cosignature { key: key.verifying(), signature: key.sign(&message) })
            .collect();
        sigs.sort_by_key(|s| s.key.to_bytes());
        sigs.dedup_by_key(|s| s.key.to_bytes());
        statement.sigs = Bounded::fill(&mut sigs.into_iter());
        statement
    }

    /// The statement's id: BLAKE3 over all of it but the signatures.
    pub fn id(&self) -> Digest {
        let bare = Unsigned { person: self.person, prev: self.prev, change: &self.change, by: &self.by };
        Digest::from_bytes(hash::digest("freehold 2026 person statement", &to_canonical(&bare)))
    }

    fn message(&self) -> Vec<u8> {
        [b"freehold 2026 person statement signature".as_slice(), self.id().as_bytes()].concat()
    }

    /// The person it is about.
    pub fn person(&self) -> PersonId {
        self.person.unwrap_or_else(|| PersonId::from_bytes(*self.id().as_bytes()))
    }

    /// The statement it follows.
    pub const fn prev(&self) -> Option<Digest> {
        self.prev
    }

    /// What it says.
    pub const fn change(&self) -> &Change {
        &self.change
    }

    /// The device that says it.
    pub const fn by(&self) -> &VerifyingKey {
        &self.by
    }

    /// Checks that exactly the needed signatures are there and match.
    ///
    /// # Errors
    /// [`ChainError::Signature`].
    pub fn verify(&self) -> Result<(), ChainError> {
        let mut needed: BTreeSet<Vec<u8>> = BTreeSet::from([self.by.to_bytes()]);
        if let Change::Add { key, .. } = &self.change {
            needed.insert(key.to_bytes());
        }
        let message = self.message();
        let mut last = None;
        for sig in &self.sigs {
            let key = sig.key.to_bytes();
            if last.as_ref().is_some_and(|l| *l >= key) || !needed.remove(&key) {
                return Err(ChainError::Signature);
            }
            sig.key.verify(&message, &sig.signature).map_err(|_| ChainError::Signature)?;
            last = Some(key);
        }
        if needed.is_empty() { Ok(()) } else { Err(ChainError::Signature) }
    }
}

/// The person of a chain, and the devices it leaves them. Signatures are not looked at here: see
/// [`Statement::verify`].
///
/// # Errors
/// [`ChainError`] says what does not fit.
pub fn read_chain(chain: &[Statement]) -> Result<(PersonId, BTreeMap<KeyId, ChainDevice>), ChainError> {
    let first = chain.first().ok_or(ChainError::Beginning)?;
    let person = first.person();
    let mut seen: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut added: BTreeSet<KeyId> = BTreeSet::new();
    for (at, statement) in chain.iter().enumerate() {
        let founding = matches!(statement.change, Change::Found { .. });
        if founding != (at == 0) || founding != (statement.person.is_none() && statement.prev.is_none()) {
            return Err(ChainError::Beginning);
        }
        if statement.person() != person {
            return Err(ChainError::OtherPerson);
        }
        if let Some(prev) = statement.prev {
            let prev = seen.get(&prev).copied().ok_or(ChainError::Gap)?;
            if !may_say(chain, &seen, prev, statement) {
                return Err(ChainError::Signer);
            }
        }
        let key = match &statement.change {
            Change::Found { .. } => Some(statement.by.id()),
            Change::Add { key, .. } | Change::Delegate { key } => Some(key.id()),
            Change::Remove { .. } => None,
        };
        if seen.insert(statement.id(), at).is_some() || key.is_some_and(|key| !added.insert(key)) {
            return Err(ChainError::Repeated);
        }
    }
    Ok((person, devices_of(chain, &seen)))
}

/// The statements from `at` back to the founding one.
fn path<'a>(
    chain: &'a [Statement],
    seen: &'a BTreeMap<Digest, usize>,
    at: usize,
) -> impl Iterator<Item = (usize, &'a Statement)> {
    let mut next = Some(at);
    std::iter::from_fn(move || {
        let at = next?;
        let statement = chain.get(at)?;
        next = statement.prev.and_then(|prev| seen.get(&prev).copied());
        Some((at, statement))
    })
}

fn may_say(chain: &[Statement], seen: &BTreeMap<Digest, usize>, prev: usize, statement: &Statement) -> bool {
    let by = statement.by.id();
    let mut allowed = false;
    for (_, past) in path(chain, seen, prev) {
        match &past.change {
            Change::Remove { key } if *key == by => return false,
            Change::Add { .. } if past.by == statement.by && is_delegate(chain, &by) => return false,
            Change::Found { .. } if past.by == statement.by => allowed = true,
            Change::Add { key, .. } if *key == statement.by => allowed = true,
            Change::Delegate { key } if *key == statement.by => {
                allowed = matches!(statement.change, Change::Add { .. });
            }
            _ => {}
        }
    }
    allowed
}

/// The last statement that `device` may follow: one that knows that it is a device.
pub(crate) fn end_for(chain: &[Statement], device: &VerifyingKey) -> Option<Digest> {
    let seen: BTreeMap<Digest, usize> = chain.iter().enumerate().map(|(at, s)| (s.id(), at)).collect();
    let knows = |at: usize| {
        path(chain, &seen, at).any(|(_, s)| match &s.change {
            Change::Found { .. } => s.by == *device,
            Change::Add { key, .. } => key == device,
            _ => false,
        })
    };
    (0..chain.len()).rev().find(|at| knows(*at)).and_then(|at| chain.get(at)).map(Statement::id)
}

fn is_delegate(chain: &[Statement], by: &KeyId) -> bool {
    chain.iter().any(|s| matches!(&s.change, Change::Delegate { key } if key.id() == *by))
}

fn devices_of(chain: &[Statement], seen: &BTreeMap<Digest, usize>) -> BTreeMap<KeyId, ChainDevice> {
    let removals: Vec<(KeyId, BTreeSet<usize>)> = chain
        .iter()
        .enumerate()
        .filter_map(|(at, s)| match s.change {
            Change::Remove { key } => Some((key, path(chain, seen, at).map(|(at, _)| at).collect())),
            _ => None,
        })
        .collect();
    // Said by a device behind the back of the one that removed it.
    let unseen = |at: usize, s: &Statement| {
        removals.iter().any(|(key, known)| *key == s.by.id() && !known.contains(&at))
    };
    let mut devices = BTreeMap::new();
    for (at, statement) in chain.iter().enumerate() {
        let void = path(chain, seen, at).any(|(at, s)| {
            unseen(at, s) && !matches!(s.change, Change::Remove { .. } | Change::Found { .. })
        });
        let device = match &statement.change {
            Change::Found { box_key, .. } => ChainDevice { key: statement.by, box_key: *box_key },
            Change::Add { key, box_key } if !void => ChainDevice { key: *key, box_key: *box_key },
            _ => continue,
        };
        if !removals.iter().any(|(key, _)| *key == device.key.id()) {
            devices.insert(device.key.id(), device);
        }
    }
    devices
}

/// The keys that an operation would let in.
pub(crate) fn admitted_keys(body: &Body) -> Vec<KeyId> {
    let chain = |chain: &[Statement]| -> Vec<KeyId> {
        read_chain(chain).map(|(_, devices)| devices.into_keys().collect()).unwrap_or_default()
    };
    let added = |statement: &Statement| match statement.change() {
        Change::Add { key, .. } => Some(key.id()),
        _ => None,
    };
    match body {
        Body::Genesis(b) => chain(&b.founder),
        Body::MemberAdd(b) => chain(&b.chain),
        Body::Recovery(b) => b.admins.iter().flat_map(|c| chain(c)).collect(),
        Body::DeviceAdd(b) => added(&b.statement).into_iter().collect(),
        Body::InvitationIssue(b) => vec![b.key.id()],
        Body::InvitationRedeem(b) => {
            b.device.as_ref().and_then(added).into_iter().chain([b.node.id()]).collect()
        }
        Body::NodeAdd(b) => vec![b.node.id()],
        _ => Vec::new(),
    }
}

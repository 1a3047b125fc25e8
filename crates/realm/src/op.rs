//! A signed operation and its one encoding. See docs/formats/realm-log.md.

use std::fmt;

use freehold_crypt::{Signature, SigningKey, VerifyingKey, hash};
use freehold_wire::{Bounded, DecodeError, Hlc, KeyId, OpId, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::body::{BODY_MAX, Body, Unknown};
use crate::person::ChainError;

/// The level of the format that this program writes and understands.
pub const LEVEL: u32 = 1;
/// The most bytes in an encoded operation.
pub const OP_MAX: usize = 96 * 1024;
/// The most parents of an operation.
pub const PARENTS_MAX: usize = 32;
/// The most signatures on an operation.
pub const SIGNATURES_MAX: usize = 128;

const TAG: &str = "freehold realm log";
const ID_DOMAIN: &str = "freehold 2026 realm operation";
const SIGNATURE_DOMAIN: &[u8] = b"freehold 2026 realm operation signature";

/// A signature with the key that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Cosignature {
    /// The key.
    #[n(0)]
    pub key: VerifyingKey,
    /// What it signed.
    #[n(1)]
    pub signature: Signature,
}

/// Everything of an operation that its id covers, apart from the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The realm; none in the genesis, whose id it is.
    pub realm: Option<RealmId>,
    /// The level of the format that the author wrote.
    pub level: u32,
    /// The author's key.
    pub author: VerifyingKey,
    /// The author's operations counted from 1.
    pub seq: u64,
    /// The author's operation before this one.
    pub prev: Option<OpId>,
    /// The newest operations that the author knew, ascending.
    pub parents: Bounded<OpId, PARENTS_MAX>,
    /// The newest epoch that the author knew.
    pub epoch: u64,
    /// The author's clock; advisory.
    pub hlc: Hlc,
}

/// An operation: well-formed, with its id, but with signatures that only [`crate::OpSet::insert`]
/// or [`Op::verify`] checks.
#[derive(Clone, PartialEq, Eq)]
pub struct Op {
    id: OpId,
    head: Head,
    body: Body,
    sigs: Vec<Cosignature>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Wire {
    #[n(0)]
    tag: String,
    #[n(1)]
    realm: Option<RealmId>,
    #[n(2)]
    level: u32,
    #[n(3)]
    kind: u32,
    #[n(4)]
    author: VerifyingKey,
    #[n(5)]
    seq: u64,
    #[n(6)]
    prev: Option<OpId>,
    #[n(7)]
    parents: Bounded<OpId, PARENTS_MAX>,
    #[n(8)]
    epoch: u64,
    #[n(9)]
    hlc: Hlc,
    #[cbor(n(10), with = "minicbor::bytes")]
    body: Vec<u8>,
    // Absent while the id is computed; never empty in an operation.
    #[n(11)]
    sigs: Option<Bounded<Cosignature, SIGNATURES_MAX>>,
}

/// Why bytes are not an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// Not the canonical encoding of one.
    #[error("reading an operation: {0}")]
    Encoding(DecodeError),
    /// Not the canonical encoding of a body of its kind.
    #[error("reading the body of an operation of kind {kind}: {why}")]
    Body {
        /// The kind.
        kind: u32,
        /// What is wrong with it.
        why: DecodeError,
    },
    /// Another format's tag.
    #[error("these bytes belong to something other than a realm log")]
    Tag,
    /// A kind that the level it claims does not have.
    #[error("level {level} has no operations of kind {kind}")]
    Kind {
        /// The level claimed.
        level: u32,
        /// The kind.
        kind: u32,
    },
    /// A part that is well encoded but cannot be.
    #[error("an operation with {0}")]
    Shape(&'static str),
}

/// Why an operation's signatures cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A signature does not match.
    #[error("the signature by {} does not match", .0.short())]
    Signature(KeyId),
    /// A key that must sign did not.
    #[error("the signature by {} is missing", .0.short())]
    Missing(KeyId),
    /// A person's statement inside is not believable.
    #[error("a statement inside: {0}")]
    Statement(ChainError),
}

impl Op {
    /// Puts an operation together and signs it for its author.
    ///
    /// # Errors
    /// [`OpError`] if the parts do not make a well-formed operation.
    pub fn sign(head: Head, body: Body, author: &SigningKey) -> Result<Self, OpError> {
        let mut op = Self { id: OpId::from_bytes([0; 32]), head, body, sigs: Vec::new() };
        let mut wire = op.to_wire();
        wire.sigs = None;
        op.id = id_of(&wire);
        op.add_signature(author);
        // The same door as for operations from outside.
        Self::decode(&op.to_bytes())
    }

    /// Reads an operation from outside: canonical, within bounds, of the right shape.
    ///
    /// # Errors
    /// [`OpError`] says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, OpError> {
        let mut wire: Wire = from_canonical(bytes, OP_MAX).map_err(OpError::Encoding)?;
        if wire.tag != TAG {
            return Err(OpError::Tag);
        }
        let sigs = wire.sigs.take().ok_or(OpError::Shape("no signature"))?.into_vec();
        let id = id_of(&wire);
        if wire.body.len() > BODY_MAX {
            return Err(OpError::Shape("too large a body"));
        }
        let body = read_body(wire.level, wire.kind, wire.body)?;
        let head = Head {
            realm: wire.realm,
            level: wire.level,
            author: wire.author,
            seq: wire.seq,
            prev: wire.prev,
            parents: wire.parents,
            epoch: wire.epoch,
            hlc: wire.hlc,
        };
        let op = Self { id, head, body, sigs };
        op.check_shape()?;
        Ok(op)
    }

    fn check_shape(&self) -> Result<(), OpError> {
        let Head { realm, seq, prev, parents, author, .. } = &self.head;
        let genesis = matches!(self.body, Body::Genesis(_));
        if genesis != realm.is_none() || genesis != (parents.is_empty() && prev.is_none()) {
            return Err(OpError::Shape("no realm, or no parents, that is not the genesis"));
        }
        if *seq == 0 || (*seq == 1) != prev.is_none() || *seq == u64::MAX {
            return Err(OpError::Shape("a sequence number that does not fit its predecessor"));
        }
        if !ascending(parents) {
            return Err(OpError::Shape("parents that are not in ascending order"));
        }
        let keys: Vec<_> = self.sigs.iter().map(|s| s.key.to_bytes()).collect();
        if !ascending(&keys) {
            return Err(OpError::Shape("signatures that are not in ascending order of their keys"));
        }
        if !self.sigs.iter().any(|s| s.key == *author) {
            return Err(OpError::Shape("no signature of its author"));
        }
        match &self.body {
            Body::InvitationRedeem(_) if *seq != 1 => {
                Err(OpError::Shape("an invitation key that says more than one thing"))
            }
            Body::Genesis(g) if !g.guardians.fits() => {
                Err(OpError::Shape("guardians that do not fit their threshold"))
            }
            Body::Genesis(_) if *seq != 1 || self.head.epoch != 0 => {
                Err(OpError::Shape("a genesis that is not the first"))
            }
            _ => Ok(()),
        }
    }

    /// Checks every signature, those of statements inside, and that keys which enter the realm by
    /// this operation have signed it.
    ///
    /// # Errors
    /// [`VerifyError`] says which one.
    pub fn verify(&self) -> Result<(), VerifyError> {
        let message = self.message();
        for sig in &self.sigs {
            sig.key.verify(&message, &sig.signature).map_err(|_| VerifyError::Signature(sig.key.id()))?;
        }
        match &self.body {
            Body::NodeAdd(b) => self.must_sign(&b.node),
            Body::InvitationRedeem(b) => {
                self.must_sign(&b.node)?;
                verify_statements(&b.device)
            }
            Body::InvitationIssue(b) => verify_statements(&b.device),
            Body::Genesis(b) => verify_statements(&b.founder),
            Body::MemberAdd(b) => verify_statements(&b.chain),
            Body::DeviceAdd(b) => verify_statements([&b.statement]),
            Body::DeviceRemove(b) => verify_statements([&b.statement]),
            Body::Endorse(b) => {
                let message = message_of(&self.realm(), b.level, &b.op);
                let Cosignature { key, signature } = &b.signature;
                key.verify(&message, signature).map_err(|_| VerifyError::Signature(key.id()))
            }
            Body::Recovery(b) => b.admins.iter().try_for_each(verify_statements),
            _ => Ok(()),
        }
    }

    fn must_sign(&self, key: &VerifyingKey) -> Result<(), VerifyError> {
        if self.sigs.iter().any(|s| s.key == *key) { Ok(()) } else { Err(VerifyError::Missing(key.id())) }
    }

    /// What every signature covers: tag, realm, level and id.
    pub fn message(&self) -> Vec<u8> {
        message_of(&self.realm(), self.head.level, &self.id)
    }

    /// Adds the signature of `key`; nothing happens if it is there already.
    pub fn add_signature(&mut self, key: &SigningKey) {
        let signature = key.sign(&self.message());
        self.merge_signature(&Cosignature { key: key.verifying(), signature });
    }

    /// Takes over signatures from another copy of the same operation, as far as `wanted`; returns
    /// whether any was new.
    pub(crate) fn merge_signatures(&mut self, other: &Self, wanted: impl Fn(&Cosignature) -> bool) -> bool {
        let before = self.sigs.clone();
        for sig in other.sigs.iter().filter(|sig| wanted(sig)) {
            self.merge_signature(sig);
        }
        self.sigs != before
    }

    /// Drops the signatures that nobody needs.
    pub(crate) fn keep_signatures(&mut self, wanted: impl Fn(&Cosignature) -> bool) {
        self.sigs.retain(wanted);
    }

    pub(crate) fn merge_signature(&mut self, new: &Cosignature) {
        let bytes = new.key.to_bytes();
        // A key has many signatures for one message; one is as good as another, so the first is kept.
        if let Err(at) = self.sigs.binary_search_by(|s| s.key.to_bytes().cmp(&bytes)) {
            self.sigs.insert(at, *new);
        }
    }

    fn to_wire(&self) -> Wire {
        let head = self.head.clone();
        Wire {
            tag: TAG.to_owned(),
            realm: head.realm,
            level: head.level,
            kind: self.body.kind(),
            author: head.author,
            seq: head.seq,
            prev: head.prev,
            parents: head.parents,
            epoch: head.epoch,
            hlc: head.hlc,
            body: self.body.to_bytes(),
            sigs: Some(self.sigs_to_write()),
        }
    }

    /// All signatures, or if there are too many, those it cannot do without and the first others;
    /// endorsements carry the rest.
    fn sigs_to_write(&self) -> Bounded<Cosignature, SIGNATURES_MAX> {
        let mut sigs = self.sigs.clone();
        if sigs.len() > SIGNATURES_MAX {
            sigs.sort_by_key(|s| (!self.needs(&s.key), s.key));
            sigs.truncate(SIGNATURES_MAX);
            sigs.sort_by_key(|s| s.key);
        }
        Bounded::fill(&mut sigs.into_iter())
    }

    /// Whether it is not an operation without the signature of this key.
    pub(crate) fn needs(&self, key: &VerifyingKey) -> bool {
        let enters = match &self.body {
            Body::NodeAdd(b) => b.node == *key,
            Body::InvitationRedeem(b) => b.node == *key,
            _ => false,
        };
        enters || self.head.author == *key
    }

    /// Its one encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(&self.to_wire())
    }

    /// Its id.
    pub const fn id(&self) -> OpId {
        self.id
    }

    /// The realm it belongs to; for a genesis, the one it founds.
    pub fn realm(&self) -> RealmId {
        self.head.realm.unwrap_or_else(|| RealmId::from_bytes(*self.id.as_bytes()))
    }

    /// Author, order and time.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// What it says.
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The operations it names as known to its author, its own predecessor included.
    pub fn parents(&self) -> impl Iterator<Item = OpId> + '_ {
        let prev = self.head.prev.filter(|prev| !self.head.parents.contains(prev));
        self.head.parents.iter().copied().chain(prev)
    }

    /// Its signatures, by ascending key.
    pub fn signatures(&self) -> &[Cosignature] {
        &self.sigs
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Op({} {} seq {})", self.id.short(), self.body.name(), self.head.seq)
    }
}

fn ascending<T: Ord>(items: &[T]) -> bool {
    items.windows(2).all(|w| matches!(w, [a, b] if a < b))
}

fn message_of(realm: &RealmId, level: u32, id: &OpId) -> Vec<u8> {
    [SIGNATURE_DOMAIN, realm.as_bytes(), &level.to_be_bytes(), id.as_bytes()].concat()
}

fn id_of(unsigned: &Wire) -> OpId {
    OpId::from_bytes(hash::digest(ID_DOMAIN, &to_canonical(unsigned)))
}

fn read_body(level: u32, kind: u32, bytes: Vec<u8>) -> Result<Body, OpError> {
    match level {
        0 => Err(OpError::Kind { level, kind }),
        LEVEL => match Body::read_known(kind, &bytes) {
            Some(body) => body.map_err(|why| OpError::Body { kind, why }),
            None => Err(OpError::Kind { level, kind }),
        },
        _ => Ok(Body::Unknown(Unknown { kind, bytes })),
    }
}

fn verify_statements<'a>(
    statements: impl IntoIterator<Item = &'a crate::person::Statement>,
) -> Result<(), VerifyError> {
    statements.into_iter().try_for_each(|s| s.verify().map_err(VerifyError::Statement))
}

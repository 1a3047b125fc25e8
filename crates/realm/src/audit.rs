//! Reading an exported log and telling what it says: nothing but the file is needed.

use std::collections::BTreeSet;
use std::fmt;

use freehold_wire::{Bounded, DecodeError, Millis, OpId, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::fold::{Clock, Folded, fold};
use crate::op::{Op, OpError};
use crate::set::{InsertError, OpSet};

/// The most bytes of an export.
pub const EXPORT_MAX: usize = 1 << 30;

const TAG: &str = "freehold realm export";

/// An exported log: a header and the operations, parents before children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The realm.
    pub realm: RealmId,
    /// When it was exported; advisory.
    pub exported: Millis,
    /// The operations.
    pub ops: Vec<Op>,
    /// Recoveries that have waited long enough where it was exported: whoever joins there takes
    /// them over, or would wait 72 hours for what happened long ago.
    pub matured: BTreeSet<OpId>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Wire {
    #[n(0)]
    tag: String,
    #[n(1)]
    version: u32,
    #[n(2)]
    realm: RealmId,
    #[n(3)]
    exported: Millis,
    #[n(4)]
    ops: Bounded<minicbor::bytes::ByteVec, 10_000_000>,
    // Absent if there is none; ascending.
    #[n(5)]
    matured: Option<Bounded<OpId, 1024>>,
}

/// Why bytes are not an exported log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Not the canonical encoding of one.
    #[error("reading an exported log: {0}")]
    Encoding(DecodeError),
    /// Another file.
    #[error("this is not an exported realm log")]
    Tag,
    /// A later format.
    #[error("this log was exported in format {0}; update this program first")]
    Version(u32),
    /// An operation inside cannot be read.
    #[error("operation number {at} of the exported log: {why}")]
    Op {
        /// Counted from 0.
        at: usize,
        /// What is wrong with it.
        why: OpError,
    },
}

impl Export {
    /// Everything a replica holds, waiting operations last.
    pub fn of(set: &OpSet, now: Millis) -> Self {
        let ops = set.iter().chain(set.waiting()).cloned().collect();
        Self { realm: set.realm(), exported: now, ops, matured: BTreeSet::new() }
    }

    /// Adds which recoveries have waited long enough here.
    #[must_use]
    pub fn with_matured(mut self, matured: &BTreeSet<OpId>) -> Self {
        self.matured = matured.iter().copied().take(1024).collect();
        self
    }

    /// Its encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut ops = self.ops.iter().map(|op| op.to_bytes().into());
        to_canonical(&Wire {
            tag: TAG.to_owned(),
            version: 1,
            realm: self.realm,
            exported: self.exported,
            ops: Bounded::fill(&mut ops),
            matured: (!self.matured.is_empty()).then(|| Bounded::fill(&mut self.matured.iter().copied())),
        })
    }

    /// Reads an export. Signatures are not looked at: see [`Export::into_set`].
    ///
    /// # Errors
    /// [`ExportError`] says which operation is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, ExportError> {
        let wire: Wire = from_canonical(bytes, EXPORT_MAX).map_err(ExportError::Encoding)?;
        if wire.tag != TAG {
            return Err(ExportError::Tag);
        }
        if wire.version != 1 {
            return Err(ExportError::Version(wire.version));
        }
        let ops = wire.ops.iter().enumerate();
        let ops = ops.map(|(at, bytes)| Op::decode(bytes).map_err(|why| ExportError::Op { at, why }));
        let ops = ops.collect::<Result<_, _>>()?;
        let listed = wire.matured.as_ref().map(|m| m.to_vec());
        let matured: BTreeSet<OpId> = listed.iter().flatten().copied().collect();
        // One spelling: ascending, and no empty list.
        if listed.is_some_and(|l| l.is_empty() || !matured.iter().eq(&l)) {
            return Err(ExportError::Encoding(DecodeError::NotCanonical));
        }
        Ok(Self { realm: wire.realm, exported: wire.exported, ops, matured })
    }

    /// The operations with verified signatures as a set, and those that are not believable.
    pub fn into_set(self) -> (OpSet, Vec<InsertError>) {
        let mut set = OpSet::new(self.realm);
        let (mut left, mut refused) = (self.ops, Vec::new());
        loop {
            // A surplus one is taken in once somebody else's that names it was seen.
            let (mut again, before) = (Vec::new(), left.len());
            for op in left {
                match set.insert(op.clone()) {
                    Ok(_) => {}
                    Err(InsertError::Surplus(_)) => again.push(op),
                    Err(why) => refused.push(why),
                }
            }
            if again.is_empty() || again.len() == before {
                refused.extend(again.iter().map(|op| InsertError::Surplus(op.id())));
                return (set, refused);
            }
            left = again;
        }
    }
}

/// What an exported log says.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The operations.
    pub set: OpSet,
    /// The state and what has no effect.
    pub folded: Folded,
    /// Operations that were not even taken in.
    pub unbelievable: Vec<InsertError>,
}

/// Verifies an exported log and derives its state. Recoveries are taken to have waited long enough
/// if the export or `clock` says so.
///
/// # Errors
/// [`ExportError`].
pub fn audit(bytes: &[u8], clock: &Clock) -> Result<Audit, ExportError> {
    let export = Export::decode(bytes)?;
    let matured = export.matured.union(&clock.matured).copied().collect();
    let (set, unbelievable) = export.into_set();
    let folded = fold(&set, &Clock { matured, ..clock.clone() });
    Ok(Audit { set, folded, unbelievable })
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Folded { state, refused, pending, .. } = &self.folded;
        writeln!(f, "realm      {}", state.realm)?;
        writeln!(f, "operations {} (epoch {})", self.set.len(), state.epoch)?;
        for (id, person) in &state.persons {
            writeln!(
                f,
                "member     {} {} {:?}, {} devices",
                id.short(),
                person.roles,
                person.standing,
                person.devices.len()
            )?;
        }
        let guardians = &state.guardians;
        writeln!(f, "guardians  {} of {} needed", guardians.threshold, guardians.guardians.len())?;
        for (id, node) in &state.nodes {
            writeln!(f, "node       {} {} {:?}", id.short(), node.roles, node.standing)?;
        }
        for (id, bucket) in state.live_buckets() {
            writeln!(f, "bucket     {} copies {}, confirm {}", id.short(), bucket.copies, bucket.confirm)?;
        }
        for alarm in &state.alarms {
            writeln!(f, "alarm      {alarm:?}")?;
        }
        for (id, why) in pending {
            writeln!(f, "pending    {} {} {why}", id.short(), self.name_of(id))?;
        }
        for (id, why) in refused {
            writeln!(f, "refused    {} {} {why}", id.short(), self.name_of(id))?;
        }
        for op in self.set.waiting() {
            writeln!(
                f,
                "waiting    {} {} for operations that are not here",
                op.id().short(),
                op.body().name()
            )?;
        }
        for why in &self.unbelievable {
            writeln!(f, "rejected   {why}")?;
        }
        Ok(())
    }
}

impl Audit {
    fn name_of(&self, id: &OpId) -> &'static str {
        self.set.get(id).map_or("?", |op| op.body().name())
    }
}

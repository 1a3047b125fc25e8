//! A small log for the simulation: operations that say nothing, with signatures that can be added.

use std::collections::BTreeMap;

use freehold_crypt::hash;
use freehold_sync::{Checked, Known, Log};
use freehold_wire::{Bounded, DecodeError, OpId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Letter {
    /// Who wrote it.
    #[n(0)]
    pub author: u8,
    /// Its author's count.
    #[n(1)]
    pub seq: u64,
    /// Tells apart two that should be one.
    #[n(2)]
    pub nonce: u64,
    /// What its author knew.
    #[n(3)]
    pub parents: Bounded<OpId, 64>,
    /// Signatures, one bit each; not part of the id.
    #[n(4)]
    pub signatures: u64,
}

impl Letter {
    /// Its id.
    pub fn id(&self) -> OpId {
        let unsigned = Self { signatures: 0, ..self.clone() };
        OpId::from_bytes(hash::digest("freehold 2026 sim letter", &to_canonical(&unsigned)))
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// From its bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if they are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, 1 << 16)
    }
}

/// A set of letters.
#[derive(Debug, Clone, Default)]
pub struct TestLog {
    letters: BTreeMap<OpId, Letter>,
    order: Vec<OpId>,
}

impl TestLog {
    /// A log with these operations, parents first.
    pub fn restore(rows: &[(OpId, Vec<u8>)]) -> Self {
        let mut log = Self::default();
        // A row may stand before its parent if the write between them failed: then it waits in vain,
        // and is asked for again.
        let mut rest: Vec<Letter> = rows.iter().filter_map(|(_, bytes)| Letter::decode(bytes).ok()).collect();
        loop {
            let before = rest.len();
            rest.retain(|letter| {
                let rooted = letter.parents.iter().all(|parent| log.letters.contains_key(parent));
                !(rooted && log.admit(letter.clone()).is_ok())
            });
            if rest.len() == before {
                return log;
            }
        }
    }

    /// The letters.
    pub const fn letters(&self) -> &BTreeMap<OpId, Letter> {
        &self.letters
    }

    /// Those that no other names as parent.
    pub fn heads(&self) -> Vec<OpId> {
        let named: Vec<&OpId> = self.letters.values().flat_map(|letter| &letter.parents).collect();
        self.letters.keys().filter(|id| !named.contains(id)).copied().collect()
    }
}

impl Log for TestLog {
    type Op = Letter;
    type Refusal = DecodeError;

    fn check(&self, bytes: &[u8]) -> Result<Checked<Letter>, DecodeError> {
        let letter = Letter::decode(bytes)?;
        Ok(Checked { id: letter.id(), parents: letter.parents.to_vec(), op: letter })
    }

    fn known(&self, checked: &Checked<Letter>) -> Known {
        match self.letters.get(&checked.id) {
            None => Known::New,
            Some(here) if checked.op.signatures & !here.signatures == 0 => Known::Known,
            Some(_) => Known::MoreSignatures,
        }
    }

    fn merged(&self, checked: &Checked<Letter>) -> Vec<u8> {
        let here = self.letters.get(&checked.id).map_or(0, |here| here.signatures);
        Letter { signatures: checked.op.signatures | here, ..checked.op.clone() }.to_bytes()
    }

    fn admit(&mut self, letter: Letter) -> Result<Vec<OpId>, DecodeError> {
        let id = letter.id();
        if let Some(here) = self.letters.get_mut(&id) {
            here.signatures |= letter.signatures;
        } else {
            self.order.push(id);
            self.letters.insert(id, letter);
        }
        Ok(Vec::new())
    }

    fn bytes(&self, id: &OpId) -> Option<Vec<u8>> {
        self.letters.get(id).map(Letter::to_bytes)
    }

    fn each(&self, see: &mut dyn FnMut(OpId, &[OpId])) {
        for id in &self.order {
            if let Some(letter) = self.letters.get(id) {
                see(*id, &letter.parents);
            }
        }
    }
}

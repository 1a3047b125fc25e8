//! What is given and used, as each member says, for all to see.

use std::collections::BTreeMap;

use freehold_crypt::{Signature, SigningKey};
use freehold_wire::{Bounded, DecodeError, Digest, Millis, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::{MEMBERS_MAX, Share, Standing};

const TAG: &[u8] = b"freehold 2026 pool account\0";
/// The longest account, in bytes.
pub const ACCOUNT_MAX: usize = 8 * 1024;

/// What lies between a member and another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Used {
    /// The other one.
    #[n(0)]
    pub with: RealmId,
    /// Bytes of the other's that lie here, as its meter counts them.
    #[n(1)]
    pub kept: u64,
    /// Bytes of one's own that lie there, as it was told last.
    #[n(2)]
    pub used: u64,
}

/// What a member says of itself. It tells sizes, to members alone, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Account {
    /// The pool.
    #[n(0)]
    pub pool: Digest,
    /// Who says so.
    #[n(1)]
    pub realm: RealmId,
    /// When, by its clock.
    #[n(2)]
    pub at: Millis,
    /// With each other member; ascending.
    #[n(3)]
    pub with: Bounded<Used, MEMBERS_MAX>,
    #[n(4)]
    signature: Signature,
}

#[derive(Encode)]
#[cbor(array)]
struct Says<'a> {
    #[n(0)]
    pool: &'a Digest,
    #[n(1)]
    realm: &'a RealmId,
    #[n(2)]
    at: &'a Millis,
    #[n(3)]
    with: &'a Bounded<Used, MEMBERS_MAX>,
}

fn message(says: &Says<'_>) -> Vec<u8> {
    [TAG, &to_canonical(says)].concat()
}

impl Account {
    /// Signs what a member says.
    pub fn sign(
        (pool, realm, at): (Digest, RealmId, Millis),
        with: Bounded<Used, MEMBERS_MAX>,
        key: &SigningKey,
    ) -> Self {
        let signature = key.sign(&message(&Says { pool: &pool, realm: &realm, at: &at, with: &with }));
        Self { pool, realm, at, with, signature }
    }

    /// Whether it is a member's of this pool, by the key that it has in the charter that counts.
    pub fn counts(&self, standing: &Standing) -> bool {
        let says = Says { pool: &self.pool, realm: &self.realm, at: &self.at, with: &self.with };
        let member = standing.charter.member(&self.realm);
        self.pool == standing.pool
            && member.is_some_and(|member| member.key.verify(&message(&says), &self.signature).is_ok())
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
        from_canonical(bytes, ACCOUNT_MAX)
    }
}

/// One member in the balance that everybody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The member.
    pub realm: RealmId,
    /// What it gives by the charter, and what of that is shared out.
    pub gives: (u64, u64),
    /// What it may use by the charter, and what of that it has somewhere.
    pub uses: (u64, u64),
    /// Bytes of others that lie with it, as it says itself.
    pub kept: u64,
    /// The same as the others say together: who says that it keeps more than they know of stands out.
    pub kept_as_told: u64,
    /// Bytes of its own at others, as those say who keep them.
    pub used: u64,
    /// When it was heard from last, if ever.
    pub heard: Option<Millis>,
}

/// The balance, as far as this member has heard: of each member the newest account counts.
pub fn balance(standing: &Standing, shares: &[Share], accounts: &[Account]) -> Vec<Line> {
    let mut newest: BTreeMap<RealmId, &Account> = BTreeMap::new();
    for account in accounts.iter().filter(|account| account.counts(standing)) {
        let known = newest.entry(account.realm).or_insert(account);
        if (account.at, account.to_bytes()) > (known.at, known.to_bytes()) {
            *known = account;
        }
    }
    // Each pair once, whatever somebody repeats.
    let mut kept: BTreeMap<(RealmId, RealmId), (u64, u64)> = BTreeMap::new();
    for (realm, account) in &newest {
        for row in account.with.iter().filter(|row| row.with != *realm) {
            kept.entry((*realm, row.with)).or_default().0 = row.kept;
            kept.entry((row.with, *realm)).or_default().1 = row.used;
        }
    }
    let sum = |of: &mut dyn Iterator<Item = u64>| of.fold(0, u64::saturating_add);
    let line = |member: &crate::Member| {
        let realm = member.realm;
        let lent = shares.iter().filter(|share| share.lender == realm);
        let had = shares.iter().filter(|share| share.borrower == realm);
        let here = kept.iter().filter(|((lender, _), _)| *lender == realm);
        let there = kept.iter().filter(|((_, borrower), _)| *borrower == realm);
        Line {
            realm,
            gives: (member.gives, sum(&mut lent.map(|share| share.bytes))),
            uses: (member.uses, sum(&mut had.map(|share| share.bytes))),
            kept: sum(&mut here.clone().map(|(_, (kept, _))| *kept)),
            kept_as_told: sum(&mut here.map(|(_, (_, told))| *told)),
            used: sum(&mut there.map(|(_, (kept, _))| *kept)),
            heard: newest.get(&realm).map(|account| account.at),
        }
    };
    standing.charter.members.iter().map(line).collect()
}

//! All papers of one pool, as they lie with a member and as they are handed on: a set, in which only what can ever count
//! is kept, so that nobody fills it up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::{VerifyingKey, hash};
use freehold_wire::{Bounded, DecodeError, Digest, Millis, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::{Account, Charter, Draft, Letter, MEMBERS_MAX, Notice, Row, Signed, Standing};

/// The longest set of papers, in bytes.
pub const PAPERS_MAX: usize = 2 << 20;
/// The most charters, those that wait for signatures included.
pub(crate) const CHARTERS_MAX: usize = 128;
const ROWS_MAX: usize = 256;
const NOTICES_MAX: usize = 128;
/// Of realms that are in no charter so many rows are kept.
const STRANGERS_MAX: usize = 64;
/// The most proposals of one member that wait at one time.
const WAITING_MAX: usize = 4;
/// The most notices and rows of one key.
const OF_ONE_MAX: usize = 4;

/// The papers of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Papers {
    #[n(0)]
    pub(crate) draft: Draft,
    #[n(1)]
    pub(crate) rows: Bounded<Row, ROWS_MAX>,
    #[n(2)]
    pub(crate) charters: Bounded<Signed, CHARTERS_MAX>,
    #[n(3)]
    notices: Bounded<Notice, NOTICES_MAX>,
    #[n(4)]
    accounts: Bounded<Account, MEMBERS_MAX>,
    #[n(5)]
    letters: Bounded<Letter, MEMBERS_MAX>,
}

/// What became of papers that were handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Whether something was learned.
    pub news: bool,
}

/// Why papers cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// They are another pool's.
    Another,
    /// There are more charters than can be kept.
    TooMany,
}

/// How a charter ranks among those that follow the same one.
pub(crate) fn rank(charter: &Charter) -> (u32, Reverse<Digest>) {
    (charter.number, Reverse(charter.id()))
}

/// The pool that a charter is of.
fn root(charter: &Charter) -> Digest {
    charter.pool.unwrap_or_else(|| charter.id())
}

impl Papers {
    /// Of a pool that nobody has signed yet.
    pub const fn of(draft: Draft) -> Self {
        Self {
            draft,
            rows: Bounded::new(),
            charters: Bounded::new(),
            notices: Bounded::new(),
            accounts: Bounded::new(),
            letters: Bounded::new(),
        }
    }

    /// What the pool is to be.
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// What realms would give and use.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    /// All charters, with the signatures that are here.
    pub fn charters(&self) -> impl Iterator<Item = &Signed> {
        self.charters.iter()
    }

    /// What members have told of what lies where.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The newest letter of each realm that has a part in it.
    pub fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.letters.iter()
    }

    /// How the pool stands; none before all of somebody's first charter have signed. Of several such the one with the
    /// highest number counts, then the lowest id.
    pub fn standing(&self) -> Option<Standing> {
        let firsts = self.charters.iter().filter(|paper| paper.begins().is_ok());
        let first = firsts.max_by_key(|paper| rank(&paper.charter))?;
        Standing::of(first.charter.id(), &self.charters, &self.notices)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Wrong::TooMany`]
    pub fn add_row(&mut self, row: Row) -> Result<Taken, Wrong> {
        self.with(|all| all.rows.push(row))
    }

    /// Adds a charter with its signatures.
    ///
    /// # Errors
    /// [`Wrong::TooMany`]
    pub fn add_charter(&mut self, paper: Signed) -> Result<Taken, Wrong> {
        self.with(|all| all.charters.push(paper))
    }

    /// Adds a notice.
    ///
    /// # Errors
    /// [`Wrong::TooMany`]
    pub fn add_notice(&mut self, notice: Notice) -> Result<Taken, Wrong> {
        self.with(|all| all.notices.push(notice))
    }

    /// Adds what a member tells.
    ///
    /// # Errors
    /// [`Wrong::TooMany`]
    pub fn add_account(&mut self, account: Account) -> Result<Taken, Wrong> {
        self.with(|all| all.accounts.push(account))
    }

    /// Adds a letter.
    ///
    /// # Errors
    /// [`Wrong::TooMany`]
    pub fn add_letter(&mut self, letter: Letter) -> Result<Taken, Wrong> {
        self.with(|all| all.letters.push(letter))
    }

    /// Adds what somebody else has of the same pool. Whatever is not signed by whom it has to be is passed over.
    ///
    /// # Errors
    /// [`Wrong`]; then nothing has changed.
    pub fn take(&mut self, other: &Self) -> Result<Taken, Wrong> {
        if self.draft != other.draft {
            return Err(Wrong::Another);
        }
        self.with(|all| {
            all.rows.extend(other.rows.iter().cloned());
            all.charters.extend(other.charters.iter().cloned());
            all.notices.extend(other.notices.iter().copied());
            all.accounts.extend(other.accounts.iter().cloned());
            all.letters.extend(other.letters.iter().cloned());
        })
    }

    fn with(&mut self, change: impl FnOnce(&mut Heap)) -> Result<Taken, Wrong> {
        let mut heap = Heap {
            rows: self.rows.iter().cloned().collect(),
            charters: self.charters.iter().cloned().collect(),
            notices: self.notices.iter().copied().collect(),
            accounts: self.accounts.iter().cloned().collect(),
            letters: self.letters.iter().cloned().collect(),
        };
        change(&mut heap);
        let sorted = heap.sorted(&self.draft)?;
        let news = sorted != *self;
        *self = sorted;
        Ok(Taken { news })
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// What tells them from others.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(hash::digest("freehold 2026 pool papers", &self.to_bytes()))
    }

    /// Whether a realm says in them, or is said to have part in it.
    pub fn knows(&self, realm: &RealmId) -> bool {
        let is_member = |paper: &Signed| paper.charter.member(realm).is_some();
        self.draft.realm == *realm
            || self.rows.iter().any(|row| row.member.realm == *realm)
            || self.charters.iter().any(is_member)
    }

    /// Reads papers from outside: they are worth nothing before they are taken into others, or into an empty set.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of some.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, PAPERS_MAX)
    }

    /// The charters from the first to the one that counts.
    pub(crate) fn chain(&self) -> BTreeSet<Digest> {
        let Some(standing) = self.standing() else { return BTreeSet::new() };
        let all: BTreeMap<Digest, Option<Digest>> =
            self.charters.iter().map(|paper| (paper.charter.id(), paper.charter.before)).collect();
        let mut chain = BTreeSet::new();
        let mut at = Some(standing.charter.id());
        while let Some(id) = at.filter(|id| chain.insert(*id)) {
            at = all.get(&id).copied().flatten();
        }
        chain
    }
}

/// Papers that nobody has looked at.
struct Heap {
    rows: Vec<Row>,
    charters: Vec<Signed>,
    notices: Vec<Notice>,
    accounts: Vec<Account>,
    letters: Vec<Letter>,
}

impl Heap {
    /// Those of them that count, or may yet. The same for the same set, in whatever order it came.
    fn sorted(self, draft: &Draft) -> Result<Papers, Wrong> {
        let Self { mut rows, charters, mut notices, accounts, letters } = self;
        rows.sort_by_cached_key(to_canonical);
        rows.dedup();
        rows.retain(Row::is_signed);
        let believed = believed(draft, &rows, charters);
        // Before those are taken out that never count: what follows one of them may make it count.
        let mut all = Papers::of(draft.clone());
        all.charters = few(&believed)?;
        let chain = all.chain();
        let kept = pruned(draft, believed, &chain);
        all.charters = few(&kept)?;
        let mut members: Vec<_> =
            kept.values().flat_map(|paper| paper.charter.members.iter().copied()).collect();
        members.sort_unstable_by_key(|member| (member.realm, member.key.to_bytes()));
        members.dedup();
        all.rows = rows_kept(draft, rows, &kept, &chain);
        notices.sort_by_cached_key(|notice| (notice.leaving, to_canonical(notice)));
        notices.dedup();
        let mut of_one: BTreeMap<(RealmId, Vec<u8>), usize> = BTreeMap::new();
        notices.retain(|notice| {
            let (realm, key) = (notice.leaving.realm, notice.key);
            let is_members = members.iter().any(|member| member.realm == realm && member.key == key);
            let count = of_one.entry((realm, key.to_bytes())).or_default();
            let counts = is_members && *count < OF_ONE_MAX && notice.is_signed();
            *count += usize::from(counts);
            counts
        });
        all.notices = Bounded::fill(&mut notices.into_iter());
        let standing = all.standing();
        all.letters = letters_kept(draft, standing.as_ref(), &all.rows, letters);
        if let Some(standing) = standing {
            all.accounts = newest(&standing, accounts);
        }
        Ok(all)
    }
}

fn few(kept: &BTreeMap<Digest, Signed>) -> Result<Bounded<Signed, CHARTERS_MAX>, Wrong> {
    Bounded::from_vec(kept.values().cloned().collect()).map_err(|_| Wrong::TooMany)
}

/// The charters that some member of the one before has signed, or, of first ones, whoever founds the pool: nobody else
/// brings one in. Each with all its good signatures.
fn believed(draft: &Draft, rows: &[Row], charters: Vec<Signed>) -> BTreeMap<Digest, Signed> {
    let mut copies: BTreeMap<Digest, Vec<Signed>> = BTreeMap::new();
    for paper in charters.into_iter().filter(|paper| paper.charter.is_sound()) {
        copies.entry(paper.charter.id()).or_default().push(paper);
    }
    let (id, mut found) = (draft.id(), BTreeMap::<Digest, Signed>::new());
    loop {
        let before = found.len();
        copies.retain(|of, copies| {
            let Some(charter) = copies.first().map(|paper| paper.charter.clone()) else { return false };
            let (deciders, mut known): (Vec<VerifyingKey>, Vec<VerifyingKey>) = match charter.before {
                None => {
                    let was_made = |member| rows.iter().any(|row| row.of == id && row.member == member);
                    let as_drafted = charter.name == draft.name && charter.rules == draft.rules;
                    if !as_drafted || !charter.members.iter().all(|member| was_made(*member)) {
                        return false;
                    }
                    (vec![draft.key], Vec::new())
                }
                Some(before) => {
                    let Some(before) = found.get(&before) else { return true };
                    let goes_on =
                        charter.number > before.charter.number && charter.pool == Some(root(&before.charter));
                    if !goes_on {
                        return false;
                    }
                    let keys: Vec<_> = before.charter.members.iter().map(|member| member.key).collect();
                    (keys.clone(), keys)
                }
            };
            known.extend(charter.members.iter().map(|member| member.key));
            let mut paper = Signed::proposed(charter);
            for copy in copies.iter() {
                paper.merge(copy, |key| known.contains(key));
            }
            let signers = paper.signers();
            if deciders.iter().any(|key| signers.contains(&key.to_bytes())) {
                found.insert(*of, paper);
            }
            false
        });
        if found.len() == before {
            return found;
        }
    }
}

/// Whoever could have brought a charter in, of those who have signed it.
fn proposers(draft: &Draft, paper: &Signed, before: Option<&Signed>) -> BTreeSet<Vec<u8>> {
    let signers = paper.signers();
    let deciders: Vec<Vec<u8>> = match before {
        Some(before) => before.charter.members.iter().map(|member| member.key.to_bytes()).collect(),
        None => vec![draft.key.to_bytes()],
    };
    deciders.into_iter().filter(|key| signers.contains(key)).collect()
}

/// The charters that count, those that wait for signatures and would then, and proof of who said two things.
fn pruned(
    draft: &Draft,
    all: BTreeMap<Digest, Signed>,
    chain: &BTreeSet<Digest>,
) -> BTreeMap<Digest, Signed> {
    let mut groups: BTreeMap<Option<Digest>, Vec<&Signed>> = BTreeMap::new();
    for paper in all.values() {
        groups.entry(paper.charter.before).or_default().push(paper);
    }
    groups.retain(|before, _| before.is_none_or(|before| chain.contains(&before)));
    let mut kept: BTreeSet<Digest> = chain.clone();
    for (before, mut group) in groups {
        group.sort_by_cached_key(|paper| Reverse(rank(&paper.charter)));
        let before = before.and_then(|before| all.get(&before));
        let chosen = group.iter().find(|paper| chain.contains(&paper.charter.id()));
        let chosen = chosen.map(|paper| rank(&paper.charter));
        let mut waiting: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let mut said: BTreeMap<Vec<u8>, Vec<&Signed>> = BTreeMap::new();
        for paper in group {
            let proposers = proposers(draft, paper, before);
            if chosen.is_none_or(|chosen| rank(&paper.charter) > chosen) {
                for one in &proposers {
                    let count = waiting.entry(one.clone()).or_default();
                    *count += 1;
                    if *count <= WAITING_MAX {
                        kept.insert(paper.charter.id());
                    }
                }
            }
            for one in proposers {
                said.entry(one).or_default().push(paper);
            }
        }
        for said in said.values() {
            kept.extend(two_of_one_number(said));
        }
    }
    all.into_iter().filter(|(id, _)| kept.contains(id)).collect()
}

/// The first two in their order that have one number.
fn two_of_one_number(said: &[&Signed]) -> Vec<Digest> {
    let pairs = said.iter().zip(said.iter().skip(1));
    let same = pairs.into_iter().find(|(one, next)| one.charter.number == next.charter.number);
    same.map(|(one, next)| vec![one.charter.id(), next.charter.id()]).unwrap_or_default()
}

/// Rows that a first charter stands on, the newest of each key of a member, and some of others.
fn rows_kept(
    draft: &Draft,
    rows: Vec<Row>,
    kept: &BTreeMap<Digest, Signed>,
    chain: &BTreeSet<Digest>,
) -> Bounded<Row, ROWS_MAX> {
    let id = draft.id();
    let members: Vec<_> = kept.values().flat_map(|paper| paper.charter.members.iter()).collect();
    let firsts = kept.values().filter(|paper| paper.charter.before.is_none());
    let firsts: Vec<_> = firsts.flat_map(|paper| paper.charter.members.iter()).collect();
    let (mut of_one, mut strangers) = (BTreeMap::<(RealmId, Vec<u8>), usize>::new(), 0);
    let (mut first, mut more) = (Vec::new(), Vec::new());
    let mut rows: Vec<Row> = rows.into_iter().filter(|row| row.of == id || chain.contains(&row.of)).collect();
    rows.sort_by_cached_key(|row| (Reverse(row.at), to_canonical(row)));
    for row in rows {
        let (realm, key) = (row.member.realm, row.member.key);
        let count = of_one.entry((realm, key.to_bytes())).or_default();
        *count += 1;
        let is_founders = key == draft.key && realm == draft.realm;
        let known = is_founders || members.iter().any(|member| member.realm == realm && member.key == key);
        if row.of == id && firsts.contains(&&row.member) {
            first.push(row);
        } else if *count <= OF_ONE_MAX && (known || strangers < STRANGERS_MAX) {
            strangers += usize::from(!known);
            more.push(row);
        }
    }
    let mut all: Vec<Row> = first.into_iter().chain(more).take(ROWS_MAX).collect();
    all.sort_by_cached_key(to_canonical);
    Bounded::fill(&mut all.into_iter())
}

/// Of each member the newest.
fn newest(standing: &Standing, mut accounts: Vec<Account>) -> Bounded<Account, MEMBERS_MAX> {
    accounts.retain(|account| account.counts(standing));
    let mut newest: BTreeMap<RealmId, (Millis, Vec<u8>, Account)> = BTreeMap::new();
    for account in accounts {
        let one = (account.at, account.to_bytes(), account);
        match newest.get(&one.2.realm) {
            Some(known) if (known.0, &known.1) >= (one.0, &one.1) => {}
            _ => drop(newest.insert(one.2.realm, one)),
        }
    }
    Bounded::fill(&mut newest.into_values().map(|(_, _, account)| account))
}

/// Of each member the newest, by the key that it has in the charter that counts; before there is one, of each key that has
/// said what it would give.
fn letters_kept(
    draft: &Draft,
    standing: Option<&Standing>,
    rows: &[Row],
    mut letters: Vec<Letter>,
) -> Bounded<Letter, MEMBERS_MAX> {
    let id = draft.id();
    let speaks = |letter: &Letter| match standing {
        Some(standing) => {
            standing.charter.member(&letter.realm).is_some_and(|member| member.key == letter.key)
        }
        None => rows.iter().any(|row| row.member.realm == letter.realm && row.member.key == letter.key),
    };
    letters.retain(|letter| letter.of == id && speaks(letter) && letter.is_signed());
    // The newest of each comes first, and stays.
    letters.sort_by_cached_key(|letter| {
        (letter.realm, letter.key.to_bytes(), Reverse((letter.at, letter.to_bytes())))
    });
    letters.dedup_by_key(|letter| (letter.realm, letter.key));
    Bounded::fill(&mut letters.into_iter())
}

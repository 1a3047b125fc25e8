//! All that is left lies at a friend's: letters to the guardians on the shelves of the realm's machines. Together they give
//! back what any of them knew of the realm, and where its backups are.

use std::collections::{BTreeMap, BTreeSet};

use freehold_api::Problem;
use freehold_crypt::{BoxSecret, Phrase, SigningKey};
use freehold_disk::{make_private_dir, replace};
use freehold_passes::{BODY_MAX, FILES_MAX, ShelfErrand, ShelfFile, ShelfOutcome, ShelfWhat, Sort};
use freehold_realm::{Clock, OpSet, fold};
use freehold_wire::{Bounded, Digest, GrantId, Name, NodeId, OpId, RealmId, from_canonical};

use super::{
    DIRECTORY_MAX, Fetched, WHAT, keep_directory, must_count, put_together, recovery_operation,
    recovery_secret,
};
use crate::backup::letters::{Inside, LETTER_MAX, Letter};
use crate::backup::{Place, Plan, Rescued, Target};
use crate::clock;
use crate::door::Carried;
use crate::home::Home;
use crate::identity::FreshKeys;
use crate::invitation::Card;
use crate::joining::{Heard, read_log, settle};
use crate::knock::Visit;
use crate::problem::home_problem;
use crate::vacant::Vacant;

/// So many of the newest letters of a shelf are read: whoever took the machine may have added some, and each that is
/// sound counts.
const LETTERS_MAX: usize = 64;

/// What a friend gave back.
pub(super) struct Returned {
    card: Card,
    fetched: Fetched,
    plan: Plan,
    rescued: Rescued,
}

/// A machine of the friend's, and the grant under which something lies there.
struct Friend<'a> {
    visit: &'a Visit<'a>,
    grant: GrantId,
    realm: RealmId,
}

impl Friend<'_> {
    async fn ask(&self, of: NodeId, what: ShelfWhat) -> Result<(ShelfOutcome, bytes::Bytes), Problem> {
        let errand = ShelfErrand { grant: Some(self.grant), of, what };
        let (answer, body) = self.visit.errand(errand.to_bytes().into()).await?;
        match ShelfOutcome::from_bytes(&answer) {
            Ok(ShelfOutcome::Refused(why)) => {
                Err(Problem::refused(WHAT, why.to_string(), Some("ask your friend")))
            }
            Ok(outcome) => Ok((outcome, body)),
            Err(_) => Err(odd()),
        }
    }

    async fn shelves(&self) -> Result<Vec<NodeId>, Problem> {
        match self.ask(NodeId::from_bytes([0; 32]), ShelfWhat::Shelves).await? {
            (ShelfOutcome::Shelves(all), _) => Ok(all.to_vec()),
            _ => Err(odd()),
        }
    }

    /// All files of a sort on a shelf.
    async fn files(&self, of: NodeId, sort: Sort) -> Result<Vec<ShelfFile>, Problem> {
        let mut found: Vec<ShelfFile> = Vec::new();
        loop {
            let after = found.last().map(|file| file.name);
            let (ShelfOutcome::Listed(page), _) = self.ask(of, ShelfWhat::List(sort, after)).await? else {
                return Err(odd());
            };
            if page.iter().any(|file| after.is_some_and(|after| file.name <= after)) {
                return Err(odd());
            }
            found.extend(page.iter().copied());
            if page.len() < FILES_MAX || sort == Sort::Config {
                return Ok(found);
            }
        }
    }

    async fn letter(&self, of: NodeId, name: Digest) -> Result<Vec<u8>, Problem> {
        let mut all = Vec::new();
        loop {
            let from = all.len() as u64;
            let what = ShelfWhat::Read(Sort::Letter, name, from, from.saturating_add(BODY_MAX as u64));
            let (ShelfOutcome::Found(len), body) = self.ask(of, what).await? else { return Err(odd()) };
            all.extend_from_slice(&body);
            if all.len() as u64 >= len {
                return Ok(all);
            }
            if body.is_empty() || all.len() > LETTER_MAX {
                return Err(odd());
            }
        }
    }
}

fn odd() -> Problem {
    Problem::refused(
        WHAT,
        "your friend's machine answers something else",
        Some("use the same version on both"),
    )
}

/// Brings back what lies at the friend's machine that answered, under these grants.
pub(super) async fn bring_back(
    visit: &Visit<'_>,
    rooms: &[(GrantId, RealmId)],
    (keys, phrases, guardians): (&FreshKeys, &[Phrase], &[SigningKey]),
) -> Result<Returned, Problem> {
    let mut found = Found::default();
    let home = visit.answering().ok_or_else(odd)?;
    let realm = rooms.first().map(|(_, realm)| *realm).ok_or_else(odd)?;
    let mut places = Vec::new();
    for (grant, _) in rooms.iter().filter(|(_, other)| *other == realm) {
        let friend = Friend { visit, grant: *grant, realm };
        for of in friend.shelves().await? {
            if !friend.files(of, Sort::Config).await?.is_empty() {
                places.push(Place::Room { grant: *grant, home: home.node, of });
            }
            let mut letters = friend.files(of, Sort::Letter).await?;
            letters.sort_by_key(|file| std::cmp::Reverse(file.received));
            for file in letters.iter().take(LETTERS_MAX) {
                found.read(&friend.letter(of, file.name).await?, phrases, friend.realm);
            }
        }
    }
    let Found { set: Some(set), matured, directory, passwords, recovery: Some(recovery), .. } = found else {
        let why = "no letter to the guardians that lies there can be opened with these phrases";
        return Err(Problem::refused(WHAT, why, Some("look which realm each paper is for")));
    };
    let folded = fold(&set, &Clock { now: clock::wall(), matured: matured.clone() });
    let op = recovery_operation(&set, &folded, keys, guardians, clock::wall())?;
    must_count(&set, &matured, &op)?;
    let named = |place: &Place| {
        let key = place.key(keys.keys().node_id());
        let is_of = |text: &&String| text.lines().nth(1) == Some(&*key);
        passwords.iter().find(|(_, text)| is_of(text)).map(|(name, _)| name.clone())
    };
    let targets = places.into_iter().zip(1..).filter_map(|(place, number)| {
        let name = if number == 1 { "friend".to_owned() } else { format!("friend-{number}") };
        Some((name, Target { password: named(&place)?, place }))
    });
    let plan = Plan { targets: targets.collect(), ..Plan::default() };
    let at = freehold_mesh::Addresses::from_bytes(&home.addresses).map_err(|_| odd())?;
    let rescued = Rescued { passwords, addresses: [(home.node.to_string(), at.to_string())].into() };
    let card = Card { realm, contacts: Bounded::default() };
    Ok(Returned {
        card,
        fetched: put_together((set, folded, matured), op, directory, recovery)?,
        plan,
        rescued,
    })
}

impl Returned {
    /// Writes the node that has been brought back; the identity last.
    pub(super) fn settle(
        self,
        vacant: &Vacant,
        home: &Home,
        keys: &FreshKeys,
        name: &Name,
    ) -> Result<(), Problem> {
        self.keep(home)?;
        let Self { card, fetched, .. } = self;
        let heard = Heard { ops: fetched.ops.clone(), matured: fetched.matured.clone() };
        keep_directory(home, &card, keys, fetched, name)?;
        settle(vacant, card.realm, keys, true, &heard, Vec::new())
    }

    /// Writes down where the backups are, and what opens them.
    fn keep(&self, home: &Home) -> Result<(), Problem> {
        let dir = home.backup();
        let written = || -> std::io::Result<()> {
            make_private_dir(&dir)?;
            self.rescued.write(home)?;
            replace(&dir.join(crate::backup::PLAN), &serde_json::to_vec_pretty(&self.plan)?, 0o600)
        };
        written().map_err(|error| home_problem(&dir, &error))
    }
}

/// What the letters say together.
#[derive(Default)]
struct Found {
    set: Option<OpSet>,
    matured: BTreeSet<OpId>,
    directory: Vec<Carried>,
    seen: BTreeSet<Vec<u8>>,
    passwords: BTreeMap<String, String>,
    recovery: Option<BoxSecret>,
}

impl Found {
    /// Takes in what a letter says, if it is a sound one of this realm; what is not says nothing.
    fn read(&mut self, bytes: &[u8], phrases: &[Phrase], realm: RealmId) {
        let Ok(letter) = Letter::from_bytes(bytes) else { return };
        let Some(recovery) = letter.guardians().and_then(|set| recovery_secret(&set, phrases).ok()) else {
            return;
        };
        let Some(inside) = letter.open(&recovery).filter(|inside| inside.realm == realm) else { return };
        let Inside { log, directory, passwords, .. } = inside;
        let Ok((set, matured)) = read_log(&log, realm) else { return };
        match &mut self.set {
            // An operation that is there, or does not hold, changes nothing.
            Some(all) => set.iter().for_each(|op| drop(all.insert(op.clone()))),
            none => *none = Some(set),
        }
        self.matured.extend(matured);
        for carried in from_canonical::<Vec<Carried>>(&directory, DIRECTORY_MAX).unwrap_or_default() {
            if self.seen.insert(carried.entry.clone()) {
                self.directory.push(carried);
            }
        }
        // The newest are read first.
        for (name, text) in passwords {
            self.passwords.entry(name).or_insert(text);
        }
        self.recovery.get_or_insert(recovery);
    }
}

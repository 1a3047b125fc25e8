//! All that is left lies at a friend's: letters to the guardians on the shelves of the realm's machines, and backups.

use freehold_api::Problem;
use freehold_crypt::{Phrase, SigningKey};
use freehold_passes::{BODY_MAX, FILES_MAX, ShelfErrand, ShelfFile, ShelfOutcome, ShelfWhat, Sort};
use freehold_wire::{Digest, GrantId, NodeId, RealmId};

use super::WHAT;
use super::from_letters::{Found, Returned};
use crate::backup::letters::{LETTER_MAX, LETTERS_MAX};
use crate::backup::{Place, Plan, Target};
use crate::identity::FreshKeys;
use crate::knock::Visit;

/// A machine of the friend's, and the grant under which something lies there.
struct Friend<'a> {
    visit: &'a Visit<'a>,
    grant: GrantId,
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
    let home = visit.answering().ok_or_else(odd)?;
    let realm = rooms.first().map(|(_, realm)| *realm).ok_or_else(odd)?;
    let mut found = Found::of(Some(realm));
    let mut places = Vec::new();
    for (grant, _) in rooms.iter().filter(|(_, other)| *other == realm) {
        let friend = Friend { visit, grant: *grant };
        for of in friend.shelves().await? {
            if !friend.files(of, Sort::Config).await?.is_empty() {
                places.push(Place::Room { grant: *grant, home: home.node, of });
            }
            let mut letters = friend.files(of, Sort::Letter).await?;
            letters.sort_by_key(|file| std::cmp::Reverse(file.received));
            for file in letters.iter().take(LETTERS_MAX) {
                found.read(&friend.letter(of, file.name).await?, phrases);
            }
        }
    }
    let named = |place: &Place| found.password_of(place, keys.keys().node_id());
    let targets = places.into_iter().zip(1..).filter_map(|(place, number)| {
        let name = if number == 1 { "friend".to_owned() } else { format!("friend-{number}") };
        Some((name, Target { password: named(&place)?, place, pace: None }))
    });
    let plan = Plan { targets: targets.collect(), ..Plan::default() };
    let at = freehold_mesh::Addresses::from_bytes(&home.addresses).map_err(|_| odd())?;
    let addresses = [(home.node.to_string(), at.to_string())].into();
    found.put_together((keys, guardians), plan, addresses)
}

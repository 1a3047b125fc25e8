//! Letters to the guardians are all that is left of a realm. Together they give back what any of them knew of it, and what
//! opens its backups.

use std::collections::{BTreeMap, BTreeSet};

use freehold_api::Problem;
use freehold_backend::Credentials;
use freehold_backup::Password;
use freehold_crypt::{BoxSecret, Phrase, SigningKey};
use freehold_disk::{make_private_dir, replace};
use freehold_realm::{Clock, OpSet, fold};
use freehold_wire::{Bounded, Name, NodeId, OpId, RealmId, from_canonical};

use super::{
    DIRECTORY_MAX, Fetched, WHAT, keep_directory, must_count, put_together, recovery_operation,
    recovery_secret,
};
use crate::backup::letters::{Inside, Letter};
use crate::backup::{PLAN, Place, Plan, Rescued, key_folder, password_in, short_id};
use crate::clock;
use crate::door::Carried;
use crate::home::Home;
use crate::identity::FreshKeys;
use crate::invitation::Card;
use crate::joining::{Heard, read_log, settle};
use crate::problem::{chain, home_problem};
use crate::vacant::Vacant;

/// What letters say together.
#[derive(Default)]
pub(super) struct Found {
    /// Which realm is meant; where nobody says so, that of the first letter that can be opened.
    realm: Option<RealmId>,
    set: Option<OpSet>,
    matured: BTreeSet<OpId>,
    directory: Vec<Carried>,
    seen: BTreeSet<Vec<u8>>,
    passwords: BTreeMap<String, String>,
    recovery: Option<BoxSecret>,
}

impl Found {
    pub(super) fn of(realm: Option<RealmId>) -> Self {
        Self { realm, ..Self::default() }
    }

    /// Takes in what a letter says, if it is a sound one of this realm; what is not says nothing. The newest comes first.
    pub(super) fn read(&mut self, bytes: &[u8], phrases: &[Phrase]) {
        let Ok(letter) = Letter::from_bytes(bytes) else { return };
        let Some(recovery) = letter.guardians().and_then(|set| recovery_secret(&set, phrases).ok()) else {
            return;
        };
        let meant = |inside: &Inside| self.realm.is_none_or(|realm| realm == inside.realm);
        let Some(inside) = letter.open(&recovery).filter(meant) else { return };
        let Inside { realm, log, directory, passwords, .. } = inside;
        let Ok((set, matured)) = read_log(&log, realm) else { return };
        self.realm = Some(realm);
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
        for (name, text) in passwords {
            note(&mut self.passwords, name, text);
        }
        self.recovery.get_or_insert(recovery);
    }

    /// Under which name the password is known of what lies at a place.
    pub(super) fn password_of(&self, place: &Place, me: NodeId) -> Option<String> {
        let key = place.key(me);
        let is_of = |text: &&String| text.lines().nth(1) == Some(&*key);
        self.passwords.iter().find(|(_, text)| is_of(text)).map(|(name, _)| name.clone())
    }

    /// All passwords by their names.
    pub(super) fn passwords(&self) -> Vec<(String, Password)> {
        let read = |(name, text): (&String, &String)| Some((name.clone(), password_in(text)?));
        self.passwords.iter().filter_map(read).collect()
    }

    /// The node that is to be, with the recovery that it asks for.
    pub(super) fn put_together(
        self,
        (keys, guardians): (&FreshKeys, &[SigningKey]),
        plan: Plan,
        addresses: BTreeMap<String, String>,
    ) -> Result<Returned, Problem> {
        let Self { realm: Some(realm), set: Some(set), recovery: Some(recovery), .. } = self else {
            let why = "no letter to the guardians that lies there can be opened with these phrases";
            return Err(Problem::refused(WHAT, why, Some("look which realm each paper is for")));
        };
        let Self { matured, directory, passwords, .. } = self;
        let folded = fold(&set, &Clock { now: clock::wall(), matured: matured.clone() });
        let op = recovery_operation(&set, &folded, keys, guardians, clock::wall())?;
        must_count(&set, &matured, &op)?;
        Ok(Returned {
            card: Card { realm, contacts: Bounded::default() },
            fetched: put_together((set, folded, matured), op, directory, recovery)?,
            plan,
            rescued: Rescued { passwords, addresses },
            access: None,
        })
    }
}

/// Notes a password, unless it is known; a false letter takes no true one's place.
fn note(known: &mut BTreeMap<String, String>, name: String, text: String) {
    if known.values().any(|other| *other == text) {
        return;
    }
    let name = if known.contains_key(&name) { format!("{name}-{}", short_id()) } else { name };
    known.insert(name, text);
}

/// What came back.
pub(super) struct Returned {
    card: Card,
    fetched: Fetched,
    plan: Plan,
    rescued: Rescued,
    /// The access key of a bucket that is a target, and the folder that it belongs into.
    pub(super) access: Option<(String, Credentials)>,
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
            if let Some((key, credentials)) = &self.access {
                let folder = key_folder(home, key);
                make_private_dir(&folder)?;
                credentials.write(&folder).map_err(|error| std::io::Error::other(chain(&error)))?;
            }
            self.rescued.write(home)?;
            replace(&dir.join(PLAN), &serde_json::to_vec_pretty(&self.plan)?, 0o600)
        };
        written().map_err(|error| home_problem(&dir, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_password_is_known_once_and_none_takes_anothers_place() {
        let mut known = BTreeMap::new();
        for (name, text) in [("one", "false\n/disk\n"), ("one", "true\n/disk\n"), ("two", "true\n/disk\n")] {
            note(&mut known, name.to_owned(), text.to_owned());
        }
        let texts: BTreeSet<&str> = known.values().map(String::as_str).collect();
        assert_eq!((known.len(), texts), (2, ["false\n/disk\n", "true\n/disk\n"].into()));
    }
}

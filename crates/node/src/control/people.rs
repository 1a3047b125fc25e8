//! The realm's people: who they are, what they are called, and how one is erased.

mod erase;
mod others;
mod rights;

use async_trait::async_trait;
use freehold_access::{Account, Principal};
use freehold_api::{
    Erasure, NewBucket, NewName, PeopleControl, PersonErasurePlan, PersonStatus, PersonToErase, Problem,
    words,
};
use freehold_crypt::{Algorithm, BoxSecret, Entropy as _, SigningKey};
use freehold_disk::OsEntropy;
use freehold_realm::body::MemberAdd;
use freehold_realm::{MemberRoles, Person, Statement};
use freehold_seal::Setting;
use freehold_wire::{Bounded, BucketId, Name, PersonId};

use super::realm::{name_of, not_like_an_id};
use super::{Answers, bucket, report};
use crate::log::{By, View};
use crate::people;
use crate::problem::put_problem;
use crate::shared::Shared;

pub(super) use others::is_open;

/// On how many nodes a record is: nothing is in it but its settings, which every node holds.
const RECORD_COPIES: u16 = 1;

#[async_trait]
impl PeopleControl for Answers {
    async fn people(&self) -> Result<Vec<PersonStatus>, Problem> {
        Ok(all(&self.0))
    }

    async fn add_person(&self, name: NewName) -> Result<PersonStatus, Problem> {
        let id = self.0.to_the_end(|shared| async move { add(&shared, &name.name).await }).await?.to_string();
        let made = all(&self.0).into_iter().find(|person| person.id == id);
        made.ok_or_else(|| Problem::bug("the person is a member but is not listed", id, None::<&str>))
    }

    async fn rename_person(&self, person: &str, name: NewName) -> Result<(), Problem> {
        let person = people::named(&self.0, person, "nobody was renamed")?;
        self.0
            .to_the_end(|shared| async move {
                let name = free_name(&shared, &name.name, Some(person))?;
                // Who may name people may do so to all.
                call(&shared, person, &name).await
            })
            .await
    }

    async fn suspend_person(&self, person: &str) -> Result<(), Problem> {
        let person = people::named(&self.0, person, "nobody was suspended")?;
        self.0.to_the_end(move |shared| async move { rights::suspend(&shared, person).await }).await
    }

    async fn resume_person(&self, person: &str) -> Result<(), Problem> {
        let person = people::named(&self.0, person, "nobody has their rights back")?;
        self.0.to_the_end(move |shared| async move { rights::resume(&shared, person).await }).await
    }

    async fn plan_person_erasure(
        &self,
        person: &str,
        wish: PersonToErase,
    ) -> Result<PersonErasurePlan, Problem> {
        erase::plan(&self.0, person, &wish).await
    }

    async fn erase_person(&self, person: &str, wish: PersonToErase) -> Result<Erasure, Problem> {
        let person = person.to_owned();
        self.0.to_the_end(|shared| async move { erase::erase(&shared, &person, &wish).await }).await
    }
}

fn all(shared: &Shared) -> Vec<PersonStatus> {
    let view = shared.log.view();
    let mut names = people::names(shared);
    let owned: Vec<(PersonId, String)> = shared
        .vault
        .buckets()
        .into_iter()
        .filter_map(|(id, info)| Some((owner(shared, &id)?, info.name)))
        .collect();
    let keys = shared.access_keys.principals();
    let status = |(id, person): (&PersonId, &Person)| PersonStatus {
        id: id.to_string(),
        name: names.remove(id).unwrap_or_else(|| id.short()),
        admin: person.roles.contains(MemberRoles::ADMIN),
        standing: report::standing(person.standing),
        nodes: nodes_of(shared, &view, *id),
        buckets: owned.iter().filter(|(owner, _)| owner == id).map(|(_, name)| name.clone()).collect(),
        keys: keys.iter().filter(|who| who.account() == Some(Account::Person(*id))).count() as u64,
    };
    let mut all: Vec<PersonStatus> = view.state().persons.iter().map(status).collect();
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    all
}

/// The machines of a person that are in the realm, by name.
fn nodes_of(shared: &Shared, view: &View, person: PersonId) -> Vec<String> {
    let theirs = view.owners.iter().filter(|(_, owner)| **owner == person).map(|(node, _)| *node);
    theirs.filter(|node| view.state().nodes.contains_key(node)).map(|node| shared.name_of(node)).collect()
}

/// The person who owns a bucket, or whose service does.
pub(super) fn owner(shared: &Shared, bucket: &BucketId) -> Option<PersonId> {
    let said = shared.vault.owner(bucket)?;
    match std::str::from_utf8(&said).ok()?.parse::<Principal>().ok()?.account()? {
        Account::Person(person) => Some(person),
        Account::Realm => None,
    }
}

/// A name that nobody else has.
fn free_name(shared: &Shared, typed: &str, of: Option<PersonId>) -> Result<Name, Problem> {
    let name = not_like_an_id(name_of(typed)?)?;
    let taken = people::names(shared).into_iter().any(|(id, taken)| taken == name.as_str() && Some(id) != of);
    if taken {
        return Err(Problem::conflict(
            format!("nobody is called {} anew", name.as_str()),
            "somebody else is called so",
            Some("choose another name; see freehold person list"),
        ));
    }
    Ok(name)
}

/// Takes somebody in who has no machine in the realm. The key that founds them signs that and is forgotten:
/// nobody can add a device of theirs later.
async fn add(shared: &Shared, typed: &str) -> Result<PersonId, Problem> {
    let name = free_name(shared, typed, None)?;
    if !shared.is_keeper() {
        return Err(no_keeper("nobody was taken in"));
    }
    let device = SigningKey::from_seed(Algorithm::Ed25519, &OsEntropy.secret());
    let box_key = BoxSecret::from_seed(&OsEntropy.secret()).public();
    let nonce = OsEntropy.secret().expose().first_chunk().copied().unwrap_or_default();
    let founding = Statement::found(nonce, &device, box_key);
    let person = founding.person();
    let chain = Bounded::fill(&mut [founding].into_iter());
    shared.log.say(MemberAdd { chain, roles: MemberRoles::MEMBER }, By::Device).await?;
    call(shared, person, &name).await.map_err(|problem| Problem {
        what: format!("{} is a member of the realm now, but without a name", person.short()),
        next: Some(format!("freehold person rename {} {}", person.short(), words::typed(name.as_str()))),
        ..problem
    })?;
    Ok(person)
}

fn no_keeper(what: &str) -> Problem {
    Problem::refused(
        what,
        "this node does not hold the realm's secrets, so nobody would believe what somebody is called",
        Some("type it on a node with the role secrets: freehold node list"),
    )
}

/// Says what somebody is called, in their record.
async fn call(shared: &Shared, person: PersonId, name: &Name) -> Result<(), Problem> {
    if !shared.is_keeper() {
        return Err(no_keeper("nobody was renamed"));
    }
    let called = people::record_of(person);
    if shared.vault.bucket_named(&called).is_none() {
        let wish = NewBucket {
            name: called.clone(),
            copies: RECORD_COPIES,
            confirm: 1,
            rules: freehold_api::BucketRules::default(),
        };
        bucket::found(shared, &wish).await?;
    }
    let (record, _) = shared.vault.bucket_named(&called).ok_or_else(|| crate::problem::no_bucket(&called))?;
    let set = shared.vault.set(&record, Setting::Name, Some(name.as_str().as_bytes().to_vec())).await;
    set.map_err(|error| put_problem(&called, "what they are called", &error))
}

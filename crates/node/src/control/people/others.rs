//! By what others than its owner may use a bucket. What cannot be read may let somebody in.

use freehold_access::{Account, Acl, Ownership, Policy};
use freehold_seal::{Aspect, Holder, Setting};
use freehold_wire::{BucketId, PersonId};

use crate::entitled::holders;
use crate::log::View;
use crate::shared::Shared;

/// In words; nothing if it is theirs alone.
pub(super) async fn ways(shared: &Shared, view: &View, person: PersonId, id: BucketId) -> Vec<String> {
    let mut ways = said(shared, person, &id);
    if is_keyed(shared, view, person, &id) {
        ways.push("a share of its keys");
    }
    // Every object has to be looked at for that.
    if ways.is_empty() && lists_count(shared, &id) && has_open_object(shared, person, id).await {
        ways.push("the list of an object in it");
    }
    ways.into_iter().map(str::to_owned).collect()
}

/// The same without a look at each object: enough where only something is told.
pub(in crate::control) fn is_open(shared: &Shared, view: &View, person: PersonId, id: &BucketId) -> bool {
    !said(shared, person, id).is_empty() || is_keyed(shared, view, person, id)
}

fn said(shared: &Shared, person: PersonId, id: &BucketId) -> Vec<&'static str> {
    let settings = shared.vault.settings(id);
    let owner = Account::Person(person);
    let policy = settings.document(Setting::Policy);
    let by_policy =
        policy.is_some_and(|said| Policy::read(said).map_or(true, |policy| policy.lets_in_others(owner)));
    let list = settings.document(Setting::Acl).filter(|_| lists_count(shared, id));
    let by_list = list.is_some_and(|said| is_open_list(said, owner));
    let ways = [("a policy", by_policy), ("a list", by_list)];
    ways.into_iter().filter(|(_, is)| *is).map(|(way, _)| way).collect()
}

fn is_open_list(said: &[u8], owner: Account) -> bool {
    Acl::from_bytes(said).map_or(true, |list| list.lets_in_others(owner))
}

fn is_keyed(shared: &Shared, view: &View, person: PersonId, id: &BucketId) -> bool {
    let held = holders(shared, view, id, shared.keyring.is_private(id));
    held.holders().any(|(who, _)| *who != Holder::Person(person))
}

fn lists_count(shared: &Shared, id: &BucketId) -> bool {
    let settings = shared.vault.settings(id);
    let said = settings.document(Setting::OwnershipControls).map(std::str::from_utf8);
    let named = said.and_then(|name| Ownership::named(name.ok()?));
    named.unwrap_or_default().lists_count()
}

async fn has_open_object(shared: &Shared, person: PersonId, id: BucketId) -> bool {
    let vault = shared.vault.clone();
    let is_open = move |said: &[u8]| is_open_list(said, Account::Person(person));
    let look = tokio::task::spawn_blocking(move || vault.is_said(&id, Aspect::Acl, is_open));
    !matches!(look.await, Ok(Ok(false)))
}

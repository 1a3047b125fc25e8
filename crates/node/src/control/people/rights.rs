//! A person's rights, taken away and given back.

use freehold_api::Problem;
use freehold_realm::Standing;
use freehold_realm::body::{Lift, Target};
use freehold_wire::PersonId;

use crate::control::keys;
use crate::entitled::person_of;
use crate::log::{By, View};
use crate::people;
use crate::shared::Shared;

fn standing(view: &View, person: &PersonId) -> Option<Standing> {
    view.state().persons.get(person).map(|known| known.standing)
}

/// Nothing is said if it is so already.
pub(super) async fn suspend(shared: &Shared, person: PersonId) -> Result<(), Problem> {
    let view = shared.log.view();
    if person_of(&view, &shared.me()) == Some(person) {
        return Err(Problem::refused(
            "nobody was suspended",
            "this machine acts for that person: the others would shut it out, and it could not tell them otherwise",
            Some("freehold person suspend, on a machine of another admin"),
        ));
    }
    if standing(&view, &person) == Some(Standing::Active) {
        shared.log.suspend(Target::Person(person)).await?;
    }
    if standing(&shared.log.view(), &person) == Some(Standing::Active) {
        return Err(Problem::refused(
            "nobody is suspended yet",
            "one admin alone does not suspend another one: a majority of the admins has to say so",
            Some("freehold person suspend, on the machine of another admin"),
        ));
    }
    crate::steward::tidy_up(shared).await;
    // What is written from now on is sealed with keys that they do not get.
    keys::rotate_due(shared).await;
    Ok(())
}

pub(super) async fn resume(shared: &Shared, person: PersonId) -> Result<(), Problem> {
    if standing(&shared.log.view(), &person) == Some(Standing::Active) {
        return Ok(());
    }
    shared.log.say(Lift { target: Target::Person(person) }, By::Device).await?;
    if standing(&shared.log.view(), &person) == Some(Standing::Active) {
        return Ok(());
    }
    let name = people::names(shared).remove(&person).unwrap_or_else(|| person.short());
    Err(Problem::refused(
        format!("{name} stays suspended"),
        "this machine's word alone does not lift it: other admins must agree",
        Some("freehold person resume, on the machine of another admin"),
    ))
}

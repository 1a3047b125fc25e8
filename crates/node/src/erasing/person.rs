//! What a node does beside, once a person is erased: the access keys that it made for them go.

use std::collections::BTreeSet;

use freehold_api::Problem;
use freehold_wire::OpId;

use super::is_done;
use crate::access_keys::revoke_of;
use crate::log::View;
use crate::shared::Shared;

/// Ends the access keys of people who were erased, and adds what is carried out with that to `done`.
pub(super) async fn end_keys(shared: &Shared, view: &View, done: &mut BTreeSet<OpId>) -> Result<(), Problem> {
    let due: Vec<_> = {
        let directory = shared.directory();
        let is_due =
            |erasure: &OpId| shared.begun.has(erasure) && !is_done(&directory, view, shared.me(), *erasure);
        let persons = view.state().erased_persons.iter();
        persons.filter(|(erasure, _)| is_due(erasure)).map(|(erasure, person)| (*erasure, *person)).collect()
    };
    for (erasure, person) in due {
        let ended = revoke_of(shared, person).await?;
        tracing::info!(person = %person.short(), ended, "a person's access keys ended");
        done.insert(erasure);
    }
    Ok(())
}

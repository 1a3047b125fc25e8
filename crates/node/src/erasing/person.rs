//! What a node does beside, once a person is erased: the access keys that it made for them go. With that, and once
//! each of their buckets is gone, it has carried the whole out.

use std::collections::BTreeSet;

use freehold_api::Problem;
use freehold_wire::OpId;

use super::is_done;
use super::parts::parts;
use crate::access_keys::revoke_of;
use crate::log::View;
use crate::shared::Shared;

/// Ends the access keys of people who were erased, and adds what is carried out with that to `done`.
pub(super) async fn end_keys(shared: &Shared, view: &View, done: &mut BTreeSet<OpId>) -> Result<(), Problem> {
    let due: Vec<_> = {
        let directory = shared.directory();
        let persons = view.state().erased_persons.iter();
        let due = persons.filter(|(erasure, _)| !is_done(&directory, view, shared.me(), **erasure));
        due.map(|(erasure, person)| (*erasure, *person)).collect()
    };
    for (erasure, person) in due {
        let ended = revoke_of(shared, person).await?;
        if ended > 0 {
            tracing::info!(person = %person.short(), ended, "a person's access keys ended");
        }
        let directory = shared.directory();
        let mut all = parts(view.state()).filter(|part| part.erasure == erasure);
        if all.all(|part| done.contains(&part.word) || part.is_done(&directory, view, shared.me())) {
            done.insert(erasure);
        }
    }
    Ok(())
}

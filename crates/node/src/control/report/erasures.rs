//! Erasures that are not over, and what came of people who were erased.

use std::collections::BTreeMap;

use freehold_api::{ErasureNode, ErasureUnderWay, Finding, Level, words};
use freehold_realm::Standing;
use freehold_wire::{BucketId, Millis, NodeId, OpId, PersonId};

use super::found;
use crate::clock;
use crate::control::{name_of_bucket, people};
use crate::erasing;
use crate::log::View;
use crate::shared::Shared;

/// Machines that are switched on once a day need no attention until then.
const ALARM_AFTER: Millis = Millis::from_hours(25);

/// Erasures that some node of the realm has not confirmed.
pub(super) fn under_way(shared: &Shared, view: &View) -> Vec<ErasureUnderWay> {
    let now = clock::wall();
    let since = |erasure: &OpId| now.since(view.erased_since.get(erasure).copied().unwrap_or(now));
    let one = |erasure: &OpId| {
        let pending = pending(shared, view, *erasure);
        let is_mine = pending.iter().any(|node| node.id == shared.me().to_string());
        let (waits, kept) = if is_mine { erasing::waits(shared, *erasure) } else { (Vec::new(), 0) };
        (!pending.is_empty()).then(|| ErasureUnderWay {
            id: erasure.to_string(),
            what: what(shared, view, *erasure),
            since_ms: since(erasure).0,
            pending,
            waits,
            kept,
        })
    };
    let mut all: Vec<ErasureUnderWay> = view.asked.keys().filter_map(one).collect();
    all.sort_by_key(|erasure| std::cmp::Reverse(erasure.since_ms));
    all
}

/// Nodes that can have had keys of what is erased, are of the realm, and have not said that those are destroyed.
fn pending(shared: &Shared, view: &View, erasure: OpId) -> Vec<ErasureNode> {
    let said: Vec<_> = shared.directory().erased_by(erasure).map(|said| said.node).collect();
    let nodes = view.state().nodes.iter();
    let asked = nodes.filter(|(id, node)| node.standing == Standing::Active && view.was_here(**id, erasure));
    let silent = asked.map(|(id, _)| *id).filter(|id| !said.contains(id));
    let node = |id| ErasureNode {
        id: NodeId::to_string(&id),
        name: shared.name_of(id),
        at_ms: None,
        connected: Some(shared.is_on(id)),
    };
    silent.map(node).collect()
}

/// `person 3f0a99c1`, `bucket 84cff153`, `an object in photos`.
fn what(shared: &Shared, view: &View, erasure: OpId) -> String {
    let state = view.state();
    if let Some(person) = state.erased_persons.get(&erasure) {
        return format!("person {}", person.short());
    }
    if let Some((bucket, _)) = state.ended().find(|(_, ended)| ended.erasure == erasure) {
        return format!("an object in {}", name_of_bucket(shared, &bucket));
    }
    let buckets: Vec<BucketId> =
        state.erased().filter(|(_, said)| *said == erasure).map(|(bucket, _)| bucket).collect();
    let ids: Vec<String> = buckets.iter().map(BucketId::short).collect();
    format!("bucket {}", ids.join(", "))
}

/// What doctor tells of them.
pub(super) fn findings(shared: &Shared, view: &View) -> Vec<Finding> {
    let waiting = under_way(shared, view);
    waiting.iter().map(finding).chain(came_back(shared, view)).collect()
}

/// Buckets of people who were erased, made where nobody had heard of that: an access key works on until then. They
/// are told, and nothing more: nobody has decided that they go.
fn came_back(shared: &Shared, view: &View) -> Vec<Finding> {
    let buckets = shared.vault.buckets();
    let state = view.state();
    let gone = state.erased_persons.iter().filter(|(_, person)| !state.persons.contains_key(person));
    let all = gone.flat_map(|(erasure, person)| {
        let unheard = view.unheard.get(erasure).into_iter().flatten().map(move |id| (*person, id));
        unheard.filter(|(person, id)| {
            people::owner(shared, id) == Some(*person) && !people::is_open(shared, view, *person, id)
        })
    });
    let told: BTreeMap<BucketId, PersonId> = all.map(|(person, id)| (*id, person)).collect();
    let one = |(id, person): (BucketId, PersonId)| {
        let name = buckets.get(&id).map_or_else(|| id.short(), |info| info.name.clone());
        found(
            Level::Alarm,
            format!("bucket {name} came back of person {}, who was erased", person.short()),
            "it was made on a machine that had not heard of that, and nobody has decided that it goes",
            Some(&format!(
                "freehold person erase {person} --dry-run    (shows what would go; without it, it goes)"
            )),
        )
    };
    told.into_iter().map(one).collect()
}

fn finding(erasure: &ErasureUnderWay) -> Finding {
    let id = erasure.id.get(..8).unwrap_or(&erasure.id);
    let names = |on: bool| -> Vec<&str> {
        let nodes = erasure.pending.iter().filter(|node| node.connected == Some(on));
        nodes.map(|node| node.name.as_str()).collect()
    };
    let (on, off) = (names(true), names(false));
    let mut why = vec![format!("heard of {} ago", words::span(erasure.since_ms))];
    if !off.is_empty() {
        why.push(format!("off, and to do it when they are on: {}", off.join(", ")));
    }
    if !on.is_empty() {
        why.push(format!("on, and not ready yet: {}", on.join(", ")));
    }
    why.extend(erasure.waits.iter().map(|until| format!("this machine waits {until}")));
    if erasure.kept > 0 {
        why.push(format!(
            "{} here must be kept: under a retention, or a legal hold",
            words::count(erasure.kept, "version")
        ));
    }
    // What must be kept ends by itself, or by whoever set it.
    let is_late = erasure.since_ms >= ALARM_AFTER.0 && erasure.kept == 0;
    let next = off.first().map_or_else(
        || "freehold receipt list    (on each of them: says what it waits for)".to_owned(),
        |lost| {
            format!("switch them on; one that is lost for good: freehold node remove {}", words::typed(lost))
        },
    );
    found(
        if is_late { Level::Alarm } else { Level::Notice },
        format!("the erasure {id} of {} is not over", erasure.what),
        why.join("; "),
        Some(&next),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(since: Millis, nodes: &[(&str, bool)]) -> ErasureUnderWay {
        let node = |(name, on): &(&str, bool)| ErasureNode {
            id: "ab".repeat(32),
            name: (*name).to_owned(),
            at_ms: None,
            connected: Some(*on),
        };
        ErasureUnderWay {
            id: "cd".repeat(32),
            what: "bucket 84cff153".to_owned(),
            since_ms: since.0,
            pending: nodes.iter().map(node).collect(),
            waits: Vec::new(),
            kept: 0,
        }
    }

    #[test]
    fn an_erasure_that_waits_says_for_whom_and_what_to_type() {
        let said = finding(&waiting(Millis::from_hours(2), &[("bob", false), ("carol", true)]));
        assert_eq!(said.level, Level::Notice);
        assert_eq!(said.what, "the erasure cdcdcdcd of bucket 84cff153 is not over");
        assert!(said.why.contains("heard of 2 hours ago"), "{said:?}");
        assert!(
            said.why.contains("when they are on: bob") && said.why.contains("not ready yet: carol"),
            "{said:?}"
        );
        assert!(said.next.unwrap().ends_with("freehold node remove bob"));
        let late = waiting(ALARM_AFTER, &[("carol", true)]);
        assert_eq!(finding(&late).level, Level::Alarm);
        assert!(!finding(&late).why.contains("when they are on"));
        let kept = ErasureUnderWay { kept: 2, ..late };
        assert_eq!(finding(&kept).level, Level::Notice, "a lock ends by itself");
        assert!(finding(&kept).why.contains("2 versions here must be kept"));
    }
}

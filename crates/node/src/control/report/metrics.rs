//! Figures for those who watch many machines, in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;

use freehold_api::{BackendState, BackendStatus, BucketStatus, DoorCount, PlaneState};

use super::status;
use crate::shared::Shared;

/// Values with their labels.
type Rows = Vec<(String, u64)>;

/// What the door counts, by the ids of services: their names are nobody's business who reads metrics.
fn door_metrics(shared: &Shared, gauge: &mut dyn FnMut(&str, &str, Rows)) {
    let door = shared.door.get().map(|face| face.counts()).unwrap_or_default();
    let mut each = |name: &str, help: &str, value: fn(&DoorCount) -> u64| {
        let rows = door.iter().map(|(id, count)| (format!("{{service=\"{id}\"}}"), value(count)));
        gauge(name, help, rows.collect());
    };
    each("door_answers", "Answers for a published service since the door opened, by its id.", |c| c.answers);
    each("door_errors", "Those among them that say that something went wrong here.", |c| c.errors);
    each("door_under_way", "Requests for a published service that are under way.", |c| c.under_way);
    each("door_received_bytes", "Bytes of bodies from clients of a published service.", |c| c.received);
    each("door_sent_bytes", "Bytes of bodies to clients of a published service.", |c| c.sent);
    each("door_turned_away", "Requests of those who may not use a published service.", |c| c.turned_away);
    each("door_failed", "Requests that a published service did not answer as it should.", |c| c.failed);
}

pub(in crate::control) fn metrics(shared: &Arc<Shared>) -> String {
    let status = status(shared);
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, rows: Vec<(String, u64)>| {
        writeln!(out, "# HELP freehold_{name} {help}\n# TYPE freehold_{name} gauge").unwrap_or_default();
        for (labels, value) in rows {
            writeln!(out, "freehold_{name}{labels} {value}").unwrap_or_default();
        }
    };
    let one = |value: u64| vec![(String::new(), value)];
    gauge("up_seconds", "Time since the start.", one(status.uptime_ms / 1000));
    gauge("alarms", "Things that need attention.", one(status.alarms.len() as u64));
    gauge("log_operations", "Operations in the realm log.", one(status.log.operations));
    gauge("log_refused", "Operations that the rules refuse.", one(status.log.refused));
    gauge("log_epoch", "Highest epoch seen.", one(status.log.epoch));
    gauge("depot_bytes", "Sealed bytes held.", one(status.storage.used));
    gauge("disk_free_bytes", "Bytes free on the disk.", one(status.storage.free));
    let label = |key: &str, value: &str| format!("{{{key}=\"{value}\"}}");
    let wanted = |state| !matches!(state, PlaneState::Idle | PlaneState::Off);
    let planes = status.planes.iter().filter(|plane| wanted(plane.state));
    gauge(
        "plane_running",
        "Whether a plane does its work; a plane that is off, as nobody wants it, is not listed.",
        planes.map(|p| (label("plane", &p.name), u64::from(p.state == PlaneState::Running))).collect(),
    );
    let heard = status.nodes.iter().filter_map(|n| Some((label("node", &n.id), n.last_heard_ms? / 1000)));
    gauge("node_silent_seconds", "Time since a node was last heard, by its id.", heard.collect());
    let nodes = status.nodes.iter();
    gauge(
        "node_connected",
        "Whether a node is connected, by its id.",
        nodes.map(|n| (label("node", &n.id), u64::from(n.connected))).collect(),
    );
    // By id: names of buckets are nobody's business who reads metrics.
    let objects = |value: fn(&BucketStatus) -> u64| {
        status.buckets.iter().map(|b| (label("bucket", &b.id), value(b))).collect::<Vec<_>>()
    };
    let backends = |value: fn(&BackendStatus) -> Option<u64>| {
        let all =
            status.nodes.iter().filter_map(|n| Some((label("node", &n.id), value(n.backend.as_ref()?)?)));
        all.collect::<Vec<_>>()
    };
    gauge(
        "backend_reachable",
        "Whether the store of a backend of this node answers, by its node's id.",
        backends(|b| Some(u64::from(b.state == BackendState::Up))),
    );
    gauge("backend_bytes", "Sealed bytes that a backend holds.", backends(|b| b.used));
    gauge(
        "backend_bad_packs",
        "Packs on the store of a backend that were found missing or altered, and that still count.",
        backends(|b| Some(b.bad_packs)),
    );
    door_metrics(shared, &mut gauge);
    gauge("bucket_objects", "Objects in a bucket.", objects(|b| b.objects));
    gauge("bucket_bytes", "Bytes in a bucket, unsealed.", objects(|b| b.bytes));
    gauge("bucket_waiting", "Objects that wait for a copy.", objects(|b| b.waiting));
    let worst = status.buckets.iter().filter_map(|b| Some((b, b.good_copies.first()?.copies)));
    gauge(
        "bucket_good_copies",
        "Copies that count of the object that has the fewest.",
        worst.map(|(b, copies)| (label("bucket", &b.id), copies.into())).collect(),
    );
    let checked = status.buckets.iter().filter_map(|b| Some((b, b.checked_ms?)));
    gauge(
        "bucket_check_age_seconds",
        "Time since the copy that was read or written longest ago was.",
        checked.map(|(b, ms)| (label("bucket", &b.id), ms / 1000)).collect(),
    );
    gauge(
        "bucket_unchecked_nodes",
        "Nodes that have not read their copies yet.",
        objects(|b| b.unchecked.into()),
    );
    out + &crate::quota::told::metrics(shared) + &crate::backup::told::metrics(shared)
}

//! Where things may lie, where machines stand, and how a machine is emptied.

use std::time::Duration;

use freehold_api::{
    BucketChange, BucketStatus, Client, NewBucket, NodeSetting, NodeStatus, Problem, Role, Standing, Status,
    node_named, words,
};

use crate::args::{BucketSetArgs, NodeSetArgs};
use crate::ask::{show, told};
use crate::quota::size;
use crate::render;
use crate::terminal::Terminal;

/// How often it is looked how far a node is from being empty.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What takes back what was said.
const NONE: &str = "none";

fn or_none(text: String) -> String {
    if text == NONE { String::new() } else { text }
}

pub(crate) async fn create_bucket(
    terminal: Terminal,
    client: &Client,
    wish: NewBucket,
) -> Result<(), Problem> {
    let made = client.create_bucket(&wish).await?;
    let nodes = client.nodes().await?;
    show(terminal, &made, |made| render::new_bucket(made, &nodes))
}

pub(crate) async fn set_bucket(
    terminal: Terminal,
    client: &Client,
    set: BucketSetArgs,
) -> Result<(), Problem> {
    let list = |regions: Vec<String>| if regions == [NONE] { Vec::new() } else { regions };
    let change = BucketChange {
        copies: set.copies,
        confirm: set.confirm,
        zones: set.zones,
        regions: set.regions.map(list),
        not_regions: set.not_regions.map(list),
    };
    if change == BucketChange::default() {
        return Err(Problem::invalid(
            "nothing was said to change",
            "each option that is not given stays as it is",
            Some("freehold bucket set --help"),
        ));
    }
    let changed = client.set_bucket(&set.name, &change).await?;
    show(terminal, &changed, render::bucket)
}

pub(crate) async fn set_node(terminal: Terminal, client: &Client, set: NodeSetArgs) -> Result<(), Problem> {
    let setting = NodeSetting {
        zone: set.zone.map(or_none),
        region: set.region.map(or_none),
        pace: set.pace.as_deref().map(pace).transpose()?,
        draining: None,
    };
    if setting == NodeSetting::default() {
        return Err(Problem::invalid(
            "nothing was said to change",
            "each option that is not given stays as it is",
            Some("freehold node set --help"),
        ));
    }
    let status = client.status().await?;
    let meant = node_named(&status.nodes, &set.node)?;
    let changed = client.set_node(&meant.id, &setting).await?;
    show(terminal, &changed, |node| render::node(node, node.id == status.this_node))
}

/// Bytes in a second.
pub(crate) fn pace(text: &str) -> Result<u64, Problem> {
    if text == NONE {
        return Ok(0);
    }
    size(text.trim().trim_end_matches("/s")).ok_or_else(|| {
        Problem::invalid(
            format!("{text:?} is no pace"),
            "a pace is a number of bytes in a second",
            Some("such as 500KiB, 5MiB or 100MB; none lifts the limit"),
        )
    })
}

/// How a node is to be emptied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drain {
    pub(crate) wait: bool,
    pub(crate) cancel: bool,
    pub(crate) dry_run: bool,
}

pub(crate) async fn drain(
    terminal: Terminal,
    client: &Client,
    node: &str,
    Drain { wait, cancel, dry_run }: Drain,
) -> Result<(), Problem> {
    let status = client.status().await?;
    let meant = node_named(&status.nodes, node)?;
    if dry_run {
        terminal.done(false, would_drain(&status, meant));
        return Ok(());
    }
    let setting = NodeSetting { draining: Some(!cancel), ..NodeSetting::default() };
    let mut now = meant.clone();
    if meant.place.draining == cancel {
        now = client.set_node(&meant.id, &setting).await?;
    }
    if cancel {
        return show(terminal, &now, |node| format!("{} holds copies again.", told(node)));
    }
    if wait {
        now = until_empty(terminal, client, &meant.id).await?;
    } else {
        // What depends on it is counted in a moment.
        now = client.nodes().await?.into_iter().find(|node| node.id == meant.id).unwrap_or(now);
    }
    show(terminal, &now, |node| match node.place.burden {
        Some(burden) if burden.objects > 0 => format!(
            "{} is being emptied: {} ({}) depend on it still. freehold status shows how far it is.",
            told(node),
            words::count(burden.objects, "object"),
            words::bytes(burden.bytes)
        ),
        _ if wait => {
            format!(
                "Nothing depends on {} any more. End it with: freehold {} {}",
                told(node),
                if node.backend.is_some() { "backend detach" } else { "node remove" },
                words::typed(&node.name)
            )
        }
        _ => {
            format!(
                "{} is being emptied. freehold node drain {} --wait waits for it.",
                told(node),
                words::typed(&node.name)
            )
        }
    })
}

/// What emptying a node comes to, with the nodes that there are now.
fn would_drain(status: &Status, meant: &NodeStatus) -> String {
    let who = told(meant);
    if meant.place.draining {
        return format!("{who} is being emptied already.");
    }
    if !meant.roles.contains(&Role::Storage) || meant.standing != Standing::Member {
        return format!("{who} holds no copies that count: there is nothing to be emptied.");
    }
    let others: Vec<&NodeStatus> = status
        .nodes
        .iter()
        .filter(|node| node.id != meant.id && node.standing == Standing::Member)
        .filter(|node| node.roles.contains(&Role::Storage) && !node.place.draining)
        .collect();
    let mut out = vec![format!("{who} would be emptied: others would take over what depends on it.")];
    for bucket in status.buckets.iter().filter(|bucket| bucket.objects > 0) {
        let may = others.iter().filter(|node| bucket.rules.allow(node.place.region.as_deref()));
        let (have, wanted) = (may.count() as u64, u64::from(bucket.copies));
        if have < wanted {
            out.push(format!(
                "  It could not become empty as things are: bucket {} wants {wanted} copies, and {} else may \
                 hold {}.",
                bucket.name,
                words::count(have, "node"),
                words::verb(wanted, "it", "them"),
            ));
        }
    }
    out.join("\n")
}

async fn until_empty(terminal: Terminal, client: &Client, id: &str) -> Result<NodeStatus, Problem> {
    let bar = if terminal.is_interactive() {
        indicatif::ProgressBar::new_spinner()
    } else {
        indicatif::ProgressBar::hidden()
    };
    loop {
        let status = client.status().await?;
        let Some(node) = status.nodes.iter().find(|node| node.id == id) else {
            return Err(Problem::not_found("the node is gone", "somebody has removed it", None::<&str>));
        };
        if !node.place.draining || node.standing != Standing::Member {
            return Err(Problem::refused(
                format!("{} is not emptied any more", told(node)),
                "somebody has cancelled it, or suspended the node",
                Some("freehold node list"),
            ));
        }
        let burden = node.place.burden;
        // Who is away has not heard of it, and may count on what is there.
        let away = |node: &NodeStatus| {
            node.standing == Standing::Member && node.roles.contains(&Role::Storage) && !node.connected
        };
        let away: Vec<&str> = status
            .nodes
            .iter()
            .filter(|one| one.id != id && away(one))
            .map(|one| one.name.as_str())
            .collect();
        if burden.is_some_and(|burden| burden.objects == 0) && away.is_empty() {
            bar.finish_and_clear();
            return Ok(node.clone());
        }
        let stuck = |bucket: &&BucketStatus| bucket.lacks.is_some() && bucket.waiting > 0;
        if let Some(bucket) = status.buckets.iter().find(stuck) {
            bar.finish_and_clear();
            return Err(Problem::refused(
                format!("{} is being emptied, but cannot become empty as things are", told(node)),
                format!(
                    "bucket {}: {}; it goes on by itself as soon as that changes",
                    bucket.name,
                    bucket.lacks.as_deref().unwrap_or_default()
                ),
                Some(format!(
                    "freehold invite    (adds a node), or freehold bucket set {}, or freehold node drain {} \
                     --cancel",
                    words::typed(&bucket.name),
                    words::typed(&node.name)
                )),
            ));
        }
        let burden = burden.unwrap_or_default();
        let left = words::count(burden.objects, "object");
        let away = if away.is_empty() { String::new() } else { format!("; away: {}", away.join(", ")) };
        bar.set_message(format!("{left} ({}) to go{away}", words::bytes(burden.bytes)));
        bar.tick();
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub(crate) async fn remove(
    terminal: Terminal,
    client: &Client,
    node: &str,
    (force, dry_run): (bool, bool),
) -> Result<(), Problem> {
    let nodes = client.nodes().await?;
    let meant = node_named(&nodes, node)?;
    if force && !dry_run {
        let command = format!("freehold node remove {} --force", words::typed(&meant.name));
        terminal.is_meant(&format!("{} was not removed", meant.name), &meant.name, &command)?;
    }
    // What stands in the way otherwise is what is lost.
    let lost = if force { client.remove_node(&meant.id, false, true).await.err() } else { None };
    client.remove_node(&meant.id, force, dry_run).await?;
    let words = if dry_run { "would be removed" } else { "is no node of the realm any more" };
    let lost =
        lost.map(|problem| format!(" By force, and at your risk: {}.", problem.why)).unwrap_or_default();
    terminal.done(!dry_run, format!("{} {words}.{lost}", told(meant)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_has_a_unit_that_people_know() {
        for (text, bytes) in
            [("none", 0), ("5MiB", 5 << 20), ("5 MiB/s", 5 << 20), ("100MB", 100_000_000), ("65536", 65_536)]
        {
            assert_eq!(pace(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "0", "fast", "5XB", "-1", "99999999999999GiB"] {
            assert!(pace(text).is_err(), "{text}");
        }
    }
}

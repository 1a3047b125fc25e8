//! Where things may lie, where machines stand, and how a machine is emptied.

use std::collections::{BTreeMap, BTreeSet};

use freehold_api::{BucketChange, BucketRules, Burden, NodePlace, NodeSetting, Problem, words};
use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_placement::{Lack, View};
use freehold_realm::body::{BucketSet, NodeRemove, NodeSet, Rules};
use freehold_realm::{NodeRoles, Standing, State};
use freehold_seal::DirectoryRow;
use freehold_wire::{Bounded, BucketId, NodeId, Region, Regions, ZoneId};

use super::realm::{cut_off, name_of, node_named};
use crate::log::By;
use crate::problem::no_bucket;
use crate::scribe::Saying;
use crate::shared::Shared;

/// Copies that come slower than this would be given up by who gives them.
const PACE_MIN: u64 = 64 << 10;

fn region(text: &str) -> Result<Region, Problem> {
    let read = text.trim().to_ascii_uppercase().parse::<Region>().ok().filter(|region| region.is_known());
    read.ok_or_else(|| {
        Problem::invalid(
            format!("{text:?} is no region"),
            "a region is the two letters of a country in ISO 3166-1",
            Some("such as DE, FR or US"),
        )
    })
}

fn regions(all: &[String]) -> Result<Vec<Region>, Problem> {
    let mut read = all.iter().map(|text| region(text)).collect::<Result<Vec<_>, _>>()?;
    read.sort_unstable();
    read.dedup();
    Ok(read)
}

/// What the log is to say of where a bucket may lie.
pub(super) fn rules_of(wish: &BucketRules, copies: u8) -> Result<Rules, Problem> {
    let odd =
        |why: String| Problem::invalid("a bucket cannot lie so", why, Some("freehold bucket set --help"));
    let list =
        |all: &[String]| Bounded::from_vec(regions(all)?).map_err(|error| odd(format!("regions: {error}")));
    let regions = Regions { only: list(&wish.regions)?, never: list(&wish.not_regions)? };
    if !regions.fits() {
        return Err(odd("a region is both allowed and forbidden".to_owned()));
    }
    let zones = u8::try_from(wish.zones).ok().filter(|zones| *zones <= copies);
    let Some(zones) = zones else {
        let copies = words::count(copies.into(), "copy");
        return Err(odd(format!("{copies} cannot be in {} zones", wish.zones)));
    };
    Ok(Rules { zones, regions })
}

/// The same the other way round.
pub(super) fn rules_said(rules: &Rules) -> BucketRules {
    let list = |all: &[Region]| all.iter().map(ToString::to_string).collect();
    BucketRules {
        zones: rules.zones.into(),
        regions: list(&rules.regions.only),
        not_regions: list(&rules.regions.never),
    }
}

/// Refuses a bucket of which no node could hold anything.
pub(super) fn somebody_may_hold(state: &State, rules: &Rules) -> Result<(), Problem> {
    let may = |node: &freehold_realm::Node| {
        node.standing == Standing::Active
            && node.roles.contains(NodeRoles::STORAGE)
            && !node.site.draining
            && rules.regions.allow(node.site.region)
    };
    if rules.regions.is_anywhere() || state.nodes.values().any(may) {
        return Ok(());
    }
    Err(Problem::refused(
        "no node could hold what is in this bucket",
        format!(
            "it is to lie {}, and no node that stores is known to stand there",
            rules_said(rules).words()
        ),
        Some("freehold node set NAME --region DE    (says where a node stands)"),
    ))
}

/// The realm as the log has it, which replication is about to hear.
pub(super) fn view_of(shared: &Shared) -> View {
    let (nodes, buckets) = crate::replica::sites(shared.log.view().state());
    let (realm, directory) = (shared.realm(), shared.directory_bucket());
    View {
        realm,
        directory,
        nodes,
        buckets,
        members: BTreeSet::new(),
        writers: BTreeSet::new(),
        quiet: BTreeSet::new(),
        cuts: BTreeMap::new(),
    }
}

/// What stands in the way of a bucket's protection, in words.
pub(super) fn lacks(view: &View, bucket: &BucketId) -> Option<String> {
    let rules = view.buckets.get(bucket)?;
    let nodes = |have: u16| words::count(have.into(), "node");
    match view.lack(bucket)? {
        Lack::Nowhere => Some("no node that stores stands where it may lie".to_owned()),
        Lack::Nodes(have) => Some(format!("only {} may hold it, and it wants {}", nodes(have), rules.copies)),
        Lack::Zones(have) => Some(format!(
            "the nodes that may hold it stand in {}, and it wants {}",
            words::count(have.into(), "zone"),
            rules.zones
        )),
    }
}

/// Changes how many copies a bucket wants, and where.
pub(crate) async fn set_bucket(shared: &Shared, id: BucketId, change: BucketChange) -> Result<(), Problem> {
    let _turn = shared.buckets_turn.lock().await;
    let view = shared.log.view();
    let bucket = view.state().buckets.get(&id).filter(|bucket| !bucket.deleted);
    let bucket = bucket.ok_or_else(|| no_bucket(&id.short()))?;
    let number = |wanted: Option<u16>, now: u8| wanted.map_or(Some(now), |wanted| u8::try_from(wanted).ok());
    let (copies, confirm) = (number(change.copies, bucket.copies), number(change.confirm, bucket.confirm));
    let (Some(copies @ 1..), Some(confirm @ 1..)) = (copies, confirm) else {
        return Err(odd_numbers("both are numbers from 1 to 255"));
    };
    if confirm > copies {
        return Err(odd_numbers("more nodes would have to confirm a write than hold it"));
    }
    let now = rules_said(&bucket.rules);
    let wish = BucketRules {
        zones: change.zones.unwrap_or(now.zones),
        regions: change.regions.unwrap_or(now.regions),
        not_regions: change.not_regions.unwrap_or(now.not_regions),
    };
    let rules = rules_of(&wish, copies)?;
    somebody_may_hold(view.state(), &rules)?;
    let said = BucketSet { bucket: id, copies, confirm, rules: rules.said() };
    shared.log.say(said, super::bucket::by(shared)).await?;
    crate::steward::tidy_up(shared).await;
    Ok(())
}

fn odd_numbers(why: &str) -> Problem {
    Problem::invalid(
        "the bucket was not changed",
        why,
        Some("freehold bucket set NAME --copies 2 --confirm 1"),
    )
}

/// Says where a node stands, and how much it is to do.
pub(super) async fn set_node(shared: &Shared, named: &str, wish: NodeSetting) -> Result<NodeId, Problem> {
    let node = node_named(shared, named)?;
    let region = match wish.region.as_deref() {
        Some("") => Some(Region::UNKNOWN),
        Some(text) => Some(region(text)?),
        None => None,
    };
    if let Some(pace @ 1..PACE_MIN) = wish.pace {
        return Err(Problem::invalid(
            format!("{} in a second are too few", words::bytes(pace)),
            "a copy that comes so slowly is given up by the node that gives it",
            Some("freehold node set NAME --pace 64KiB, or more"),
        ));
    }
    let set = |zone| NodeSet { node, zone, region, draining: wish.draining, pace: wish.pace };
    // Whoever may not say it leaves no name of a zone behind.
    shared.log.would_take(set(None), By::Device).await?;
    let zone = match wish.zone.as_deref() {
        None => None,
        Some("") => Some(ZoneId::NONE),
        Some(name) => Some(zone_of(shared, name).await?),
    };
    shared.log.say(set(zone), By::Device).await?;
    Ok(node)
}

/// The zone of that name, which is made if there is none.
pub(super) async fn zone_of(shared: &Shared, name: &str) -> Result<ZoneId, Problem> {
    let name = name_of(name)?;
    let known = shared.zone_named(name.as_str());
    if let Some(zone) = known {
        return Ok(zone);
    }
    if !shared.is_keeper() {
        return Err(Problem::refused(
            "no zone was made",
            "this node does not hold the realm's secrets, so nobody would believe its name",
            Some("make it on a node with the role secrets: freehold node list"),
        ));
    }
    let secret = OsEntropy.secret();
    let zone = ZoneId::from_bytes(secret.expose().first_chunk().copied().unwrap_or_default());
    shared.say(vec![Saying::Row(DirectoryRow::ZoneName(zone, Some(name)))]).await?;
    Ok(zone)
}

/// Where a node stands, and how much it is to do.
pub(super) fn place_of(shared: &Shared, id: &NodeId, node: &freehold_realm::Node) -> NodePlace {
    let site = node.site;
    let burden = || {
        let report = shared.replica.get().map(crate::replica::Replica::report)?;
        let burden = report.burdens.get(id).copied()?;
        Some(Burden { objects: burden.entries, bytes: burden.bytes })
    };
    NodePlace {
        zone: site.zone.is_some().then(|| shared.zone_name(site.zone)),
        region: site.region.is_known().then(|| site.region.to_string()),
        pace: (site.pace > 0).then_some(site.pace),
        draining: site.draining,
        burden: burden().filter(|_| site.draining),
    }
}

/// Ends a node that nothing depends on.
pub(super) async fn remove(shared: &Shared, named: &str, force: bool, dry_run: bool) -> Result<(), Problem> {
    let node = node_named(shared, named)?;
    let name = shared.name_of(node);
    if node == shared.me() {
        return Err(Problem::refused(
            format!("{name} was not removed"),
            "it is this machine: the others would shut it out, and it could not tell them otherwise",
            Some("freehold node remove, on another machine of an admin"),
        ));
    }
    let view = shared.log.view();
    let known = view.state().nodes.get(&node).ok_or_else(|| {
        Problem::refused(
            format!("{name} was not removed"),
            "it is no node of the realm: guardians are bringing it back",
            Some("freehold realm veto    (stops that, if nobody of you started it)"),
        )
    })?;
    if !force {
        is_free(shared, &name, node, known).await?;
    }
    let last = shared.log.last_of(node).await?;
    if dry_run {
        return shared.log.would_take(NodeRemove { node, last }, By::Device).await;
    }
    // What it wrote counts up to here, whatever it says from now on.
    cut_off(shared, node).await?;
    shared.log.say(NodeRemove { node, last }, By::Device).await?;
    crate::steward::tidy_up(shared).await;
    Ok(())
}

/// Whether nothing would be lost with a node, as far as all others say.
pub(crate) async fn is_free(
    shared: &Shared,
    name: &str,
    node: NodeId,
    known: &freehold_realm::Node,
) -> Result<(), Problem> {
    let refused =
        |why: String, next: String| Err(Problem::refused(format!("{name} was not removed"), why, Some(next)));
    if super::realm::device_left(shared, &shared.log.view(), node).is_some() {
        return refused(
            "an admin's device is on it, which could go on deciding".to_owned(),
            format!("freehold node suspend {}    (takes the device's rights as well)", words::typed(name)),
        );
    }
    // What was suspended counts for nothing already.
    if known.standing != Standing::Active {
        return Ok(());
    }
    let stores = known.roles.contains(NodeRoles::STORAGE);
    if stores && !known.site.draining {
        return refused(
            "it holds copies that count".to_owned(),
            format!("freehold node drain {0}; if it is lost: freehold node suspend {0}", words::typed(name)),
        );
    }
    let Some(replica) = shared.replica.get() else { return Ok(()) };
    let parting = replica.parting(node).await;
    let suspend = format!(
        "if it is lost: freehold node suspend {}    (what it wrote counts as far as it is here, and what it \
         held is made anew); or, if you know better: --force",
        words::typed(name)
    );
    match parting.ahead {
        Some(0) => {}
        Some(ahead) => {
            return refused(
                format!("{} that it wrote or holds have not come here yet", words::count(ahead, "entry")),
                "wait a moment and try again: freehold status".to_owned(),
            );
        }
        None => {
            return refused(
                "it is off or has not said yet what it has: it may have taken writes that nobody else has"
                    .to_owned(),
                format!("switch it on and try again; {suspend}"),
            );
        }
    }
    if !stores {
        return match parting.only.entries {
            0 => Ok(()),
            _ => refused(
                format!("{} on no node that stores yet", left(parting.only, ("is", "are"))),
                "wait until they are copied: freehold status".to_owned(),
            ),
        };
    }
    let silent = silent_stores(shared, node);
    if !silent.is_empty() {
        return refused(
            format!("not all nodes that hold copies can be asked: {}", silent.join(", ")),
            "bring them online; if they are lost, suspend them; or, if you know better: --force".to_owned(),
        );
    }
    if parting.burden.entries > 0 {
        return refused(
            format!("{} on it still", left(parting.burden, ("depends", "depend"))),
            format!("freehold node drain {} --wait", words::typed(name)),
        );
    }
    Ok(())
}

/// Nodes that hold copies and may not have heard that one is emptied: they could be about to let a copy go
/// because one is there.
fn silent_stores(shared: &Shared, node: NodeId) -> Vec<String> {
    let view = shared.log.view();
    let apart: Vec<NodeId> = shared.log.apart().into_iter().map(|(id, _)| id).collect();
    let connected = shared.mesh.get().map(|mesh| mesh.peers()).unwrap_or_default();
    let hears = |id: &NodeId| {
        *id == shared.me()
            || !apart.contains(id) && connected.iter().any(|peer| peer.id == *id && peer.connected)
    };
    let stores = view.state().nodes.iter().filter(|(id, other)| {
        **id != node && other.standing == Standing::Active && other.roles.contains(NodeRoles::STORAGE)
    });
    stores.filter(|(id, _)| !hears(id)).map(|(id, _)| shared.name_of(*id)).collect()
}

/// `3 objects (2 MB) are`.
fn left(of: freehold_placement::Burden, (one, many): (&'static str, &'static str)) -> String {
    let verb = words::verb(of.entries, one, many);
    format!("{} ({}) {verb}", words::count(of.entries, "object"), words::bytes(of.bytes))
}

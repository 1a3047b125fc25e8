//! Room under a grant, from the API to terms, and from what is known of it back to people.

use freehold_api::{GrantReceipt, GrantRoom, NewGrant, Problem, RoomPhase, words};
use freehold_passes::storage::Phase;
use freehold_realm::body::{Ceilings, GRANT_HOMES_MAX, Terms};
use freehold_realm::{Grant, Side, Standing, State};
use freehold_wire::{Bounded, GrantId, NodeId};

use super::NOT_OFFERED;
use crate::clock;
use crate::net::called::{Called, Sort, Thing};
use crate::net::lending::{keeping, receipts, rounds};
use crate::shared::Shared;

/// How many days what is stored stays readable, if nobody says.
const WIND_DOWN: u16 = 30;
/// The most.
const WIND_DOWN_MAX: u16 = 365;
/// So many times the room may be read in a month, if nobody says.
const READ_TIMES: u64 = 4;

/// What an offer of room says: its ceilings, days of winding down, and the machines that keep what is stored.
pub(super) type Wished = (Ceilings, u16, Option<Bounded<NodeId, GRANT_HOMES_MAX>>);

/// What is offered, if it is room; nothing of it otherwise.
pub(super) fn wished(
    shared: &Shared,
    state: &State,
    called: &Called,
    wish: &NewGrant,
) -> Result<Wished, Problem> {
    let Some(bytes) = wish.storage else {
        if wish.egress.is_some() || wish.wind_down_days.is_some() || !wish.homes.is_empty() {
            let next = Some("freehold grant offer --to CARD --storage 50GiB");
            return Err(Problem::invalid(NOT_OFFERED, "only room has a bound and a machine", next));
        }
        return Ok((Ceilings::default(), 0, None));
    };
    let wind_down = wish.wind_down_days.unwrap_or(WIND_DOWN);
    if wind_down > WIND_DOWN_MAX {
        let why = format!("{wind_down} days of winding down are more than {WIND_DOWN_MAX}");
        return Err(Problem::invalid(NOT_OFFERED, why, Some("freehold grant offer --wind-down 30")));
    }
    let mut homes = Vec::new();
    for typed in &wish.homes {
        match called.meant(typed, &[Sort::Node])? {
            Thing::Node(node) => homes.push(node),
            _ => return Err(Problem::bug(NOT_OFFERED, typed, None::<&str>)),
        }
    }
    if homes.is_empty() {
        homes.push(shared.me());
    }
    homes.sort_unstable();
    homes.dedup();
    let stands = |node: &NodeId| state.nodes.get(node).is_some_and(|node| node.standing == Standing::Active);
    if let Some(other) = homes.iter().find(|node| !stands(node) || shared.backends.has(**node)) {
        let why = format!("{} keeps nothing for others", called.name(Thing::Node(*other)));
        return Err(Problem::refused(
            NOT_OFFERED,
            why,
            Some("name a machine of the realm: freehold node list"),
        ));
    }
    if homes.contains(&shared.me()) {
        must_fit(shared, bytes / homes.len() as u64)?;
    }
    let many = |error| Problem::invalid(NOT_OFFERED, format!("the machines: {error}"), None::<&str>);
    let homes = Bounded::from_vec(homes).map_err(many)?;
    let egress = wish.egress.unwrap_or_else(|| bytes.saturating_mul(READ_TIMES));
    Ok((Ceilings { bytes, egress, ..Ceilings::default() }, wind_down, Some(homes)))
}

/// What is promised has to be there today.
fn must_fit(shared: &Shared, bytes: u64) -> Result<(), Problem> {
    let free = freehold_disk::free_bytes(shared.home.root()).unwrap_or(u64::MAX);
    if free >= bytes {
        return Ok(());
    }
    Err(Problem::refused(
        NOT_OFFERED,
        format!(
            "{} are free on this machine's disk, {} would be promised",
            words::bytes(free),
            words::bytes(bytes)
        ),
        Some("promise less, or name other machines: --on"),
    ))
}

const fn told(phase: Phase) -> (RoomPhase, Option<u64>) {
    match phase {
        Phase::NotYet => (RoomPhase::NotYet, None),
        Phase::Open => (RoomPhase::Open, None),
        Phase::EndsSoon(at) => (RoomPhase::EndsSoon, Some(at.0)),
        Phase::WindingDown(until) => (RoomPhase::WindingDown, Some(until.0)),
        Phase::Over => (RoomPhase::Over, None),
    }
}

/// What is promised, of which nothing is used yet.
pub(super) fn promised(terms: &Terms, homes: Vec<String>) -> GrantRoom {
    let (phase, phase_until_ms) = told(Phase::at(terms, None, clock::wall()));
    GrantRoom {
        bytes: terms.ceilings.bytes,
        egress: terms.ceilings.egress,
        wind_down_days: terms.wind_down_days,
        phase,
        phase_until_ms,
        kept: None,
        objects: None,
        sent: None,
        place: None,
        homes,
        receipts: Vec::new(),
    }
}

/// How it stands, as this node sees it: what is kept at the machines that it can ask.
pub(super) fn status(shared: &Shared, called: &Called, id: GrantId, grant: &Grant) -> GrantRoom {
    let mut room =
        promised(&grant.terms, grant.homes.iter().map(|home| called.name(Thing::Node(*home))).collect());
    let (phase, known) = match grant.side {
        Side::Lends => {
            (Phase::of(grant, clock::wall()), Vec::from_iter(keeping::kept_here(shared, id, grant)))
        }
        Side::Borrows => {
            let standings = shared.rooms.standings(id);
            room.homes = standings.keys().map(NodeId::to_string).collect();
            let known = standings.into_values().filter_map(Result::ok).collect();
            (rounds::phase(shared, id, grant), known)
        }
    };
    let receipts = receipts::all(shared, grant.side, id);
    (room.phase, room.phase_until_ms) =
        if receipts.is_empty() { told(phase) } else { (RoomPhase::Over, None) };
    if !known.is_empty() {
        let sum =
            |of: fn(&freehold_passes::About) -> u64| Some(known.iter().map(of).fold(0, u64::saturating_add));
        (room.kept, room.objects, room.sent) =
            (sum(|about| about.kept), sum(|about| about.objects), sum(|about| about.sent));
    }
    room.place = shared.backends.under(id).map(|node| shared.name_of(node));
    let receipt = |receipt: freehold_passes::Receipt| GrantReceipt {
        node: receipt.deletion.node.to_string(),
        objects: receipt.deletion.objects,
        bytes: receipt.deletion.bytes,
        at_ms: receipt.deletion.at.0,
    };
    room.receipts = receipts.into_iter().map(receipt).collect();
    room
}

/// What the place for copies is to be called that a room becomes: as the grant, if no machine is.
pub(super) fn place_name(shared: &Shared, grant: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let plain: String = grant.chars().map(plain).take(30).collect();
    let plain = plain.trim_matches('-');
    let name = if plain.is_empty() { "room" } else { plain };
    if shared.nodes_named(name).is_empty() { name.to_owned() } else { format!("{name}-room") }
}

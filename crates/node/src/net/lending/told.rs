//! What has to be said of rooms, ahead: that one ends, has ended, is nearly full, or holds more than it may.

use freehold_api::words::{self, date};
use freehold_api::{Finding, Level};
use freehold_passes::storage::Phase;
use freehold_realm::{Grant, Side};
use freehold_wire::GrantId;

use super::{is_room, keeping, rounds};
use crate::clock;
use crate::shared::Shared;

/// So much of a room, in percent, may be used before it is said that it will be full.
const NEARLY: u64 = 90;

/// All of it, for rooms that this machine keeps or uses.
pub(crate) fn findings(shared: &Shared) -> Vec<Finding> {
    let view = shared.log.view();
    let rooms = view.state().grants.iter().filter(|(_, grant)| !grant.revoked || grant.side == Side::Lends);
    rooms.filter_map(|(id, grant)| of(shared, *id, grant)).collect()
}

/// What has to be said of one.
pub(crate) fn of(shared: &Shared, id: GrantId, grant: &Grant) -> Option<Finding> {
    let name =
        shared.directory().known_grant(id).map_or_else(|| id.short(), |known| known.name.as_str().to_owned());
    if is_room(grant, Side::Lends) {
        return of_lent(shared, id, grant, &name);
    }
    let place = shared.backends.under(id).filter(|_| is_room(grant, Side::Borrows))?;
    let place = words::typed(&shared.name_of(place)).to_string();
    let drain = format!("freehold backend drain {place} --wait    (waits until copies of it are elsewhere)");
    let found =
        |level, what: String, why: String, next: String| Some(Finding { level, what, why, next: Some(next) });
    match rounds::phase(shared, id, grant) {
        Phase::WindingDown(until) => found(
            Level::Alarm,
            format!("the room at {name} has ended"),
            format!(
                "nothing more is stored there; what lies there can be read until {} and is then deleted; copies are \
                 made elsewhere, if there is somewhere to make them",
                date(until.0)
            ),
            drain,
        ),
        Phase::EndsSoon(end) => found(
            Level::Alarm,
            format!("the room at {name} ends soon"),
            format!("on {} nothing more is stored there, and what lies there is deleted later", date(end.0)),
            format!("ask for another offer, or empty it: {drain}"),
        ),
        Phase::Over => found(
            Level::Alarm,
            format!("the room at {name} is over"),
            "what lay there is deleted, or is not given out any more".to_owned(),
            format!("freehold backend detach {place} --force"),
        ),
        Phase::NotYet | Phase::Open => {
            let (kept, room) = used(shared, id);
            let full = room > 0 && kept.saturating_mul(100) >= room.saturating_mul(NEARLY);
            let why = format!("{} of {} are used", words::bytes(kept), words::bytes(room));
            let next = "ask for another offer, or remove something".to_owned();
            full.then(|| found(Level::Notice, format!("the room at {name} is nearly full"), why, next))
                .flatten()
        }
    }
}

fn used(shared: &Shared, id: GrantId) -> (u64, u64) {
    let known = shared.rooms.standings(id).into_values().filter_map(Result::ok);
    known.fold((0, 0), |(kept, room), about| {
        (kept.saturating_add(about.kept), room.saturating_add(about.room))
    })
}

fn of_lent(shared: &Shared, id: GrantId, grant: &Grant, name: &str) -> Option<Finding> {
    let told = |what: String, why: String| Some(Finding { level: Level::Notice, what, why, next: None });
    let kept = || keeping::kept_here(shared, id, grant);
    match Phase::of(grant, clock::wall()) {
        Phase::EndsSoon(end) => {
            let kept = kept()?;
            let why = format!("{} of theirs lie here", words::bytes(kept.kept));
            told(format!("the room for {name} ends on {}", date(end.0)), why)
        }
        Phase::WindingDown(until) => {
            let kept = kept()?;
            let why = format!("{} of theirs are deleted then", words::bytes(kept.kept));
            told(format!("the room for {name} winds down until {}", date(until.0)), why)
        }
        _ => {
            let kept = kept().filter(|kept| kept.kept > kept.room)?;
            let why =
                format!("{} lie here, {} are promised", words::bytes(kept.kept), words::bytes(kept.room));
            told(format!("the room for {name} is overdrawn"), why)
        }
    }
}

//! One grant told in the third person, so that both realms read the same.

use freehold_api::words::{count, thousands, typed, verb};
use freehold_api::{GrantResource, GrantRoom, GrantSide, GrantStanding, GrantStatus, RoomPhase, Status};

use super::{Bar, bars, is_over, what};
use crate::words::{self, bytes};

/// So long ahead both sides are told that room ends.
const WARNED_MS: u64 = 14 * 24 * 3_600_000;
const DAY_MS: u64 = 24 * 3_600_000;

/// Something that happened, or that will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at_ms: Option<u64>,
    pub(crate) what: String,
}

/// All that is to be said of a grant.
pub(crate) struct Story {
    /// Who lends whom what.
    pub(crate) title: String,
    pub(crate) terms: Vec<String>,
    pub(crate) happened: Vec<Event>,
    pub(crate) to_come: Vec<Event>,
    pub(crate) bars: Vec<Bar>,
    pub(crate) costs: Vec<String>,
    /// What may be typed, and what it does.
    pub(crate) commands: Vec<(String, &'static str)>,
}

/// The realm that lends, and the one that borrows.
struct Sides<'a> {
    lender: &'a str,
    borrower: &'a str,
}

impl<'a> Sides<'a> {
    fn of(grant: &'a GrantStatus, status: &'a Status) -> Self {
        let (ours, theirs) = (status.realm.name.as_str(), grant.realm_name.as_str());
        match grant.side {
            GrantSide::Lends => Self { lender: ours, borrower: theirs },
            GrantSide::Borrows => Self { lender: theirs, borrower: ours },
        }
    }
}

impl Story {
    pub(crate) fn of(grant: &GrantStatus, status: &Status, now: u64) -> Self {
        let sides = Sides::of(grant, status);
        Self {
            title: format!("{} lends {} {}", sides.lender, sides.borrower, what(grant)),
            terms: terms(grant, &sides),
            happened: happened(grant, &sides, now),
            to_come: to_come(grant, &sides, now),
            bars: bars(grant),
            costs: costs(grant, &sides, status),
            commands: commands(grant),
        }
    }
}

fn terms(grant: &GrantStatus, Sides { lender, borrower }: &Sides<'_>) -> Vec<String> {
    let mut all = match (grant.resource, &grant.room) {
        (_, Some(room)) => vec![
            format!("{borrower} may keep {} there.", bytes(room.bytes)),
            format!("{borrower} may read {} of it in a month.", bytes(room.egress)),
            format!(
                "What lies there is sealed with {borrower}’s keys: {lender} sees how much it is, and neither what nor \
                 how it is called."
            ),
        ],
        (GrantResource::Services, None) => vec![
            format!(
                "{borrower}’s servers, and the laptops of its members, may reach these services of {lender}."
            ),
            format!(
                "They reach nothing else of {lender}, and nobody of {lender} reaches anything of {borrower}."
            ),
        ],
        (GrantResource::Gateway, None) => vec![
            format!("{lender}’s gateways take in what the internet sends to names of {borrower}."),
            format!("TLS ends at {borrower}: {lender} sees the name that is asked for, and nothing else."),
        ],
        _ => vec![format!("{borrower} may use it.")],
    };
    all.push(format!("It holds from {} until {}.", words::day(grant.from_ms), words::day(grant.until_ms)));
    all.extend(grant.room.as_ref().map(|room| match room.wind_down_days {
        0 => "At the end everything is deleted at once, with a signed receipt.".to_owned(),
        days => format!(
            "After the end it can be read for {}, and is then deleted, with a signed receipt.",
            count(days.into(), "day")
        ),
    }));
    all.push("Either side can end it at any time.".to_owned());
    all
}

/// When it ended or will end.
fn end(grant: &GrantStatus) -> u64 {
    let ended = grant.said.iter().find(|said| said.of_grant() == "ended");
    ended.map_or(grant.until_ms, |said| said.at_ms.min(grant.until_ms))
}

fn happened(grant: &GrantStatus, sides: &Sides<'_>, now: u64) -> Vec<Event> {
    let Sides { lender, borrower } = sides;
    let ours = match grant.side {
        GrantSide::Lends => lender,
        GrantSide::Borrows => borrower,
    };
    let event = |at_ms: u64, what: String| Event { at_ms: Some(at_ms), what };
    let mut all = Vec::new();
    if grant.side == GrantSide::Borrows {
        all.push(event(grant.from_ms, format!("{lender} offered it.")));
    }
    all.extend(grant.said.iter().map(|said| {
        let by = if said.by.is_empty() { String::new() } else { format!(" ({})", said.by) };
        event(
            said.at_ms,
            match said.of_grant() {
                "offered" => format!("{lender} offered it{by}."),
                "accepted" => format!("{borrower} took it up{by}."),
                "ended" => format!("{ours} ended it{by}."),
                _ => format!("{ours} suspended who stands behind it{by}."),
            },
        )
    }));
    if grant.said.is_empty() {
        all.push(event(grant.from_ms, "It begins.".to_owned()));
    }
    let end = end(grant);
    let early = grant.said.iter().any(|said| said.of_grant() == "ended");
    if grant.room.is_some() && !early && end.saturating_sub(WARNED_MS) <= now {
        all.push(event(end.saturating_sub(WARNED_MS), "Both sides are told that it ends soon.".to_owned()));
    }
    if grant.standing == GrantStanding::Lapsed {
        all.push(event(grant.until_ms, "Its time was over.".to_owned()));
    }
    if grant.room.as_ref().is_some_and(|room| matches!(room.phase, RoomPhase::WindingDown | RoomPhase::Over))
    {
        all.push(event(end, "From then on nothing more was stored.".to_owned()));
    }
    let receipts = grant.room.iter().flat_map(|room| &room.receipts);
    all.extend(receipts.map(|receipt| {
        let objects = count(receipt.objects, "sealed object");
        let node = short(&receipt.node);
        let sum = thousands(receipt.bytes);
        event(receipt.at_ms, format!("The machine {node} signed that it deleted {objects}, {sum} bytes."))
    }));
    all.sort_by_key(|event| event.at_ms);
    all
}

fn to_come(grant: &GrantStatus, Sides { borrower, .. }: &Sides<'_>, now: u64) -> Vec<Event> {
    if is_over(grant) {
        return Vec::new();
    }
    let event = |at_ms: u64, what: &str| Event { at_ms: Some(at_ms), what: what.to_owned() };
    let end = end(grant);
    let mut all = Vec::new();
    if let Some(room) = &grant.room {
        if end.saturating_sub(WARNED_MS) > now {
            all.push(event(end.saturating_sub(WARNED_MS), "Both sides are told that it ends soon."));
        }
        if end > now {
            all.push(event(end, "Nothing more is stored; what is there can be read."));
            let elsewhere = format!(
                "{borrower}’s machines make the copies that lay there elsewhere, if there is somewhere to make them."
            );
            all.push(Event { at_ms: None, what: elsewhere });
        }
        let gone = end.saturating_add(u64::from(room.wind_down_days) * DAY_MS);
        let gone = room.phase_until_ms.filter(|_| room.phase == RoomPhase::WindingDown).unwrap_or(gone);
        all.push(event(gone, "What lies there is deleted, and each machine that kept it signs for it."));
    } else if end > now {
        all.push(event(end, "It ends, and what it opened is shut."));
    }
    all
}

/// What the promise costs today.
fn costs(grant: &GrantStatus, Sides { borrower, .. }: &Sides<'_>, status: &Status) -> Vec<String> {
    let Some(room) = grant.room.as_ref().filter(|room| room.phase != RoomPhase::Over) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    if let (Some(kept), Some(objects)) = (room.kept, room.objects) {
        let (sum, objects) = (thousands(kept), count(objects, "sealed object"));
        let lies = verb(room.objects.unwrap_or(0), "lies", "lie");
        all.push(format!("{objects} {lies} there, to the byte {sum} bytes."));
    } else {
        all.push("How much lies there is not known: no machine that keeps it answers just now.".to_owned());
    }
    all.extend(match grant.side {
        GrantSide::Lends => disk_share(room, borrower, status),
        GrantSide::Borrows => {
            room.place.as_ref().map(|place| format!("It is a place for copies, called {place}."))
        }
    });
    all
}

/// What of this machine's disk is promised, where it keeps a part.
fn disk_share(room: &GrantRoom, borrower: &str, status: &Status) -> Option<String> {
    let me = status.nodes.iter().find(|node| node.id == status.this_node)?;
    let is_home = room.homes.iter().any(|home| *home == me.name || *home == me.id);
    if !is_home {
        return Some(format!("It is kept at {}.", room.homes.join(", ")));
    }
    let share = room.bytes / room.homes.len() as u64;
    let free = status.storage.free;
    let percent = u128::from(share) * 100 / u128::from(share.saturating_add(free).max(1));
    let whose =
        if room.homes.len() > 1 { "This machine’s share of the promise is" } else { "The promise is" };
    let others = match room.homes.len() {
        1 => String::new(),
        _ => format!(" It is kept at {}.", room.homes.join(", ")),
    };
    Some(format!(
        "{whose} {} of its disk, on which {} are free: about {percent} % of what could be used, whether {borrower} uses \
         it or not.{others}",
        bytes(share),
        bytes(free)
    ))
}

fn commands(grant: &GrantStatus) -> Vec<(String, &'static str)> {
    let name = typed(&grant.name);
    let mut all = vec![(format!("freehold grant show {name}"), "the same as this page")];
    if matches!(grant.standing, GrantStanding::Ended | GrantStanding::Lapsed) {
        return all;
    }
    if grant.side == GrantSide::Lends && grant.resource == GrantResource::Storage && !is_used(grant) {
        let waits = "in the other realm: takes the offer up, if that was not done";
        all.push(("freehold grant accept OFFER".to_owned(), waits));
    }
    if let Some(place) = grant.room.as_ref().and_then(|room| room.place.as_ref()) {
        let place = typed(place);
        all.push((format!("freehold backend drain {place} --wait"), "moves what lies there elsewhere"));
    }
    all.push((format!("freehold grant revoke {name} --dry-run"), "says whether it could be ended"));
    let ends = match grant.side {
        GrantSide::Lends => "ends it, for good",
        GrantSide::Borrows => "gives it back, for good",
    };
    all.push((format!("freehold grant revoke {name}"), ends));
    all
}

fn is_used(grant: &GrantStatus) -> bool {
    !grant.machines.is_empty()
        || grant.room.as_ref().is_some_and(|room| room.kept.is_some_and(|kept| kept > 0))
}

/// The start of an id.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

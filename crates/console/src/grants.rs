//! What realms lend each other: a list, and the story of one grant as both sides read it.

mod story;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use freehold_api::words::date;
use freehold_api::{
    GrantMachine, GrantResource, GrantSide, GrantStanding, GrantStatus, PoolStatus, Problem, RoomPhase,
};

use self::story::{Event, Story};
use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::pools;
use crate::routes::Console;
use crate::words::{self, Mark, bytes};

/// A bar is so many parts wide, as it is drawn.
const WIDE: u64 = 1000;

#[derive(Template)]
#[template(path = "grants.html")]
struct List {
    frame: Frame,
    lent: Vec<GrantStatus>,
    borrowed: Vec<GrantStatus>,
    over: Vec<GrantStatus>,
    pools: Vec<PoolStatus>,
    now: u64,
}

impl List {
    const fn is_empty(&self) -> bool {
        self.lent.is_empty() && self.borrowed.is_empty() && self.over.is_empty() && self.pools.is_empty()
    }

    /// Lent and borrowed, each with its head, where there is any.
    fn sides(&self) -> Vec<(&'static str, &'static str, &[GrantStatus])> {
        let all: [(&str, &str, &[GrantStatus]); 2] =
            [("lent", "Lent to others", &self.lent), ("borrowed", "Borrowed from others", &self.borrowed)];
        all.into_iter().filter(|(_, _, grants)| !grants.is_empty()).collect()
    }
}

#[derive(Template)]
#[template(path = "grant.html")]
struct One {
    frame: Frame,
    grant: GrantStatus,
    story: Story,
    mark: Mark,
}

/// A part of a whole, to be drawn and said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) what: &'static str,
    pub(crate) said: String,
    /// In parts of [`WIDE`], at most all of it.
    pub(crate) wide: u64,
    pub(crate) tone: &'static str,
}

impl Bar {
    pub(crate) fn new(what: &'static str, used: u64, of: u64) -> Self {
        let wide = match of {
            0 => 0,
            of => u64::try_from(u128::from(used) * u128::from(WIDE) / u128::from(of)).unwrap_or(WIDE),
        };
        // Something is seen, however little it is.
        let wide = if used > 0 { wide.clamp(8, WIDE) } else { 0 };
        let tone = if wide >= 900 { "wait" } else { "good" };
        Self { what, said: format!("{} of {}", bytes(used), bytes(of)), wide, tone }
    }
}

/// What is used of what was promised, where that is known.
pub(crate) fn bars(grant: &GrantStatus) -> Vec<Bar> {
    let Some(room) = grant.room.as_ref().filter(|room| room.phase != RoomPhase::Over) else {
        return Vec::new();
    };
    let kept = room.kept.map(|kept| Bar::new("Kept", kept, room.bytes));
    let sent = room.sent.map(|sent| Bar::new("Read this month", sent, room.egress));
    kept.into_iter().chain(sent).collect()
}

/// Whether nothing comes of it any more.
pub(crate) fn is_over(grant: &GrantStatus) -> bool {
    let ended = matches!(grant.standing, GrantStanding::Ended | GrantStanding::Lapsed);
    ended && grant.room.as_ref().is_none_or(|room| room.phase == RoomPhase::Over)
}

pub(crate) fn mark(grant: &GrantStatus) -> Mark {
    let phase = grant.room.as_ref().map(|room| room.phase);
    match (grant.standing, phase) {
        (_, Some(RoomPhase::WindingDown)) => Mark { tone: "wait", word: "Winding down" },
        (GrantStanding::Ended, _) => Mark { tone: "quiet", word: "Ended" },
        (GrantStanding::Lapsed, _) => Mark { tone: "quiet", word: "Lapsed" },
        (GrantStanding::Suspended, _) => Mark { tone: "bad", word: "Suspended" },
        (GrantStanding::NotYet, _) => Mark { tone: "quiet", word: "Not begun" },
        (GrantStanding::Holds, Some(RoomPhase::EndsSoon)) => Mark { tone: "wait", word: "Ends soon" },
        (GrantStanding::Holds, _) if grant.trouble.is_some() => Mark { tone: "wait", word: "Needs a look" },
        (GrantStanding::Holds, _) => Mark { tone: "good", word: "Holds" },
    }
}

/// What is lent, in words: `50 GB of room`.
pub(crate) fn what(grant: &GrantStatus) -> String {
    match (grant.resource, &grant.room) {
        (GrantResource::Storage, Some(room)) => format!("{} of room", bytes(room.bytes)),
        (GrantResource::Storage, None) => "room".to_owned(),
        (GrantResource::Compute, _) => "processor and memory".to_owned(),
        (GrantResource::Gateway, _) => "a way in from the internet".to_owned(),
        (GrantResource::Relay, _) => "relays".to_owned(),
        (GrantResource::Services, _) => match grant.services.as_slice() {
            [] => "services".to_owned(),
            [one] => format!("the service {}", label(&one.domain)),
            all => {
                let names: Vec<&str> = all.iter().map(|one| label(&one.domain)).collect();
                format!("the services {}", names.join(", "))
            }
        },
    }
}

fn label(domain: &str) -> &str {
    domain.split('.').next().unwrap_or(domain)
}

/// Until when, or since when not any more.
pub(crate) fn when(grant: &GrantStatus, now: u64) -> String {
    let day = words::day;
    let winds_down = grant.room.as_ref().filter(|room| room.phase == RoomPhase::WindingDown);
    if let Some(until) = winds_down.and_then(|room| room.phase_until_ms) {
        return format!("to be read until {}, then deleted", day(until));
    }
    match grant.standing {
        GrantStanding::Ended => {
            let ended = grant.said.last().filter(|said| said.of_grant() == "ended");
            ended.map_or_else(|| "ended".to_owned(), |said| format!("ended on {}", day(said.at_ms)))
        }
        GrantStanding::Lapsed => format!("lapsed on {}", day(grant.until_ms)),
        GrantStanding::NotYet => format!("from {} until {}", day(grant.from_ms), day(grant.until_ms)),
        GrantStanding::Suspended | GrantStanding::Holds => {
            format!("until {}, in {}", day(grant.until_ms), words::span(grant.until_ms.saturating_sub(now)))
        }
    }
}

/// Until when a machine of the other realm is let in.
pub(crate) fn pass(machine: &GrantMachine) -> Option<String> {
    machine.until_ms.map(|until| format!("its pass is good until {}", date(until)))
}

/// With whom.
pub(crate) fn with(grant: &GrantStatus) -> String {
    match grant.side {
        GrantSide::Lends => format!("to {}", grant.realm_name),
        GrantSide::Borrows => format!("from {}", grant.realm_name),
    }
}

pub(crate) async fn list(State(console): State<Console>, theme: Theme) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let (over, there): (Vec<_>, Vec<_>) = console.client.grants().await?.into_iter().partition(is_over);
    let (lent, borrowed) = there.into_iter().partition(|grant| grant.side == GrantSide::Lends);
    let frame = Frame::new(theme, Place::Grants, &status);
    let pools = pools::all(&console).await?;
    Ok(page(&List { frame, lent, borrowed, over, pools, now: words::now_ms() }))
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let all = console.client.grants().await?;
    let Some(grant) = all.into_iter().find(|grant| grant.id == id) else {
        return Err(Fault::from(Problem::not_found(
            "there is no such grant",
            "it was never made, or the address is mistyped",
            Some("freehold grant list"),
        )));
    };
    let story = Story::of(&grant, &status, words::now_ms());
    let mark = mark(&grant);
    Ok(page(&One { frame: Frame::new(theme, Place::Grants, &status), grant, story, mark }))
}

/// The moment of something that happened or will.
pub(crate) fn at(event: &Event) -> String {
    event.at_ms.map(date).unwrap_or_default()
}

#[cfg(test)]
mod tests;

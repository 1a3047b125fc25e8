//! The realm's network: who is connected how, what is open to whom, and why.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use freehold_api::words::{bytes, count, date};
use freehold_api::{
    Carried, DoorCount, Explanation, NameStanding, NetNode, NetPhone, NetRefused, NetRule, NetService,
    NetStatus, Path, Problem, PublishedService, Question, SaidBy, Standing,
};
use serde::Deserialize;

use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;
use crate::words::{self, Mark};

#[derive(Template)]
#[template(path = "network.html")]
struct Page {
    frame: Frame,
    net: NetStatus,
    services: Vec<NetService>,
    rules: Vec<NetRule>,
    phones: Vec<NetPhone>,
    asked: Asked,
    answer: Option<Explanation>,
    problem: Option<Problem>,
    now: u64,
}

/// Who asks to reach whom, as typed; nothing was asked where both are empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    from: String,
    to: String,
    port: String,
}

impl Asked {
    fn question(&self) -> Option<Question> {
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Some(Question { from: said(&self.from)?, to: said(&self.to)?, port: said(&self.port) })
    }
}

impl Page {
    fn is_this(&self, node: &NetNode) -> bool {
        node.id == self.net.this_node
    }

    fn mark(&self, node: &NetNode) -> Mark {
        match node.standing {
            Standing::Suspended => Mark { tone: "bad", word: "Suspended" },
            Standing::Burned => Mark { tone: "bad", word: "Shut out" },
            Standing::Visitor => Mark { tone: "wait", word: "Recovering" },
            Standing::Member if self.is_this(node) => Mark { tone: "good", word: "This machine" },
            Standing::Member if !node.connected => Mark { tone: "wait", word: "Away" },
            Standing::Member => match node.path {
                Some(Path::Direct) => Mark { tone: "good", word: "Direct" },
                Some(Path::Relay) => Mark { tone: "wait", word: "Relayed" },
                None => Mark { tone: "good", word: "Connected" },
            },
        }
    }

    /// How it is reached, in a sentence.
    fn way(&self, node: &NetNode) -> String {
        if self.is_this(node) {
            return "The machine you are looking at".to_owned();
        }
        let there_and_back = node.rtt_us.map(|us| format!(", {} ms there and back", tenths(us)));
        match (node.connected, node.path) {
            (true, Some(Path::Direct)) => format!("Directly{}", there_and_back.unwrap_or_default()),
            (true, Some(Path::Relay)) => format!("Through a relay{}", there_and_back.unwrap_or_default()),
            (true, None) => format!("Connected{}", there_and_back.unwrap_or_default()),
            (false, _) => match (&node.trouble, node.last_heard_ms) {
                (Some(trouble), _) => words::sentence(trouble),
                (None, Some(ms)) => format!("Last heard {}", words::ago(ms)),
                (None, None) => "Not heard since this node started".to_owned(),
            },
        }
    }

    fn published(&self) -> Vec<(&NetService, &PublishedService)> {
        self.services.iter().filter_map(|service| Some((service, service.published.as_ref()?))).collect()
    }

    fn said(&self, said: &SaidBy) -> String {
        format!("said by {}, {}", said.by, words::ago(self.now.saturating_sub(said.at_ms)))
    }

    fn until(&self, rule: &NetRule) -> Option<String> {
        let left = rule.until_ms?.saturating_sub(self.now);
        Some(if rule.lapsed { "lapsed".to_owned() } else { format!("for another {}", words::span(left)) })
    }
}

/// What went there and came back, where anything did.
pub(crate) fn carried(node: &NetNode) -> Option<String> {
    let carried = node.carried.filter(|carried| *carried != Carried::default())?;
    let refused = match carried.refused {
        0 => String::new(),
        refused => format!(", {} refused", count(refused, "packet")),
    };
    Some(format!("{} there, {} back{refused}", bytes(carried.sent), bytes(carried.received)))
}

/// Whether this machine's door shows a service.
pub(crate) fn shown(published: &PublishedService) -> Mark {
    match &published.here {
        Some(here) if !here.troubles.is_empty() => Mark { tone: "bad", word: "Needs attention" },
        Some(_) => Mark { tone: "good", word: "Shown here" },
        None => Mark { tone: "wait", word: "Shown elsewhere" },
    }
}

/// How it stands with the certificate of a name.
pub(crate) fn certified(name: &NameStanding) -> String {
    let until = match name.until_ms {
        Some(until) => format!("{}: certified until {}", name.name, date(until)),
        None => format!("{}: no certificate yet", name.name),
    };
    match &name.error {
        Some(error) => format!("{until}; failed {}: {error}", count(name.failures.into(), "time")),
        None => until,
    }
}

/// What the door counts of a service.
pub(crate) fn answered(counted: &DoorCount) -> String {
    let (answers, errors) = (count(counted.answers, "answer"), count(counted.errors, "error"));
    format!("{answers}, {errors} among them; {} turned away", count(counted.turned_away, "request"))
}

/// How often somebody asked for it, and when last.
pub(crate) fn how_often(one: &NetRefused) -> String {
    format!("{}, the last {}", count(one.times, "packet"), words::ago(one.ago_ms))
}

/// Milliseconds with one digit behind the point.
fn tenths(us: u64) -> String {
    format!("{}.{}", us / 1000, us % 1000 / 100)
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    let client = &console.client;
    let status = client.status().await?;
    let (net, services) = (client.net().await?, client.services().await?);
    let (rules, phones) = (client.rules().await?, client.phones().await?);
    let told = match asked.question() {
        Some(question) => client.explain(&question).await.map(Some),
        None => Ok(None),
    };
    let (answer, problem) = match told {
        Ok(answer) => (answer, None),
        Err(problem) => (None, Some(problem)),
    };
    let frame = Frame::new(theme, Place::Network, &status);
    let now = words::now_ms();
    Ok(page(&Page { frame, net, services, rules, phones, asked, answer, problem, now }))
}

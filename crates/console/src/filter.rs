//! Names: which are blocked, for whom and when, and what becomes of one.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use freehold_api::{
    FilterExplanation, FilterGroup, FilterHours, FilterKeep, FilterList, FilterQuestion, FilterStats,
    FilterStatus, Problem,
};
use serde::Deserialize;

use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;
use crate::words::{self, Mark};

#[derive(Template)]
#[template(path = "filter.html")]
struct Page {
    frame: Frame,
    filter: FilterStatus,
    stats: FilterStats,
    asked: Asked,
    answer: Option<FilterExplanation>,
    problem: Option<Problem>,
    now: u64,
}

/// A name, and who asks for it, as typed; nothing was asked where there is no name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    name: String,
    who: String,
}

impl Asked {
    fn question(&self) -> Option<FilterQuestion> {
        let name = Some(self.name.trim().to_owned()).filter(|name| !name.is_empty())?;
        let who = Some(self.who.trim()).filter(|who| !who.is_empty()).unwrap_or("everybody").to_owned();
        Some(FilterQuestion { name, who })
    }
}

impl Page {
    fn mark(list: &FilterList) -> Mark {
        match (list.rules, &list.problem) {
            (Some(_), None) => Mark { tone: "good", word: "In use" },
            (Some(_), Some(_)) => Mark { tone: "wait", word: "Not the newest" },
            (None, Some(_)) => Mark { tone: "bad", word: "Missing" },
            (None, None) => Mark { tone: "wait", word: "On its way" },
        }
    }

    fn came(&self, list: &FilterList) -> String {
        let when = list.fetched_ms.map(|at| words::ago(self.now.saturating_sub(at)));
        match (list.rules, when) {
            (Some(rules), Some(when)) => format!("{rules} rules, came {when}"),
            _ => "nothing of it is here yet".to_owned(),
        }
    }

    fn hours(group: &FilterGroup, hours: &FilterHours) -> String {
        let what = match &hours.lists {
            Some(lists) => format!("{} too", lists.join(", ")),
            None => "only what is allowed".to_owned(),
        };
        let zone = group.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
        format!("{} from {} to {}{zone}: {what}", hours.days, hours.from, hours.to)
    }

    fn pauses(&self, group: &FilterGroup) -> Option<String> {
        let left = group.paused_until_ms?.checked_sub(self.now)?;
        Some(format!("pauses for another {}", words::span(left)))
    }

    fn asked_in_all(&self) -> u64 {
        self.stats.hours.iter().map(|hour| hour.asked).sum()
    }

    fn blocked_in_all(&self) -> u64 {
        self.stats.hours.iter().map(|hour| hour.blocked).sum()
    }

    const fn counts(&self) -> &'static str {
        match self.stats.statistics {
            FilterKeep::Off => "Nothing is counted.",
            FilterKeep::Anonymous => "Counted is how much was asked, and no names.",
            FilterKeep::Full => {
                "Counted is how much was asked, and the names that were asked for most, in memory."
            }
        }
    }
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    let client = &console.client;
    let status = client.status().await?;
    let (filter, stats) = (client.filter().await?, client.filter_stats().await?);
    let told = match asked.question() {
        Some(question) => client.explain_name(&question).await.map(Some),
        None => Ok(None),
    };
    let (answer, problem) = match told {
        Ok(answer) => (answer, None),
        Err(problem) => (None, Some(problem)),
    };
    let frame = Frame::new(theme, Place::Network, &status);
    let now = words::now_ms();
    Ok(page(&Page { frame, filter, stats, asked, answer, problem, now }))
}

//! What the realm is: its id, its guardians, its log, and how programs reach it.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use freehold_api::{Audit, Card, GuardianTest, Phrase, Problem, Status, UsageStatus};
use serde::Deserialize;

use crate::fault::{Fault, status};
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;
use crate::words;

#[derive(Template)]
#[template(path = "realm.html")]
struct Page {
    frame: Frame,
    status: Status,
    audit: Audit,
    card: Option<Card>,
    usage: Vec<UsageStatus>,
    tested: Option<GuardianTest>,
    problem: Option<Problem>,
    code: Option<NewCode>,
}

/// A set-up code for another browser.
struct NewCode {
    code: String,
    lapses: String,
}

impl Page {
    async fn load(console: &Console, theme: Theme) -> Result<Self, Problem> {
        let status = console.client.status().await?;
        let audit = console.client.audit().await?;
        // A node without an address yet has no card to give; the rest of the page stands.
        let card = console.client.card().await.ok();
        let usage = console.client.usage().await?;
        let frame = Frame::new(theme, Place::Realm, &status);
        Ok(Self { frame, status, audit, card, usage, tested: None, problem: None, code: None })
    }
}

pub(crate) async fn show(State(console): State<Console>, theme: Theme) -> Result<Response, Fault> {
    Ok(page(&Page::load(&console, theme).await?))
}

pub(crate) async fn back() -> Redirect {
    Redirect::to("/realm")
}

pub(crate) async fn test_guardian(
    State(console): State<Console>,
    theme: Theme,
    Form(phrase): Form<Phrase>,
) -> Result<Response, Fault> {
    let (tested, problem) = match console.client.test_guardian(&phrase).await {
        Ok(tested) => (Some(tested), None),
        // Whatever a command would do next, here it is the box below.
        Err(problem) => {
            let next = problem.next.map(|_| "look at the paper, and type it again below".to_owned());
            (None, Some(Problem { next, ..problem }))
        }
    };
    let code = status(problem.as_ref());
    let shown = Page { tested, problem, ..Page::load(&console, theme).await? };
    Ok((code, page(&shown)).into_response())
}

#[derive(Debug, Deserialize)]
pub(crate) struct Stopped {
    recovery: String,
}

pub(crate) async fn veto(
    State(console): State<Console>,
    theme: Theme,
    Form(Stopped { recovery }): Form<Stopped>,
) -> Result<Response, Fault> {
    console.client.veto_recovery(&recovery).await?;
    Ok(page(&Page::load(&console, theme).await?))
}

pub(crate) async fn new_code(State(console): State<Console>, theme: Theme) -> Result<Response, Fault> {
    let made = console.client.new_setup_code().await?;
    let code = NewCode { code: made.code.clone(), lapses: words::span(made.lapses_in_ms) };
    Ok(page(&Page { code: Some(code), ..Page::load(&console, theme).await? }))
}

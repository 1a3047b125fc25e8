//! The realm's machines, and how another one comes in.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use freehold_api::{
    InvitationStatus, NewInvitation, NewName, NodeStatus, Problem, ProblemKind, Role, Status,
};
use serde::Deserialize;

use crate::fault::{Fault, status};
use crate::frame::{Frame, Place, Theme, page};
use crate::notice::Told;
use crate::qr::{Qr, qr};
use crate::routes::Console;
use crate::words;

#[derive(Template)]
#[template(path = "nodes.html")]
struct List {
    frame: Frame,
    status: Status,
    invitations: Vec<InvitationStatus>,
    now: u64,
}

pub(crate) async fn list(
    State(console): State<Console>,
    theme: Theme,
    Query(told): Query<Told>,
) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let mut invitations = console.client.invitations().await?;
    let now = words::now_ms();
    invitations.retain(|invitation| invitation.expires_ms > now);
    let frame = Frame::new(theme, Place::Nodes, &status).with_notice(told.text());
    Ok(page(&List { frame, status, invitations, now }))
}

#[derive(Template)]
#[template(path = "node.html")]
struct Show {
    frame: Frame,
    node: NodeStatus,
    this_node: String,
    elsewhere: Option<String>,
    problem: Option<Problem>,
}

async fn load(console: &Console, theme: Theme, named: &str) -> Result<Show, Problem> {
    let status = console.client.status().await?;
    let node = status.nodes.iter().find(|node| node.id == named).cloned();
    let node = node.ok_or_else(|| {
        Problem::not_found("there is no such node", "the realm does not know this id", None::<String>)
    })?;
    let frame = Frame::new(theme, Place::Nodes, &status);
    let elsewhere = words::elsewhere(&status);
    Ok(Show { frame, node, this_node: status.this_node, elsewhere, problem: None })
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    Path(named): Path<String>,
    Query(told): Query<Told>,
) -> Result<Response, Fault> {
    let mut shown = load(&console, theme, &named).await?;
    shown.frame.notice = told.text();
    Ok(page(&shown))
}

/// Back to the node's page: with a notice, or with the problem on it.
async fn after(
    console: &Console,
    theme: Theme,
    named: &str,
    done: Result<(), Problem>,
    notice: &str,
) -> Result<Response, Fault> {
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/nodes/{named}?notice={notice}")).into_response()),
        Err(problem) => {
            let code = status(Some(&problem));
            let shown = Show { problem: Some(problem), ..load(console, theme, named).await? };
            Ok((code, page(&shown)).into_response())
        }
    }
}

pub(crate) async fn rename(
    State(console): State<Console>,
    theme: Theme,
    Path(named): Path<String>,
    Form(name): Form<NewName>,
) -> Result<Response, Fault> {
    let done = console.client.rename_node(&named, &name).await;
    after(&console, theme, &named, done, "renamed").await
}

pub(crate) async fn suspend(
    State(console): State<Console>,
    theme: Theme,
    Path(named): Path<String>,
) -> Result<Response, Fault> {
    let done = console.client.suspend_node(&named).await;
    after(&console, theme, &named, done, "suspended").await
}

pub(crate) async fn lift(
    State(console): State<Console>,
    theme: Theme,
    Path(named): Path<String>,
) -> Result<Response, Fault> {
    let done = console.client.lift_node(&named).await;
    after(&console, theme, &named, done, "lifted").await
}

#[derive(Template)]
#[template(path = "invite.html")]
struct Invite {
    frame: Frame,
    elsewhere: Option<String>,
    problem: Option<Problem>,
}

pub(crate) async fn ask_invite(State(console): State<Console>, theme: Theme) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let elsewhere = words::elsewhere(&status);
    Ok(page(&Invite { frame: Frame::new(theme, Place::Nodes, &status), elsewhere, problem: None }))
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct Invited {
    frame: Frame,
    text: String,
    lapses: String,
    qr: Option<Qr>,
}

/// Check boxes repeat their name, which a struct cannot.
fn read(form: &[(String, String)]) -> Result<NewInvitation, Problem> {
    let value = |wanted: &str| form.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let roles = form.iter().filter(|(name, _)| name == "role").map(|(_, role)| role.parse::<Role>());
    let hours =
        value("hours").and_then(|hours| hours.parse().ok()).filter(|hours| (1..=24 * 30).contains(hours));
    let hours = hours.ok_or_else(|| {
        Problem::invalid("cannot make this invitation", "it has to lapse within a month", None::<String>)
    })?;
    Ok(NewInvitation { roles: roles.collect::<Result<_, _>>()?, hours, device: value("device").is_some() })
}

pub(crate) async fn invite(
    State(console): State<Console>,
    theme: Theme,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Response, Fault> {
    let state = console.client.status().await?;
    let frame = Frame::new(theme, Place::Nodes, &state);
    let made = match read(&form) {
        Ok(wish) => console.client.invite(&wish).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(made) => {
            let lapses = words::span(made.expires_ms.saturating_sub(words::now_ms()).saturating_add(59_999));
            Ok(page(&Invited { frame, qr: qr(&made.text), text: made.text, lapses }))
        }
        Err(problem) if problem.kind == ProblemKind::Bug => Err(problem.into()),
        Err(problem) => {
            let elsewhere = words::elsewhere(&state);
            let again = Invite { frame, elsewhere, problem: Some(problem) };
            Ok((status(again.problem.as_ref()), page(&again)).into_response())
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Withdraw {
    id: String,
}

pub(crate) async fn withdraw(
    State(console): State<Console>,
    Form(form): Form<Withdraw>,
) -> Result<Redirect, Fault> {
    console.client.withdraw_invitation(&form.id).await?;
    Ok(Redirect::to("/nodes?notice=withdrawn"))
}

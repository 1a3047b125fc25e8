//! A problem as a page: what, why, and what to do next. Handlers return it with `?`; the page is made
//! around it afterwards, where the reader's theme is known.

use askama::Template;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use freehold_api::{Problem, ProblemKind};
use http::StatusCode;

use crate::frame::{Frame, Theme, page};

/// A problem on its way to becoming a page.
pub(crate) struct Fault(Problem);

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.0.kind.status().into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

#[derive(Template)]
#[template(path = "fault.html")]
struct Page {
    frame: Frame,
    problem: Problem,
}

/// Makes pages of faults.
pub(crate) async fn render(theme: Theme, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let mut made = page(&Page { frame: Frame::bare(theme), problem });
    *made.status_mut() = response.status();
    made
}

/// The answer to an address that leads nowhere.
pub(crate) async fn nowhere() -> Fault {
    Fault(Problem::not_found(
        "there is no such page",
        "the address is mistyped, or what it showed is gone",
        None::<String>,
    ))
}

/// The status that goes with a form that is shown again.
pub(crate) const fn status(problem: Option<&Problem>) -> StatusCode {
    match problem {
        Some(problem) => match problem.kind {
            ProblemKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            kind => kind.status(),
        },
        None => StatusCode::OK,
    }
}

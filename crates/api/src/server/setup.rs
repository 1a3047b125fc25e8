//! Signing in to the console.

use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use freehold_ports::Source;
use http::{HeaderMap, HeaderName, StatusCode, header};

use super::Node;
use super::extract::Asked;
use crate::{Problem, SetupCode, TypedCode};

/// Long enough to walk to the other machine.
pub(super) const CODE_LASTS: Duration = Duration::from_hours(1);

type Cookie = (StatusCode, [(HeaderName, String); 1]);

/// Take a set-up code for a session
#[utoipa::path(post, path = "/api/v1/setup/session", tag = "setup", request_body = TypedCode, responses(
    (status = 204, description = "Signed in", headers(("set-cookie" = String))),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn sign_in(
    State(node): State<Node>,
    source: Option<Extension<Source>>,
    Asked(typed): Asked<TypedCode>,
) -> Result<Cookie, Problem> {
    let source = source.map_or(Source::Here, |Extension(source)| source);
    let cookie = node.sessions.sign_in(source, &typed).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie.as_header().to_owned())]))
}

/// End the session
#[utoipa::path(delete, path = "/api/v1/setup/session", tag = "setup", responses(
    (status = 204, description = "Signed out", headers(("set-cookie" = String)))))]
pub(super) async fn sign_out(State(node): State<Node>, headers: HeaderMap) -> Cookie {
    let cookie = node.sessions.sign_out(&headers);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie.as_header().to_owned())])
}

/// End every session, and let every set-up code lapse
#[utoipa::path(delete, path = "/api/v1/setup/sessions", tag = "setup", responses(
    (status = 204, description = "Everybody is signed out")))]
pub(super) async fn sign_out_everywhere(State(node): State<Node>) -> StatusCode {
    node.sessions.sign_out_everywhere();
    StatusCode::NO_CONTENT
}

/// Make a new set-up code
#[utoipa::path(post, path = "/api/v1/setup/code", tag = "setup", responses(
    (status = 201, body = SetupCode),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn new_code(State(node): State<Node>) -> (StatusCode, Json<SetupCode>) {
    (StatusCode::CREATED, Json(node.sessions.issue_code(CODE_LASTS)))
}

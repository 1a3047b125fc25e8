//! Phones of the network.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Node;
use super::extract::{Asked, Options};
use super::net::{Trial, made};
use crate::{NewPhone, PhoneSettings, Problem};

/// Let a phone in
///
/// Whoever asks has made its key pair, and keeps the secret half to the phone.
#[utoipa::path(post, path = "/api/v1/net/phones", tag = "net", request_body = NewPhone, params(Trial),
    responses(
    (status = 200, description = "It would be let in"),
    (status = 201, body = PhoneSettings),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_phone(
    State(node): State<Node>,
    Options(trial): Options<Trial>,
    Asked(wish): Asked<NewPhone>,
) -> Result<(StatusCode, Json<Option<PhoneSettings>>), Problem> {
    let control = node.control.phones().ok_or_else(|| {
        Problem::unreachable("no phone was let in", "this node does not answer for phones", None::<&str>)
    })?;
    control.add_phone(wish, trial.dry_run).await.map(made)
}

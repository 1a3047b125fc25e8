//! What this machine uses of what others offer.

use axum::Json;
use axum::extract::State;

use super::Node;
use super::extract::{Asked, Options};
use super::net::Trial;
use crate::{ChoiceControl, NetUse, NetUseSetting, Problem};

fn choice_of(node: &Node) -> Result<&dyn ChoiceControl, Problem> {
    node.control.choice().ok_or_else(|| {
        Problem::unreachable("nothing was done", "this node chooses nothing of the network", None::<&str>)
    })
}

/// What this machine uses of the network: an exit, networks behind others
#[utoipa::path(get, path = "/api/v1/net/use", tag = "net", responses(
    (status = 200, body = NetUse),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn net_use(State(node): State<Node>) -> Result<Json<NetUse>, Problem> {
    choice_of(&node)?.net_use().await.map(Json)
}

/// Change what this machine uses of the network
#[utoipa::path(patch, path = "/api/v1/net/use", tag = "net", request_body = NetUseSetting, params(Trial),
    responses(
    (status = 200, body = NetUse),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_net_use(
    State(node): State<Node>,
    Options(Trial { dry_run }): Options<Trial>,
    Asked(setting): Asked<NetUseSetting>,
) -> Result<Json<NetUse>, Problem> {
    choice_of(&node)?.set_net_use(setting, dry_run).await.map(Json)
}

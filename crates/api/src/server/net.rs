//! The realm's network.

#![expect(unused_qualifications, reason = "utoipa's macro writes them")]

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::Node;
use super::extract::{Asked, Named, Options};
use crate::{
    Explanation, NetControl, NetNode, NetNodeSetting, NetPhone, NetRule, NetService, NetSetting, NetStatus,
    NewRule, NewService, Problem, Question,
};

fn net_of(node: &Node) -> Result<&dyn NetControl, Problem> {
    node.control.net().ok_or_else(|| {
        Problem::unreachable("nothing was done", "this node does not answer for the network", None::<&str>)
    })
}

/// Whether it is meant.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Trial {
    /// Only say whether it would be done.
    pub(super) dry_run: bool,
}

/// Who is in the realm's network, and how connected
#[utoipa::path(get, path = "/api/v1/net", tag = "net", responses(
    (status = 200, body = NetStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn net(State(node): State<Node>) -> Result<Json<NetStatus>, Problem> {
    net_of(&node)?.net().await.map(Json)
}

/// Change the network as a whole
#[utoipa::path(patch, path = "/api/v1/net", tag = "net", request_body = NetSetting, params(Trial), responses(
    (status = 200, body = NetStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_net(
    State(node): State<Node>,
    Options(Trial { dry_run }): Options<Trial>,
    Asked(setting): Asked<NetSetting>,
) -> Result<Json<NetStatus>, Problem> {
    net_of(&node)?.set_net(setting, dry_run).await.map(Json)
}

/// Change a node's part in the network
#[utoipa::path(patch, path = "/api/v1/net/nodes/{node}", tag = "net", request_body = NetNodeSetting,
    params(("node" = String, Path, description = "Id, start of an id, or name"), Trial), responses(
    (status = 200, body = NetNode),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_net_node(
    State(node): State<Node>,
    Named(named): Named<String>,
    Options(Trial { dry_run }): Options<Trial>,
    Asked(setting): Asked<NetNodeSetting>,
) -> Result<Json<NetNode>, Problem> {
    net_of(&node)?.set_net_node(&named, setting, dry_run).await.map(Json)
}

/// Whether somebody may reach something, and why
///
/// The same rules as when a packet comes, about any two machines of the realm.
#[utoipa::path(post, path = "/api/v1/net/explanations", tag = "net", request_body = Question, responses(
    (status = 200, body = Explanation),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn explain(
    State(node): State<Node>,
    Asked(question): Asked<Question>,
) -> Result<Json<Explanation>, Problem> {
    net_of(&node)?.explain(question).await.map(Json)
}

/// The services of the network
#[utoipa::path(get, path = "/api/v1/net/services", tag = "net", responses(
    (status = 200, body = [NetService]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn services(State(node): State<Node>) -> Result<Json<Vec<NetService>>, Problem> {
    net_of(&node)?.services().await.map(Json)
}

/// Make a service
#[utoipa::path(post, path = "/api/v1/net/services", tag = "net", request_body = NewService, params(Trial),
    responses(
    (status = 200, description = "It would be made"),
    (status = 201, body = NetService),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_service(
    State(node): State<Node>,
    Options(Trial { dry_run }): Options<Trial>,
    Asked(wish): Asked<NewService>,
) -> Result<(StatusCode, Json<Option<NetService>>), Problem> {
    net_of(&node)?.add_service(wish, dry_run).await.map(made)
}

/// End a service for good
#[utoipa::path(delete, path = "/api/v1/net/services/{service}", tag = "net",
    params(("service" = String, Path, description = "Name, id, or start of an id"), Trial), responses(
    (status = 204, description = "It has ended, or would"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn end_service(
    State(node): State<Node>,
    Named(service): Named<String>,
    Options(Trial { dry_run }): Options<Trial>,
) -> Result<StatusCode, Problem> {
    net_of(&node)?.end_service(&service, dry_run).await.map(|()| StatusCode::NO_CONTENT)
}

/// The rules of who may reach whom
#[utoipa::path(get, path = "/api/v1/net/rules", tag = "net", responses(
    (status = 200, body = [NetRule]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rules(State(node): State<Node>) -> Result<Json<Vec<NetRule>>, Problem> {
    net_of(&node)?.rules().await.map(Json)
}

/// Make a rule
#[utoipa::path(post, path = "/api/v1/net/rules", tag = "net", request_body = NewRule, params(Trial), responses(
    (status = 200, description = "It would be made"),
    (status = 201, body = NetRule),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_rule(
    State(node): State<Node>,
    Options(Trial { dry_run }): Options<Trial>,
    Asked(wish): Asked<NewRule>,
) -> Result<(StatusCode, Json<Option<NetRule>>), Problem> {
    net_of(&node)?.add_rule(wish, dry_run).await.map(made)
}

pub(super) fn made<T>(made: Option<T>) -> (StatusCode, Json<Option<T>>) {
    (if made.is_some() { StatusCode::CREATED } else { StatusCode::OK }, Json(made))
}

/// End a rule for good
#[utoipa::path(delete, path = "/api/v1/net/rules/{rule}", tag = "net",
    params(("rule" = String, Path, description = "Name, id, or start of an id"), Trial), responses(
    (status = 204, description = "It has ended, or would"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn end_rule(
    State(node): State<Node>,
    Named(rule): Named<String>,
    Options(Trial { dry_run }): Options<Trial>,
) -> Result<StatusCode, Problem> {
    net_of(&node)?.end_rule(&rule, dry_run).await.map(|()| StatusCode::NO_CONTENT)
}

/// The phones that gateways let in
#[utoipa::path(get, path = "/api/v1/net/phones", tag = "net", responses(
    (status = 200, body = [NetPhone]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn phones(State(node): State<Node>) -> Result<Json<Vec<NetPhone>>, Problem> {
    net_of(&node)?.phones().await.map(Json)
}

/// Shut a phone out for good
#[utoipa::path(delete, path = "/api/v1/net/phones/{phone}", tag = "net",
    params(("phone" = String, Path, description = "Id, or start of an id"), Trial), responses(
    (status = 204, description = "It is shut out, or would be"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn end_phone(
    State(node): State<Node>,
    Named(phone): Named<String>,
    Options(Trial { dry_run }): Options<Trial>,
) -> Result<StatusCode, Problem> {
    net_of(&node)?.end_phone(&phone, dry_run).await.map(|()| StatusCode::NO_CONTENT)
}

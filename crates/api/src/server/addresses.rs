//! Names that follow the node.

use axum::Json;
use axum::extract::State;

use super::Node;
use super::extract::{Asked, Named, Options};
use super::net::Trial;
use crate::{AddressControl, NewAddress, Problem, PublishedAddress};

fn addresses_of(node: &Node) -> Result<&dyn AddressControl, Problem> {
    node.control.addresses().ok_or_else(|| {
        Problem::unreachable("nothing was done", "this node does not answer for the network", None::<&str>)
    })
}

/// The names that follow this node's public addresses
#[utoipa::path(get, path = "/api/v1/net/addresses", tag = "net", responses(
    (status = 200, body = [PublishedAddress]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn addresses(State(node): State<Node>) -> Result<Json<Vec<PublishedAddress>>, Problem> {
    addresses_of(&node)?.addresses().await.map(Json)
}

/// Make a name follow this node
#[utoipa::path(post, path = "/api/v1/net/addresses", tag = "net", request_body = NewAddress, params(Trial),
    responses(
    (status = 200, body = PublishedAddress),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn publish_address(
    State(node): State<Node>,
    Options(Trial { dry_run }): Options<Trial>,
    Asked(wish): Asked<NewAddress>,
) -> Result<Json<PublishedAddress>, Problem> {
    addresses_of(&node)?.publish_address(wish, dry_run).await.map(Json)
}

/// Take a name back
///
/// The answer is what the name may still say, and why; `null` if nothing.
#[utoipa::path(delete, path = "/api/v1/net/addresses/{name}", tag = "net",
    params(("name" = String, Path, description = "The name"), Trial), responses(
    (status = 200, body = Option<String>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_address(
    State(node): State<Node>,
    Named(name): Named<String>,
    Options(Trial { dry_run }): Options<Trial>,
) -> Result<Json<Option<String>>, Problem> {
    addresses_of(&node)?.remove_address(&name, dry_run).await.map(Json)
}

//! Published services, and who certifies their names.

use axum::Json;
use axum::extract::State;

use super::Node;
use super::extract::{Asked, Named, Options};
use super::net::Trial;
use crate::{
    AuthoritySetting, CertificatesStatus, DoorControl, NetService, Problem, RealmAuthority, ServiceChange,
};

fn door_of(node: &Node) -> Result<&dyn DoorControl, Problem> {
    node.control.door().ok_or_else(|| {
        Problem::unreachable("nothing was done", "this node publishes no services", None::<&str>)
    })
}

/// Change a service
#[utoipa::path(patch, path = "/api/v1/net/services/{service}", tag = "net", request_body = ServiceChange,
    params(("service" = String, Path, description = "Name, id, or start of an id"), Trial), responses(
    (status = 200, body = NetService),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn change_service(
    State(node): State<Node>,
    Named(service): Named<String>,
    Options(Trial { dry_run }): Options<Trial>,
    Asked(change): Asked<ServiceChange>,
) -> Result<Json<NetService>, Problem> {
    door_of(&node)?.change_service(&service, change, dry_run).await.map(Json)
}

/// Who certifies the names of published services
#[utoipa::path(get, path = "/api/v1/net/certificates", tag = "net", responses(
    (status = 200, body = CertificatesStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn certificates(State(node): State<Node>) -> Result<Json<CertificatesStatus>, Problem> {
    door_of(&node)?.certificates().await.map(Json)
}

/// Choose who certifies names outside
#[utoipa::path(patch, path = "/api/v1/net/certificates", tag = "net", request_body = AuthoritySetting, responses(
    (status = 200, body = CertificatesStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_certificates(
    State(node): State<Node>,
    Asked(setting): Asked<AuthoritySetting>,
) -> Result<Json<CertificatesStatus>, Problem> {
    door_of(&node)?.set_certificates(setting).await.map(Json)
}

/// The realm's own authority
///
/// It certifies names of the realm's zone, and nothing else. It is made when it is first asked for.
#[utoipa::path(get, path = "/api/v1/net/authority", tag = "net", responses(
    (status = 200, body = RealmAuthority),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn realm_authority(State(node): State<Node>) -> Result<Json<RealmAuthority>, Problem> {
    door_of(&node)?.realm_authority().await.map(Json)
}

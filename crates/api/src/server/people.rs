//! People.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Node;
use super::extract::{Asked, Named};
use crate::{Erasure, NewName, PeopleControl, PersonErasurePlan, PersonStatus, PersonToErase, Problem};

fn people_of(node: &Node) -> Result<&dyn PeopleControl, Problem> {
    node.control.people().ok_or_else(|| {
        Problem::unreachable("nothing was done", "this node does not answer for people", None::<&str>)
    })
}

/// The members of the realm
#[utoipa::path(get, path = "/api/v1/people", tag = "realm", responses(
    (status = 200, body = Vec<PersonStatus>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn people(State(node): State<Node>) -> Result<Json<Vec<PersonStatus>>, Problem> {
    people_of(&node)?.people().await.map(Json)
}

/// Take somebody into the realm
///
/// They have no machine in it: what they do, they do with access keys.
#[utoipa::path(post, path = "/api/v1/people", tag = "realm", request_body = NewName, responses(
    (status = 201, body = PersonStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_person(
    State(node): State<Node>,
    Asked(name): Asked<NewName>,
) -> Result<(StatusCode, Json<PersonStatus>), Problem> {
    let made = people_of(&node)?.add_person(name).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Give somebody another name
#[utoipa::path(post, path = "/api/v1/people/{person}/rename", tag = "realm", request_body = NewName,
    params(("person" = String, Path, description = "Name, id, or start of an id")), responses(
    (status = 204, description = "Done"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rename_person(
    State(node): State<Node>,
    Named(person): Named<String>,
    Asked(name): Asked<NewName>,
) -> Result<StatusCode, Problem> {
    people_of(&node)?.rename_person(&person, name).await.map(|()| StatusCode::NO_CONTENT)
}

/// Take somebody's rights away
///
/// Their devices decide nothing, their laptops and phones reach nothing, and their access keys are refused, until it is
/// lifted. Servers of theirs go on. On a machine that is an admin's device.
#[utoipa::path(post, path = "/api/v1/people/{person}/suspend", tag = "realm",
    params(("person" = String, Path, description = "Name, id, or start of an id")), responses(
    (status = 204, description = "Done"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn suspend_person(
    State(node): State<Node>,
    Named(person): Named<String>,
) -> Result<StatusCode, Problem> {
    people_of(&node)?.suspend_person(&person).await.map(|()| StatusCode::NO_CONTENT)
}

/// Give somebody who is suspended their rights back
#[utoipa::path(post, path = "/api/v1/people/{person}/resume", tag = "realm",
    params(("person" = String, Path, description = "Name, id, or start of an id")), responses(
    (status = 204, description = "Done"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn resume_person(
    State(node): State<Node>,
    Named(person): Named<String>,
) -> Result<StatusCode, Problem> {
    people_of(&node)?.resume_person(&person).await.map(|()| StatusCode::NO_CONTENT)
}

/// What erasing a person would come to
#[utoipa::path(post, path = "/api/v1/people/{person}/erasure-plans", tag = "realm", request_body = PersonToErase,
    params(("person" = String, Path, description = "Name, id, or start of an id")), responses(
    (status = 200, body = PersonErasurePlan),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn plan_person_erasure(
    State(node): State<Node>,
    Named(person): Named<String>,
    Asked(wish): Asked<PersonToErase>,
) -> Result<Json<PersonErasurePlan>, Problem> {
    people_of(&node)?.plan_person_erasure(&person, wish).await.map(Json)
}

/// Erase a person
///
/// Their membership and access keys end, and every node destroys the keys of the buckets that are theirs alone, and
/// of what they are called. Nothing brings it back. On a machine that is an admin's device.
#[utoipa::path(post, path = "/api/v1/people/{person}/erasures", tag = "realm", request_body = PersonToErase,
    params(("person" = String, Path, description = "Name, id, or start of an id")), responses(
    (status = 200, body = Erasure),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn erase_person(
    State(node): State<Node>,
    Named(person): Named<String>,
    Asked(wish): Asked<PersonToErase>,
) -> Result<Json<Erasure>, Problem> {
    people_of(&node)?.erase_person(&person, wish).await.map(Json)
}

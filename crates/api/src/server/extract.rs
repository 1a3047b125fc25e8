//! Reads requests; what cannot be read is a [`Problem`] like any other.

use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::Problem;

/// A JSON body.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(error) => Err(unreadable("the request's body", error.body_text())),
        }
    }
}

/// Parameters behind the question mark.
pub(super) struct Options<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Options<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => Err(unreadable("the request's parameters", error.body_text())),
        }
    }
}

/// Names in the path.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(error) => Err(unreadable("the request's path", error.body_text())),
        }
    }
}

fn unreadable(what: &str, why: String) -> Problem {
    Problem::invalid(
        format!("cannot read {what}"),
        why,
        Some("freehold openapi    (prints what is expected)"),
    )
}

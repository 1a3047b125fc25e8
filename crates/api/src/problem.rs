//! The one form in which failure reaches a person: what was being done, why it did not work, and
//! what to type next. Terminal, pages and JSON render the same value.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Named by remedy: what kind of thing has to happen before it can work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The state of things does not allow it.
    Refused,
    /// There is no such thing.
    NotFound,
    /// Somebody else was first, or it is already there.
    Conflict,
    /// What was asked makes no sense.
    Invalid,
    /// Who should answer cannot be reached.
    Unreachable,
    /// What is stored is not what was written.
    Corrupt,
    /// Our fault.
    Bug,
}

impl ProblemKind {
    /// The HTTP status that carries it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Refused => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Corrupt | Self::Bug => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The exit code of a command that ends with it: 1 refused by the state of things, 2 wrong
    /// usage, 3 our fault, 4 not reachable.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Refused | Self::NotFound | Self::Conflict | Self::Corrupt => 1,
            Self::Invalid => 2,
            Self::Bug => 3,
            Self::Unreachable => 4,
        }
    }

    /// The kind that an HTTP status stands for when there is no body to read it from.
    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => Self::Refused,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Self::Conflict,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                Self::Unreachable
            }
            status if status.is_client_error() => Self::Invalid,
            _ => Self::Bug,
        }
    }
}

/// A failure as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// By remedy.
    pub kind: ProblemKind,
    /// What could not be done.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What to type or do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(what: impl Into<String>, why: impl Into<String>, next: Option<impl Into<String>>) -> Self {
            Self::new(ProblemKind::$kind, what, why, next)
        }
    )*};
}

impl Problem {
    /// A problem of a kind known only at run time.
    pub fn new(
        kind: ProblemKind,
        what: impl Into<String>,
        why: impl Into<String>,
        next: Option<impl Into<String>>,
    ) -> Self {
        Self { kind, what: what.into(), why: why.into(), next: next.map(Into::into) }
    }

    constructors! {
        /// The state of things does not allow it.
        refused => Refused;
        /// There is no such thing.
        not_found => NotFound;
        /// Somebody else was first, or it is already there.
        conflict => Conflict;
        /// What was asked makes no sense.
        invalid => Invalid;
        /// Who should answer cannot be reached.
        unreachable => Unreachable;
        /// What is stored is not what was written.
        corrupt => Corrupt;
        /// Our fault.
        bug => Bug;
    }

    /// What is known when an answer has a status only.
    pub(crate) fn from_status(status: StatusCode) -> Self {
        let why = status.canonical_reason().unwrap_or("no reason was given");
        Self::new(ProblemKind::of(status), "the node answered with an error", why, None::<String>)
    }

    /// As an HTTP answer with another status than its kind's own.
    pub(crate) fn with_status(&self, status: StatusCode) -> Response {
        let body = serde_json::to_vec(self).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.with_status(self.kind.status())
    }
}

//! Backends.

use axum::body::Body;
use http::Method;

use super::{Client, read_json, request, segment};
use crate::{Attached, BackendStatus, Detach, NewBackend, Probed, Problem};

impl Client {
    /// The node's backends.
    pub async fn backends(&self) -> Result<Vec<BackendStatus>, Problem> {
        self.get("/backends").await
    }

    /// Attaches a store as a backend, or only tries it out.
    pub async fn attach_backend(&self, wish: &NewBackend, dry_run: bool) -> Result<Attached, Problem> {
        self.send(Method::POST, &format!("/backends?dry_run={dry_run}"), wish).await
    }

    /// Tries the store of a backend out again.
    pub async fn probe_backend(&self, name: &str) -> Result<Probed, Problem> {
        let asked = request(Method::POST, &format!("/backends/{}/probe", segment(name)), Body::empty())?;
        read_json(self.ask(asked).await?).await
    }

    /// Ends a backend, or only says whether it would.
    pub async fn detach_backend(&self, name: &str, how: Detach) -> Result<(), Problem> {
        let Detach { force, dry_run } = how;
        let path = format!("/backends/{}?force={force}&dry_run={dry_run}", segment(name));
        self.done(Method::DELETE, &path).await
    }
}

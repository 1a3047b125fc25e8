//! Backends.

use axum::body::Body;
use http::Method;

use super::{Client, json, read_json, request, segment};
use crate::{Attached, BackendStatus, Detach, Detached, NewBackend, PackLine, Probed, Problem};

impl Client {
    /// The node's backends.
    pub async fn backends(&self) -> Result<Vec<BackendStatus>, Problem> {
        self.get("/backends").await
    }

    /// Attaches a store as a backend, or only tries it out.
    pub async fn attach_backend(&self, wish: &NewBackend, dry_run: bool) -> Result<Attached, Problem> {
        let asked = json(Method::POST, &format!("/backends?dry_run={dry_run}"), wish)?;
        read_json(self.ask_patiently(asked).await?).await
    }

    /// Tries the store of a backend out again.
    pub async fn probe_backend(&self, name: &str) -> Result<Probed, Problem> {
        let asked = request(Method::POST, &format!("/backends/{}/probe", segment(name)), Body::empty())?;
        read_json(self.ask_patiently(asked).await?).await
    }

    /// The list by which anybody can check its packs without a key.
    pub async fn backend_packs(&self, name: &str) -> Result<Vec<PackLine>, Problem> {
        self.get(&format!("/backends/{}/packs", segment(name))).await
    }

    /// Ends a backend, or only says whether it would.
    pub async fn detach_backend(&self, name: &str, how: Detach) -> Result<Detached, Problem> {
        let Detach { force, dry_run } = how;
        let path = format!("/backends/{}?force={force}&dry_run={dry_run}", segment(name));
        read_json(self.ask_patiently(request(Method::DELETE, &path, Body::empty())?).await?).await
    }
}

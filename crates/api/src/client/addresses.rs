//! Names that follow a node, asked of it.

use axum::body::Body;
use http::Method;

use super::{Client, read_json, request, segment};
use crate::{NewAddress, Problem, PublishedAddress};

impl Client {
    /// The names that follow the node's public addresses.
    pub async fn addresses(&self) -> Result<Vec<PublishedAddress>, Problem> {
        self.get("/net/addresses").await
    }

    /// Makes a name follow the node, or only says what would be told.
    pub async fn publish_address(
        &self,
        wish: &NewAddress,
        dry_run: bool,
    ) -> Result<PublishedAddress, Problem> {
        self.send(Method::POST, &format!("/net/addresses?dry_run={dry_run}"), wish).await
    }

    /// Takes a name back, or only says whether it would; gives what it may still say, and why.
    pub async fn remove_address(&self, name: &str, dry_run: bool) -> Result<Option<String>, Problem> {
        let path = format!("/net/addresses/{}?dry_run={dry_run}", segment(name));
        read_json(self.ask(request(Method::DELETE, &path, Body::empty())?).await?).await
    }
}

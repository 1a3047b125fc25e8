//! Grants, asked of a node.

use axum::body::Body;
use http::Method;

use super::{Client, json, read_json, request, segment};
use crate::{GrantOffered, GrantStatus, GrantToAccept, NewGrant, Problem, RealmCard};

impl Client {
    /// What another realm needs to lend this one something.
    pub async fn realm_card(&self) -> Result<RealmCard, Problem> {
        self.get("/grants/card").await
    }

    /// What is lent and borrowed.
    pub async fn grants(&self) -> Result<Vec<GrantStatus>, Problem> {
        self.get("/grants").await
    }

    /// Lends something, or only says whether it would.
    pub async fn offer_grant(&self, wish: &NewGrant, dry_run: bool) -> Result<Option<GrantOffered>, Problem> {
        let asked = json(Method::POST, &format!("/grants?dry_run={dry_run}"), wish)?;
        read_json(self.ask(asked).await?).await
    }

    /// Takes up an offer, or only reads it.
    pub async fn accept_grant(&self, wish: &GrantToAccept, dry_run: bool) -> Result<GrantStatus, Problem> {
        self.send(Method::POST, &format!("/grants/accepted?dry_run={dry_run}"), wish).await
    }

    /// Ends a grant for good, or only says whether it would.
    pub async fn end_grant(&self, grant: &str, dry_run: bool) -> Result<(), Problem> {
        let path = format!("/grants/{}?dry_run={dry_run}", segment(grant));
        self.ask(request(Method::DELETE, &path, Body::empty())?).await.map(drop)
    }
}

//! Pools, asked of a node.

use axum::body::Body;
use http::Method;

use super::{Client, read_json, request, segment};
use crate::{NewPool, PoolChange, PoolHanded, PoolPapers, PoolStatus, PoolToJoin, PoolToSign, Problem};

impl Client {
    /// How the pools stand of which there are papers here.
    pub async fn pools(&self) -> Result<Vec<PoolStatus>, Problem> {
        self.get("/pools").await
    }

    /// Founds a pool, or only says how it would stand.
    pub async fn new_pool(&self, wish: &NewPool, dry_run: bool) -> Result<PoolHanded, Problem> {
        self.send(Method::POST, &format!("/pools?dry_run={dry_run}"), wish).await
    }

    /// Says what this realm would give to a pool, or only reads it.
    pub async fn join_pool(&self, wish: &PoolToJoin, dry_run: bool) -> Result<PoolHanded, Problem> {
        self.send(Method::POST, &format!("/pools/joined?dry_run={dry_run}"), wish).await
    }

    /// Takes in what others have.
    pub async fn take_pool_papers(&self, papers: &PoolPapers) -> Result<PoolHanded, Problem> {
        self.send(Method::POST, "/pools/papers", papers).await
    }

    /// All papers of a pool.
    pub async fn pool_papers(&self, pool: &str) -> Result<PoolHanded, Problem> {
        self.get(&format!("/pools/{}/papers", segment(pool))).await
    }

    /// Signs what waits for this realm, or only says what that is.
    pub async fn sign_pool(&self, wish: &PoolToSign, dry_run: bool) -> Result<PoolHanded, Problem> {
        self.send(Method::POST, &format!("/pools/signed?dry_run={dry_run}"), wish).await
    }

    /// Proposes a change and signs it, or only says what it would be.
    pub async fn change_pool(
        &self,
        pool: &str,
        change: &PoolChange,
        dry_run: bool,
    ) -> Result<PoolHanded, Problem> {
        let path = format!("/pools/{}?dry_run={dry_run}", segment(pool));
        self.send(Method::PATCH, &path, change).await
    }

    /// Says that this realm leaves, or only what that would be.
    pub async fn leave_pool(&self, pool: &str, dry_run: bool) -> Result<Option<PoolHanded>, Problem> {
        let path = format!("/pools/{}?dry_run={dry_run}", segment(pool));
        read_json(self.ask(request(Method::DELETE, &path, Body::empty())?).await?).await
    }
}

//! Backends, as the API asks for them.

use async_trait::async_trait;
use freehold_api::{
    Attached, BackendControl, BackendStatus, Detach, Detached, NewBackend, PackLine, Probed, Problem,
};

use super::Answers;
use crate::hosting;

#[async_trait]
impl BackendControl for Answers {
    async fn backends(&self) -> Result<Vec<BackendStatus>, Problem> {
        Ok(self.0.backends.status(&self.0))
    }

    async fn attach(&self, wish: NewBackend, dry_run: bool) -> Result<Attached, Problem> {
        self.0.to_the_end(|shared| async move { hosting::attach(&shared, &wish, dry_run).await }).await
    }

    async fn probe(&self, name: &str) -> Result<Probed, Problem> {
        hosting::probe(&self.0, name).await
    }

    async fn packs(&self, name: &str) -> Result<Vec<PackLine>, Problem> {
        hosting::packs(&self.0, name).await
    }

    async fn detach(&self, name: &str, how: Detach) -> Result<Detached, Problem> {
        let name = name.to_owned();
        self.0.to_the_end(|shared| async move { hosting::detach(&shared, &name, how).await }).await
    }
}

//! The onion door, from the API to where it is kept.

use std::sync::Arc;

use async_trait::async_trait;
use freehold_api::{OnionClient, OnionControl, OnionSetting, OnionStatus, Problem};

use super::Answers;
use crate::shared::Shared;

#[async_trait]
impl OnionControl for Answers {
    async fn onion(&self) -> Result<OnionStatus, Problem> {
        Ok(self.0.onion.status())
    }

    async fn set_onion(&self, setting: OnionSetting) -> Result<OnionStatus, Problem> {
        let OnionSetting { on, ssh_port } = setting;
        let set = move |shared: Arc<Shared>| async move { shared.onion.set(on, ssh_port).await };
        self.0.to_the_end(set).await?;
        self.onion().await
    }

    async fn let_in_by_onion(&self, client: OnionClient) -> Result<OnionStatus, Problem> {
        let let_in = move |shared: Arc<Shared>| async move { shared.onion.let_in(client).await };
        self.0.to_the_end(let_in).await?;
        self.onion().await
    }

    async fn remove_from_onion(&self, name: &str) -> Result<OnionStatus, Problem> {
        let name = name.to_owned();
        let remove = move |shared: Arc<Shared>| async move { shared.onion.remove(&name).await };
        self.0.to_the_end(remove).await?;
        self.onion().await
    }
}

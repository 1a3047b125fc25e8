//! Forwarded ports of this machine, from the API to where they are kept.

use async_trait::async_trait;
use freehold_api::{ForwardControl, NetForward, NewForward, Problem};

use super::Answers;
use crate::net::outlets;

#[async_trait]
impl ForwardControl for Answers {
    async fn forwards(&self) -> Result<Vec<NetForward>, Problem> {
        Ok(self.0.outlets.list())
    }

    async fn add_forward(&self, wish: NewForward) -> Result<NetForward, Problem> {
        let forward = outlets::typed(&wish.listen, &wish.to, wish.others)?;
        let add = move |shared: std::sync::Arc<crate::shared::Shared>| async move {
            shared.outlets.add(forward).await
        };
        self.0.to_the_end(add).await
    }

    async fn remove_forward(&self, listen: &str) -> Result<(), Problem> {
        let at = outlets::at(listen).ok_or_else(|| {
            let why = format!("{listen:?} is no address with a port");
            Problem::invalid("nothing was removed", why, Some("freehold net forward list"))
        })?;
        let remove = move |shared: std::sync::Arc<crate::shared::Shared>| async move {
            shared.outlets.remove(at).await
        };
        self.0.to_the_end(remove).await
    }
}

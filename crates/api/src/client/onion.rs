//! The onion door, asked of a node.

use axum::body::Body;
use http::Method;

use super::{Client, read_json, request, segment};
use crate::{OnionClient, OnionSetting, OnionStatus, Problem};

impl Client {
    /// How the onion door stands.
    pub async fn onion(&self) -> Result<OnionStatus, Problem> {
        self.get("/net/onion").await
    }

    /// Opens or shuts it.
    pub async fn set_onion(&self, setting: &OnionSetting) -> Result<OnionStatus, Problem> {
        self.send(Method::PATCH, "/net/onion", setting).await
    }

    /// Lets somebody in by it.
    pub async fn let_in_by_onion(&self, client: &OnionClient) -> Result<OnionStatus, Problem> {
        self.send(Method::POST, "/net/onion/clients", client).await
    }

    /// Lets somebody in no longer.
    pub async fn remove_from_onion(&self, name: &str) -> Result<OnionStatus, Problem> {
        let path = format!("/net/onion/clients/{}", segment(name));
        read_json(self.ask(request(Method::DELETE, &path, Body::empty())?).await?).await
    }
}

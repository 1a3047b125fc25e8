//! Forwarded ports, asked of a node.

use axum::body::Body;
use http::Method;

use super::{Client, request, segment};
use crate::{NetForward, NewForward, Problem};

impl Client {
    /// The forwarded ports.
    pub async fn forwards(&self) -> Result<Vec<NetForward>, Problem> {
        self.get("/net/forwards").await
    }

    /// Forwards another port.
    pub async fn add_forward(&self, wish: &NewForward) -> Result<NetForward, Problem> {
        self.send(Method::POST, "/net/forwards", wish).await
    }

    /// Forwards one no longer.
    pub async fn remove_forward(&self, listen: &str) -> Result<(), Problem> {
        let path = format!("/net/forwards/{}", segment(listen));
        self.ask(request(Method::DELETE, &path, Body::empty())?).await.map(drop)
    }
}

//! The realm's network, asked of a node.

use axum::body::Body;
use http::Method;

use super::{Client, json, read_json, request, segment};
use crate::{
    Explanation, NetNode, NetNodeSetting, NetPhone, NetRule, NetService, NetSetting, NetStatus, NewRule,
    NewService, Problem, Question,
};

impl Client {
    /// Who is in the realm's network, and how connected.
    pub async fn net(&self) -> Result<NetStatus, Problem> {
        self.get("/net").await
    }

    /// Changes the network as a whole, or only says whether it would.
    pub async fn set_net(&self, setting: &NetSetting, dry_run: bool) -> Result<NetStatus, Problem> {
        self.send(Method::PATCH, &format!("/net?dry_run={dry_run}"), setting).await
    }

    /// Changes a node's part in the network, or only says whether it would.
    pub async fn set_net_node(
        &self,
        node: &str,
        setting: &NetNodeSetting,
        dry_run: bool,
    ) -> Result<NetNode, Problem> {
        let path = format!("/net/nodes/{}?dry_run={dry_run}", segment(node));
        self.send(Method::PATCH, &path, setting).await
    }

    /// Whether somebody may reach something, and why.
    pub async fn explain(&self, question: &Question) -> Result<Explanation, Problem> {
        self.send(Method::POST, "/net/explanations", question).await
    }

    /// The services of the network.
    pub async fn services(&self) -> Result<Vec<NetService>, Problem> {
        self.get("/net/services").await
    }

    /// Makes a service, or only says whether it would be made.
    pub async fn add_service(&self, wish: &NewService, dry_run: bool) -> Result<Option<NetService>, Problem> {
        let asked = json(Method::POST, &format!("/net/services?dry_run={dry_run}"), wish)?;
        read_json(self.ask(asked).await?).await
    }

    /// Ends a service for good, or only says whether it would.
    pub async fn end_service(&self, service: &str, dry_run: bool) -> Result<(), Problem> {
        self.end_in_net("services", service, dry_run).await
    }

    /// The rules of who may reach whom.
    pub async fn rules(&self) -> Result<Vec<NetRule>, Problem> {
        self.get("/net/rules").await
    }

    /// Makes a rule, or only says whether it would be made.
    pub async fn add_rule(&self, wish: &NewRule, dry_run: bool) -> Result<Option<NetRule>, Problem> {
        let asked = json(Method::POST, &format!("/net/rules?dry_run={dry_run}"), wish)?;
        read_json(self.ask(asked).await?).await
    }

    /// Ends a rule for good, or only says whether it would.
    pub async fn end_rule(&self, rule: &str, dry_run: bool) -> Result<(), Problem> {
        self.end_in_net("rules", rule, dry_run).await
    }

    /// The phones that gateways let in.
    pub async fn phones(&self) -> Result<Vec<NetPhone>, Problem> {
        self.get("/net/phones").await
    }

    /// Shuts a phone out for good, or only says whether it would.
    pub async fn end_phone(&self, phone: &str, dry_run: bool) -> Result<(), Problem> {
        self.end_in_net("phones", phone, dry_run).await
    }

    async fn end_in_net(&self, kind: &str, named: &str, dry_run: bool) -> Result<(), Problem> {
        let path = format!("/net/{kind}/{}?dry_run={dry_run}", segment(named));
        self.ask(request(Method::DELETE, &path, Body::empty())?).await.map(drop)
    }
}

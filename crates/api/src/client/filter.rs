//! The filter of names, asked of a node.

use http::Method;

use super::Client;
use crate::{FilterChange, FilterExplanation, FilterQuestion, FilterStats, FilterStatus, Problem};

impl Client {
    /// What the realm says of names, and how that is on the node.
    pub async fn filter(&self) -> Result<FilterStatus, Problem> {
        self.get("/net/filter").await
    }

    /// Changes it, or only says whether it would.
    pub async fn change_filter(&self, change: &FilterChange, dry_run: bool) -> Result<FilterStatus, Problem> {
        self.send(Method::PATCH, &format!("/net/filter?dry_run={dry_run}"), change).await
    }

    /// Looks for newer lists now.
    pub async fn renew_lists(&self) -> Result<FilterStatus, Problem> {
        self.send(Method::POST, "/net/filter/renewals", &()).await
    }

    /// What becomes of a name for somebody, and why.
    pub async fn explain_name(&self, question: &FilterQuestion) -> Result<FilterExplanation, Problem> {
        self.send(Method::POST, "/net/filter/explanations", question).await
    }

    /// How much was asked of the node.
    pub async fn filter_stats(&self) -> Result<FilterStats, Problem> {
        self.get("/net/filter/statistics").await
    }
}

//! Phones, asked of a node.

use http::Method;

use super::{Client, json, read_json};
use crate::{NewPhone, PhoneSettings, Problem};

impl Client {
    /// Lets a phone in, or only says whether it would be.
    pub async fn add_phone(&self, wish: &NewPhone, dry_run: bool) -> Result<Option<PhoneSettings>, Problem> {
        let asked = json(Method::POST, &format!("/net/phones?dry_run={dry_run}"), wish)?;
        read_json(self.ask(asked).await?).await
    }
}

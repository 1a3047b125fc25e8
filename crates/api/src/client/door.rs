//! Published services, asked of a node.

use http::Method;

use super::{Client, segment};
use crate::{AuthoritySetting, CertificatesStatus, NetService, Problem, RealmAuthority, ServiceChange};

impl Client {
    /// Changes a service, or only says whether it would.
    pub async fn change_service(
        &self,
        service: &str,
        change: &ServiceChange,
        dry_run: bool,
    ) -> Result<NetService, Problem> {
        let path = format!("/net/services/{}?dry_run={dry_run}", segment(service));
        self.send(Method::PATCH, &path, change).await
    }

    /// Who certifies the names of published services.
    pub async fn certificates(&self) -> Result<CertificatesStatus, Problem> {
        self.get("/net/certificates").await
    }

    /// Chooses who certifies names outside.
    pub async fn set_certificates(&self, setting: &AuthoritySetting) -> Result<CertificatesStatus, Problem> {
        self.send(Method::PATCH, "/net/certificates", setting).await
    }

    /// The realm's own authority.
    pub async fn realm_authority(&self) -> Result<RealmAuthority, Problem> {
        self.get("/net/authority").await
    }
}

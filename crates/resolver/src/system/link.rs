//! systemd-resolved, told by its own program. What it is told of a link it forgets with the link, so a
//! crash leaves nothing behind once the tunnel is gone.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{Before, SystemError, Wish, file};

const WITHIN: Duration = Duration::from_secs(5);
/// Where it says whom it asks itself.
const ITS_SERVERS: &str = "/run/systemd/resolve/resolv.conf";

/// Whether it is there and answers.
pub(super) async fn is_running() -> bool {
    Path::new("/run/systemd/resolve").is_dir() && resolvectl(&["dns"]).await.is_ok()
}

/// Who it asks: the servers of other links, if we were not told of any.
pub(super) fn before() -> Before {
    std::fs::read_to_string(ITS_SERVERS).map(|text| file::parse(&text)).unwrap_or_default()
}

/// It knows of us.
#[derive(Debug)]
pub(super) struct Told(String);

impl Told {
    pub(super) async fn tell(link: &str, wish: &Wish) -> Result<Self, SystemError> {
        let servers = wish.servers.iter().map(|server| match server.port() {
            53 => server.ip().to_string(),
            _ => server.to_string(),
        });
        let servers: Vec<String> = servers.collect();
        let routed = wish.domains.iter().map(|domain| format!("~{domain}"));
        let all = wish.everything.then(|| "~.".to_owned());
        let domains: Vec<String> =
            routed.chain(wish.search.iter().map(ToString::to_string)).chain(all).collect();
        let told = Self(link.to_owned());
        let said = async {
            told.say("dns", &servers).await?;
            // An empty argument takes away what was said.
            let none = [String::new()];
            told.say("domain", if domains.is_empty() { &none } else { &domains }).await?;
            told.say("default-route", &[if wish.everything { "yes" } else { "no" }.to_owned()]).await?;
            // We verify ourselves, and names of a realm have no signatures.
            told.say("dnssec", &["no".to_owned()]).await?;
            told.say("dnsovertls", &["no".to_owned()]).await?;
            // Nobody shouts into a network of machines that know each other's names.
            told.say("llmnr", &["no".to_owned()]).await?;
            told.say("mdns", &["no".to_owned()]).await
        };
        match said.await {
            Ok(()) => Ok(told),
            Err(error) => {
                // The first error is the one to report.
                drop(told.take_back().await);
                Err(error)
            }
        }
    }

    async fn say(&self, what: &str, values: &[String]) -> Result<(), SystemError> {
        let mut arguments = vec![what, self.0.as_str()];
        arguments.extend(values.iter().map(String::as_str));
        resolvectl(&arguments).await
    }

    pub(super) async fn take_back(self) -> Result<(), SystemError> {
        resolvectl(&["revert", &self.0]).await
    }
}

async fn resolvectl(arguments: &[&str]) -> Result<(), SystemError> {
    let mut command = Command::new("resolvectl");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    let ended = tokio::time::timeout(WITHIN, command.output()).await;
    let ended = ended.map_err(|_| SystemError::Resolved("it does not answer".to_owned()))?;
    let ended = ended.map_err(|error| SystemError::Resolved(format!("resolvectl: {error}")))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    if said.contains("Access denied") || said.contains("authentication required") {
        return Err(SystemError::Denied(said));
    }
    Err(SystemError::Resolved(if said.is_empty() { ended.status.to_string() } else { said }))
}

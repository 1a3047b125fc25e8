//! A program that knows whoever keeps a zone.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use crate::{Family, Places, Records, RecordsError};

/// A program that is run without this process's environment, with one of
///
/// - `add NAME TEXT` and `remove NAME TEXT`: one text record, beside others that stay;
/// - `replace NAME A|AAAA ADDRESS`: that address alone, of its type;
/// - `clear NAME A|AAAA`: no address of that type.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The program.
    pub program: PathBuf,
    /// It is ended after this time.
    pub within: Duration,
}

impl Hook {
    async fn run(&self, arguments: &[&str]) -> Result<(), RecordsError> {
        let run = tokio::process::Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ran = timeout(self.within, run).await.map_err(|_| RecordsError::Late(self.within))?;
        let ran = ran.map_err(|source| RecordsError::Run { program: self.program.clone(), source })?;
        if ran.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&ran.stderr);
        let said = said
            .lines()
            .last()
            .map_or_else(|| ran.status.to_string(), |line| line.chars().take(200).collect());
        Err(RecordsError::Program { program: self.program.clone(), said })
    }
}

#[async_trait]
impl Records for Hook {
    async fn add(&self, name: &str, text: &str) -> Result<(), RecordsError> {
        self.run(&["add", name, text]).await
    }

    async fn remove(&self, name: &str, text: &str) -> Result<(), RecordsError> {
        self.run(&["remove", name, text]).await
    }
}

#[async_trait]
impl Places for Hook {
    async fn replace(&self, name: &str, address: IpAddr) -> Result<(), RecordsError> {
        self.run(&["replace", name, Family::of(address).record(), &address.to_string()]).await
    }

    async fn clear(&self, name: &str, family: Family) -> Result<(), RecordsError> {
        self.run(&["clear", name, family.record()]).await
    }
}

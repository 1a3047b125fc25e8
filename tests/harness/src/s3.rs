//! Real S3 clients, pointed at a node.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::binary::{python, set_clock};
use crate::host::{Answer, Host};

/// An endpoint and what opens it.
#[derive(Debug, Clone)]
pub struct S3<'a> {
    host: &'a Host,
    /// Its address.
    pub endpoint: String,
    key: String,
    secret: String,
    clock: Option<String>,
}

impl<'a> S3<'a> {
    pub(crate) fn new(
        host: &'a Host,
        endpoint: &str,
        credentials: &Path,
        clock: Option<&str>,
    ) -> Result<Self> {
        let text = std::fs::read_to_string(credentials)
            .with_context(|| format!("read {}", credentials.display()))?;
        let field = |name: &str| -> Result<String> {
            let line = text.lines().find(|line| line.trim_start().starts_with(name));
            let value = line.and_then(|line| line.split_once('=')).map(|(_, value)| value.trim().to_owned());
            value.with_context(|| format!("{} has no {name}", credentials.display()))
        };
        Ok(Self {
            host,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            key: field("aws_access_key_id")?,
            secret: field("aws_secret_access_key")?,
            clock: clock.map(str::to_owned),
        })
    }

    /// The same clients and keys at another endpoint.
    #[must_use]
    pub fn at(&self, endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), ..self.clone() }
    }

    /// The same clients at the same endpoint with another key.
    #[must_use]
    pub fn with(&self, key: &str, secret: &str) -> Self {
        Self { key: key.to_owned(), secret: secret.to_owned(), ..self.clone() }
    }

    /// A client program with the endpoint and the keys in its environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = self.host.command(program);
        command
            .env("AWS_ACCESS_KEY_ID", &self.key)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret)
            .env("AWS_DEFAULT_REGION", "freehold")
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("RCLONE_CONFIG", "/dev/null")
            .env("RCLONE_CONFIG_FH_TYPE", "s3")
            .env("RCLONE_CONFIG_FH_PROVIDER", "Other")
            .env("RCLONE_CONFIG_FH_ENV_AUTH", "true")
            .env("RCLONE_CONFIG_FH_ENDPOINT", &self.endpoint)
            .env("RCLONE_RETRIES", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Runs the AWS CLI, by the clock of the node that it asks. (Programs that are linked statically know no other clock.)
    pub fn aws(&self, arguments: &[&str]) -> Result<Answer> {
        let mut command = self.command(&python("aws")?);
        if let Some(offset) = &self.clock {
            set_clock(&mut command, offset)?;
        }
        Host::answer(command.args(arguments))
    }

    /// Runs rclone; the remote is called `fh`.
    pub fn rclone(&self, arguments: &[&str]) -> Result<Answer> {
        Host::answer(self.command(&python("rclone")?).args(arguments))
    }

    /// Runs s3cmd.
    pub fn s3cmd(&self, arguments: &[&str]) -> Result<Answer> {
        let at = self.endpoint.trim_start_matches("http://");
        let (host, bucket) = (format!("--host={at}"), format!("--host-bucket={at}"));
        let fixed = ["--config=/dev/null", "--no-ssl", "--region=freehold", "--no-progress", &host, &bucket];
        Host::answer(self.command(&python("s3cmd")?).args(fixed).args(arguments))
    }

    /// Runs restic on a repository that begins with its bucket.
    pub fn restic(&self, repository: &str, arguments: &[&str]) -> Result<Answer> {
        let at = format!("s3:{}/{repository}", self.endpoint);
        let mut command = self.command(Path::new("restic"));
        command.env("RESTIC_PASSWORD", "a password that only tests use").args(["--no-cache", "-r", &at]);
        Host::answer(command.args(arguments))
    }

    /// Runs a Python program that has boto3.
    pub fn boto3(&self, program: &str, arguments: &[&str]) -> Result<Answer> {
        Host::answer(self.command(&python("python")?).args(["-c", program]).args(arguments))
    }
}

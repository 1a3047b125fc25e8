//! A database of a node, over its control socket.

use std::path::Path;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use freehold_api::kv::{KvScan, NewKvDatabase};
use freehold_api::{Client, ProblemKind};
use freehold_kv_client::{Database, PutOptions};

use super::Store;

pub(super) struct Ours(Database);

impl Ours {
    pub(super) async fn open(socket: &Path) -> Result<Self> {
        let client = Client::over_socket(socket);
        let wish = NewKvDatabase { name: "bench".into(), copies: 1, confirm: 1 };
        freehold_kv_client::create(&client, &wish).await?;
        Ok(Self(Database::of(&client, "bench")))
    }
}

#[async_trait]
impl Store for Ours {
    fn name(&self) -> &'static str {
        "sealed"
    }

    async fn read(&self, key: &str) -> Result<()> {
        self.0.get(key).await?.context("the key is there").map(drop)
    }

    async fn write(&self, key: &str, value: Vec<u8>) -> Result<()> {
        Ok(self.0.put(key, value).await.map(drop)?)
    }

    async fn scan(&self, from: &str, count: u64) -> Result<()> {
        let limit = Some(u32::try_from(count)?);
        let scan = KvScan { from: Some(from.to_owned()), limit, ..KvScan::default() };
        Ok(self.0.page(&scan).await.map(drop)?)
    }

    async fn modify(&self, key: &str, value: Vec<u8>) -> Result<()> {
        loop {
            let there = self.0.get(key).await?.context("the key is there")?;
            let options = PutOptions { if_version: Some(there.version), lasting_ms: None };
            match self.0.put_with(key, value.clone(), options).await {
                Ok(_) => return Ok(()),
                Err(problem) if problem.kind == ProblemKind::Conflict => {}
                Err(problem) => return Err(problem.into()),
            }
        }
    }
}

//! Databases, asked of a node.

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderName, Method, Response};
use tokio::io::AsyncBufReadExt as _;
use tokio_util::io::StreamReader;

use super::{Client, JSON_MAX, broken, checked, collect, read_json, request, segment, unreadable};
use crate::Problem;
use crate::control::pieces;
use crate::kv::{
    KvAnswer, KvAt, KvClone, KvDatabase, KvDone, KvEvents, KvHandOver, KvIndex, KvNews, KvOperations, KvPage,
    KvQuery, KvScan, KvSnapshot, KvTakeOver, KvTransaction, KvValue, KvWrite, NewKvDatabase, NewKvSnapshot,
    NewKvTransaction,
};
use crate::object::encode_path;
use crate::server::{HEARD, PROBLEM, STALE, VERSION};

impl Client {
    /// The realm's databases.
    pub async fn kv_databases(&self) -> Result<Vec<KvDatabase>, Problem> {
        self.get("/kv").await
    }

    /// Makes a database.
    pub async fn kv_create(&self, wish: &NewKvDatabase) -> Result<KvDatabase, Problem> {
        self.send(Method::POST, "/kv", wish).await
    }

    /// One database, with its collections.
    pub async fn kv_database(&self, name: &str) -> Result<KvDatabase, Problem> {
        self.get(&format!("/kv/{}", segment(name))).await
    }

    /// Deletes a database with all that is in it.
    pub async fn kv_delete_database(&self, name: &str) -> Result<(), Problem> {
        self.done(Method::DELETE, &format!("/kv/{}", segment(name))).await
    }

    /// Makes a database from another one.
    pub async fn kv_clone(&self, name: &str, wish: &KvClone) -> Result<KvDatabase, Problem> {
        self.send(Method::POST, &format!("/kv/{}/clone", segment(name)), wish).await
    }

    /// Has another node write a database.
    pub async fn kv_hand_over(&self, name: &str, wish: &KvHandOver) -> Result<KvDatabase, Problem> {
        self.send(Method::POST, &format!("/kv/{}/handover", segment(name)), wish).await
    }

    /// Has this node write a database.
    pub async fn kv_take_over(&self, name: &str, wish: &KvTakeOver) -> Result<KvDatabase, Problem> {
        self.send(Method::POST, &format!("/kv/{}/takeover", segment(name)), wish).await
    }

    /// Holds what is there now for a while.
    pub async fn kv_snapshot(&self, name: &str, wish: &NewKvSnapshot) -> Result<KvSnapshot, Problem> {
        self.send(Method::POST, &format!("/kv/{}/snapshots", segment(name)), wish).await
    }

    /// The snapshots that have a name.
    pub async fn kv_snapshots(&self, name: &str) -> Result<Vec<KvSnapshot>, Problem> {
        self.get(&format!("/kv/{}/snapshots", segment(name))).await
    }

    /// Begins a transaction.
    pub async fn kv_begin(&self, name: &str, wish: &NewKvTransaction) -> Result<KvTransaction, Problem> {
        self.send(Method::POST, &format!("/kv/{}/transactions", segment(name)), wish).await
    }

    /// Adds to what a transaction is to write.
    pub async fn kv_add(&self, name: &str, transaction: &str, wish: &KvOperations) -> Result<(), Problem> {
        let path = format!("{}/operations", transaction_path(name, transaction));
        self.ask(super::json(Method::POST, &path, wish)?).await.map(drop)
    }

    /// Commits a transaction.
    pub async fn kv_commit(&self, name: &str, transaction: &str) -> Result<KvDone, Problem> {
        let path = format!("{}/commit", transaction_path(name, transaction));
        read_json(self.ask(request(Method::POST, &path, Body::empty())?).await?).await
    }

    /// Aborts a transaction.
    pub async fn kv_abort(&self, name: &str, transaction: &str) -> Result<(), Problem> {
        self.done(Method::DELETE, &transaction_path(name, transaction)).await
    }

    /// Lets a snapshot go.
    pub async fn kv_let_go(&self, name: &str, snapshot: &str) -> Result<(), Problem> {
        let path = format!("/kv/{}/snapshots/{}", segment(name), segment(snapshot));
        self.done(Method::DELETE, &path).await
    }

    /// Reads a value.
    pub async fn kv_get(&self, name: &str, key: &str, at: &KvAt) -> Result<KvValue, Problem> {
        let path = key_path(name, key) + &of(at);
        let answer = self.ask(request(Method::GET, &path, Body::empty())?).await?;
        let version = number(&answer, &VERSION).ok_or_else(|| unreadable("x-freehold-version"))?;
        let stale_ms = number(&answer, &STALE);
        let value = collect(answer, JSON_MAX).await?;
        Ok(KvValue { value, version, expires_ms: None, stale_ms })
    }

    /// Writes a value as it is.
    pub async fn kv_put(
        &self,
        name: &str,
        key: &str,
        value: Bytes,
        lasting_ms: Option<u64>,
        if_version: Option<u64>,
    ) -> Result<KvDone, Problem> {
        let mut path = key_path(name, key);
        let asked = [("lasting_ms", lasting_ms), ("if_version", if_version)];
        let asked = asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let asked: Vec<String> = asked.collect();
        if !asked.is_empty() {
            path = format!("{path}?{}", asked.join("&"));
        }
        read_json(self.ask(request(Method::PUT, &path, Body::from(value))?).await?).await
    }

    /// Reads keys with their values.
    pub async fn kv_scan(&self, name: &str, scan: &KvScan) -> Result<KvPage, Problem> {
        let mut path = format!("/kv/{}/keys?prefix={}", segment(name), segment(&scan.prefix));
        let texts = [
            ("from", &scan.from),
            ("to", &scan.to),
            ("after", &scan.after),
            ("snapshot", &scan.snapshot),
            ("transaction", &scan.transaction),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                path.extend(["&", name, "=", &segment(value)]);
            }
        }
        if scan.reverse {
            path.push_str("&reverse=true");
        }
        if let Some(limit) = scan.limit {
            path.extend(["&limit=", &limit.to_string()]);
        }
        self.get(&path).await
    }

    /// Writes several things, all or nothing.
    pub async fn kv_write(&self, name: &str, write: &KvWrite) -> Result<KvDone, Problem> {
        self.send(Method::POST, &format!("/kv/{}/write", segment(name)), write).await
    }

    /// Reads a document.
    pub async fn kv_document(
        &self,
        name: &str,
        collection: &str,
        id: &str,
        at: &KvAt,
    ) -> Result<serde_json::Value, Problem> {
        let path = format!("{}/documents/{}{}", collection_path(name, collection), encode_path(id), of(at));
        self.get(&path).await
    }

    /// Asks for documents.
    pub async fn kv_query(&self, name: &str, collection: &str, query: &KvQuery) -> Result<KvAnswer, Problem> {
        self.send(Method::POST, &format!("{}/query", collection_path(name, collection)), query).await
    }

    /// Declares an index.
    pub async fn kv_add_index(&self, name: &str, collection: &str, index: &KvIndex) -> Result<(), Problem> {
        let path = format!("{}/indexes", collection_path(name, collection));
        self.ask(super::json(Method::POST, &path, index)?).await.map(drop)
    }

    /// Drops an index.
    pub async fn kv_drop_index(&self, name: &str, collection: &str, index: &str) -> Result<(), Problem> {
        let path = format!("{}/indexes/{}", collection_path(name, collection), segment(index));
        self.done(Method::DELETE, &path).await
    }

    /// Watches what changes after a write; after the last one if none is named.
    pub async fn kv_watch(&self, name: &str, after: Option<u64>) -> Result<KvEvents, Problem> {
        let after = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let asked = request(Method::GET, &format!("/kv/{}/watch{after}", segment(name)), Body::empty())?;
        let answer = checked(self.raw(asked).await?).await?;
        let lines = StreamReader::new(pieces(answer.into_body())).lines();
        let events = futures::stream::try_unfold(lines, |mut lines| async move {
            let mut kind = String::new();
            while let Some(line) = lines.next_line().await.map_err(|error| broken(&error))? {
                if let Some(named) = line.strip_prefix("event: ") {
                    named.clone_into(&mut kind);
                }
                let Some(data) = line.strip_prefix("data: ") else { continue };
                let news = match kind.as_str() {
                    "" => serde_json::from_str(data).map(KvNews::Event),
                    HEARD => serde_json::from_str(data).map(KvNews::Heard),
                    PROBLEM => {
                        return Err(serde_json::from_str(data).unwrap_or_else(|error| unreadable(&error)));
                    }
                    // Of a newer node.
                    _ => {
                        kind.clear();
                        continue;
                    }
                };
                return Ok(Some((news.map_err(|error| unreadable(&error))?, lines)));
            }
            Ok(None)
        });
        Ok(events.boxed())
    }
}

fn key_path(name: &str, key: &str) -> String {
    format!("/kv/{}/keys/{}", segment(name), encode_path(key))
}

fn collection_path(name: &str, collection: &str) -> String {
    format!("/kv/{}/collections/{}", segment(name), segment(collection))
}

fn transaction_path(name: &str, transaction: &str) -> String {
    format!("/kv/{}/transactions/{}", segment(name), segment(transaction))
}

fn of(at: &KvAt) -> String {
    let asked = [("snapshot", &at.snapshot), ("transaction", &at.transaction)];
    let asked =
        asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", segment(value.as_ref()?))));
    let asked: Vec<String> = asked.collect();
    if asked.is_empty() { String::new() } else { format!("?{}", asked.join("&")) }
}

fn number(answer: &Response<Body>, name: &HeaderName) -> Option<u64> {
    answer.headers().get(name)?.to_str().ok()?.parse().ok()
}

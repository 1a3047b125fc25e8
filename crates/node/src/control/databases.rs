//! Databases, from the API to the KV plane.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::BASE64;
use freehold_api::kv::{
    KvAnswer, KvAt, KvChange, KvClone, KvCollection, KvCondition, KvControl, KvDatabase, KvDone, KvEvent,
    KvEvents, KvHandOver, KvHeard, KvIndex, KvIndexState, KvIndexStatus, KvItem, KvNews, KvOp, KvOperations,
    KvPage, KvQuery, KvScan, KvSnapshot, KvTakeOver, KvTransaction, KvValue, KvWrite, NewKvDatabase,
    NewKvSnapshot, NewKvTransaction,
};
use freehold_api::{Problem, words};
use freehold_kv as kv;
use freehold_kv::KvError;
use freehold_wire::Millis;
use futures::StreamExt as _;

use super::Answers;
use super::realm::node_named;
use crate::problem::kv_problem;

/// Items on a page if nobody says.
const LIMIT: u32 = 100;
/// How long a transaction is open if nobody says.
const TRANSACTION_MS: u64 = 60_000;
/// How often who watches hears that nothing has changed.
const QUIET: Duration = Duration::from_secs(10);

impl Answers {
    fn plane(&self) -> Result<&kv::Kv, Problem> {
        self.0.kv.get().ok_or_else(|| {
            Problem::unreachable("databases cannot be used", "the node is starting", Some("freehold status"))
        })
    }

    fn told(&self, info: kv::DatabaseInfo) -> KvDatabase {
        KvDatabase {
            name: info.name,
            copies: info.copies,
            confirm: info.confirm,
            writer: info.writer.map(|node| self.0.name_of(node)),
            here: info.here,
            epoch: info.epoch,
            stale_ms: info.stale.map(|stale| stale.0),
            collections: Vec::new(),
        }
    }

    fn failed(&self, name: &str) -> impl Fn(KvError) -> Problem {
        let names = |node| self.0.name_of(node);
        move |error| kv_problem(name, &error, names)
    }

    async fn reading(&self, name: &str, at: &KvAt) -> Result<kv::Reading, Problem> {
        let reading = match (&at.snapshot, &at.transaction) {
            (snapshot, None) => self.plane()?.read(name, snapshot.as_deref()).await,
            (None, Some(transaction)) => self.plane()?.read_in(name, transaction).await,
            (Some(_), Some(_)) => {
                return Err(Problem::invalid(
                    format!("nothing was read of {name}"),
                    "a transaction sees the moment at which it began, and no snapshot",
                    Some("name a snapshot or a transaction, not both"),
                ));
            }
        };
        reading.map_err(self.failed(name))
    }
}

#[async_trait]
impl KvControl for Answers {
    async fn databases(&self) -> Result<Vec<KvDatabase>, Problem> {
        let all = self.plane()?.list().map_err(self.failed("all"))?;
        Ok(all.into_iter().map(|info| self.told(info)).collect())
    }

    async fn create(&self, wish: NewKvDatabase) -> Result<KvDatabase, Problem> {
        let made = kv::NewDatabase { name: wish.name, copies: wish.copies, confirm: wish.confirm };
        self.plane()?.create(&made).await.map_err(self.failed(&made.name))?;
        self.plane()?.info(&made.name).map(|info| self.told(info)).map_err(self.failed(&made.name))
    }

    async fn database(&self, name: &str) -> Result<KvDatabase, Problem> {
        let mut told = self.plane()?.info(name).map(|info| self.told(info)).map_err(self.failed(name))?;
        let collections =
            self.reading(name, &KvAt::default()).await?.collections().await.map_err(self.failed(name))?;
        told.collections = collections.into_iter().map(collection).collect();
        Ok(told)
    }

    async fn delete(&self, name: &str) -> Result<(), Problem> {
        self.plane()?.delete(name).await.map_err(self.failed(name))
    }

    async fn clone_database(&self, name: &str, wish: KvClone) -> Result<KvDatabase, Problem> {
        // The copy counts like what it is a copy of.
        crate::quota::room_in_database(&self.0, name, crate::quota::kept_in_database(&self.0, name))?;
        let plane = self.plane()?;
        plane.clone_to(name, wish.snapshot.as_deref(), &wish.to).await.map_err(self.failed(name))?;
        plane.info(&wish.to).map(|info| self.told(info)).map_err(self.failed(&wish.to))
    }

    async fn hand_over(&self, name: &str, wish: KvHandOver) -> Result<KvDatabase, Problem> {
        let node = node_named(&self.0, &wish.to)?;
        let plane = self.plane()?;
        plane.hand_over(name, node).await.map_err(self.failed(name))?;
        plane.info(name).map(|info| self.told(info)).map_err(self.failed(name))
    }

    async fn take_over(&self, name: &str, wish: KvTakeOver) -> Result<KvDatabase, Problem> {
        let plane = self.plane()?;
        plane.take_over(name, wish.force).await.map_err(self.failed(name))?;
        plane.info(name).map(|info| self.told(info)).map_err(self.failed(name))
    }

    async fn snapshot(&self, name: &str, wish: NewKvSnapshot) -> Result<KvSnapshot, Problem> {
        let plane = self.plane()?;
        match (wish.name, wish.lasting_ms) {
            (Some(snapshot), None) => plane.keep(name, &snapshot).await.map(kept).map_err(self.failed(name)),
            (None, Some(lasting)) => {
                let held = plane.snapshot(name, Millis(lasting)).await;
                let (id, lapses) = held.map_err(self.failed(name))?;
                Ok(KvSnapshot { id, lapses_ms: Some(lapses.0), made_ms: None })
            }
            _ => Err(Problem::invalid(
                format!("no snapshot was made of {name}"),
                "it either has a name and stays, or lasts for some time",
                Some(format!("freehold kv snapshot {} --name NAME, or --minutes 10", words::typed(name))),
            )),
        }
    }

    async fn snapshots(&self, name: &str) -> Result<Vec<KvSnapshot>, Problem> {
        let all = self.plane()?.snapshots(name).await.map_err(self.failed(name))?;
        Ok(all.into_iter().map(kept).collect())
    }

    async fn begin(&self, name: &str, wish: NewKvTransaction) -> Result<KvTransaction, Problem> {
        let lasting = Millis(wish.lasting_ms.unwrap_or(TRANSACTION_MS));
        let begun = self.plane()?.begin(name, lasting).await.map_err(self.failed(name))?;
        Ok(KvTransaction { id: begun.id, lapses_ms: begun.lapses.0, number: begun.number })
    }

    async fn add(&self, name: &str, transaction: &str, wish: KvOperations) -> Result<(), Problem> {
        crate::quota::room_in_database(&self.0, name, size_of(&wish.operations))?;
        let ops = wish.operations.into_iter().map(op).collect::<Result<_, _>>()?;
        self.plane()?.add(name, transaction, ops).await.map_err(self.failed(name))
    }

    async fn commit(&self, name: &str, transaction: &str) -> Result<KvDone, Problem> {
        let done = self.plane()?.commit(name, transaction).await.map_err(self.failed(name))?;
        Ok(KvDone { number: done.number, repeated: done.repeated })
    }

    async fn abort(&self, name: &str, transaction: &str) -> Result<(), Problem> {
        self.plane()?.abort(name, transaction).await.map_err(self.failed(name))
    }

    async fn let_go(&self, name: &str, snapshot: &str) -> Result<(), Problem> {
        self.plane()?.let_go(name, snapshot).await.map_err(self.failed(name))
    }

    async fn get(&self, name: &str, key: &str, at: &KvAt) -> Result<KvValue, Problem> {
        let reading = self.reading(name, at).await?;
        let item = reading.get(key).await.map_err(self.failed(name))?;
        Ok(KvValue {
            value: item.value,
            version: item.version,
            expires_ms: item.expires_ms,
            stale_ms: reading.stale().map(|stale| stale.0),
        })
    }

    async fn scan(&self, name: &str, scan: KvScan) -> Result<KvPage, Problem> {
        let at = KvAt { snapshot: scan.snapshot, transaction: scan.transaction };
        let reading = self.reading(name, &at).await?;
        let wanted = kv::Scan {
            prefix: scan.prefix,
            from: scan.from,
            to: scan.to,
            after: scan.after,
            reverse: scan.reverse,
            limit: usize::try_from(scan.limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX),
        };
        let page = reading.scan(&wanted).await.map_err(self.failed(name))?;
        let stale_ms = reading.stale().map(|stale| stale.0);
        Ok(KvPage { items: page.items.into_iter().map(item).collect(), next: page.next, stale_ms })
    }

    async fn write(&self, name: &str, write: KvWrite) -> Result<KvDone, Problem> {
        crate::quota::room_in_database(&self.0, name, size_of(&write.operations))?;
        let write = kv::Write {
            conditions: write.conditions.into_iter().map(condition).collect(),
            ops: write.operations.into_iter().map(op).collect::<Result<_, _>>()?,
            idempotency: write.idempotency_key,
        };
        let done = self.plane()?.write(name, &write).await.map_err(self.failed(name))?;
        Ok(KvDone { number: done.number, repeated: done.repeated })
    }

    async fn document(
        &self,
        name: &str,
        collection: &str,
        id: &str,
        at: &KvAt,
    ) -> Result<serde_json::Value, Problem> {
        let reading = self.reading(name, at).await?;
        reading.document(collection, id).await.map_err(self.failed(name))
    }

    async fn query(&self, name: &str, collection: &str, query: KvQuery) -> Result<KvAnswer, Problem> {
        let at = KvAt { snapshot: query.snapshot, transaction: None };
        let reading = self.reading(name, &at).await?;
        let asked = kv::Asked {
            collection: collection.to_owned(),
            query: query.query,
            after: query.after,
            explain: query.explain,
        };
        let answer = reading.query(&asked).await.map_err(self.failed(name))?;
        Ok(KvAnswer {
            documents: answer.documents,
            next: answer.next,
            plan: answer.plan,
            looked_at: answer.looked_at,
            stale_ms: reading.stale().map(|stale| stale.0),
        })
    }

    async fn add_index(&self, name: &str, collection: &str, index: KvIndex) -> Result<(), Problem> {
        let spec = serde_json::to_value(&index).and_then(serde_json::from_value).map_err(|error| {
            Problem::invalid(
                format!("no index was added to {collection}"),
                error.to_string(),
                Some("freehold kv index add DATABASE COLLECTION NAME FIELD.."),
            )
        })?;
        self.plane()?.add_index(name, collection, spec).await.map_err(self.failed(name))
    }

    async fn drop_index(&self, name: &str, collection: &str, index: &str) -> Result<(), Problem> {
        self.plane()?.drop_index(name, collection, index).await.map_err(self.failed(name))
    }

    async fn watch(&self, name: &str, after: Option<u64>) -> Result<KvEvents, Problem> {
        let plane = self.plane()?.clone();
        let (events, writer) = plane.watch(name, after).await.map_err(self.failed(name))?;
        let (answers, name) = (self.clone(), name.to_owned());
        let stale = move || writer.map_or(Some(0), |node| plane.heard(&node).map(|stale| stale.0));
        let heard = stale.clone();
        let events = events.map(move |event| {
            let told = event.map(|event| KvNews::Event(told_event(event, stale())));
            told.map_err(answers.failed(&name))
        });
        let quiet = futures::stream::unfold(heard, |heard| async move {
            tokio::time::sleep(QUIET).await;
            Some((Ok(KvNews::Heard(KvHeard { stale_ms: heard() })), heard))
        });
        // The watch ends with its events.
        let events = events.map(Some).chain(futures::stream::iter([None]));
        let news = futures::stream::select(events, quiet.map(Some));
        let news = news.take_while(|one| std::future::ready(one.is_some())).filter_map(std::future::ready);
        Ok(news.take_until(self.0.stop.clone().cancelled_owned()).boxed())
    }
}

fn kept(kept: kv::KeptSnapshot) -> KvSnapshot {
    KvSnapshot { id: kept.name, lapses_ms: None, made_ms: Some(kept.made.0) }
}

fn told_event(event: kv::Event, stale_ms: Option<u64>) -> KvEvent {
    let change = |change: kv::Change| KvChange {
        key: change.key,
        collection: change.collection,
        deleted: change.deleted,
    };
    KvEvent {
        number: event.number,
        at_ms: event.at_ms,
        changes: event.changes.into_iter().map(change).collect(),
        stale_ms,
    }
}

fn item(item: kv::Item) -> KvItem {
    let (value, value_base64) = match String::from_utf8(item.value.to_vec()) {
        Ok(text) => (Some(text), None),
        Err(other) => (None, Some(BASE64.encode(other.as_bytes()))),
    };
    KvItem { key: item.key, value, value_base64, version: item.version, expires_ms: item.expires_ms }
}

fn condition(condition: KvCondition) -> kv::Condition {
    let KvCondition { key, collection, version } = condition;
    match (collection, version) {
        (None, Some(version)) => kv::Condition::Version { key, version },
        (None, None) => kv::Condition::Absent { key },
        (Some(collection), Some(version)) => kv::Condition::DocumentVersion { collection, id: key, version },
        (Some(collection), None) => kv::Condition::DocumentAbsent { collection, id: key },
    }
}

/// About how much room operations take; deleting takes none that counts.
fn size_of(operations: &[KvOp]) -> u64 {
    let size = |op: &KvOp| match op {
        KvOp::Put { key, value, value_base64, .. } => {
            let coded = value_base64.as_ref().map_or(0, |coded| coded.len() / 4 * 3);
            key.len() + value.as_ref().map_or(coded, String::len)
        }
        KvOp::PutDocument { id, document, .. } => id.len() + document.to_string().len(),
        KvOp::Delete { .. } | KvOp::DeleteDocument { .. } => 0,
    };
    operations.iter().map(size).fold(0, |sum, size| sum.saturating_add(size as u64))
}

fn op(op: KvOp) -> Result<kv::Op, Problem> {
    Ok(match op {
        KvOp::Put { key, value, value_base64, lasting_ms } => {
            let value = match (value, value_base64) {
                (Some(text), None) => Bytes::from(text),
                (None, Some(coded)) => {
                    Bytes::from(BASE64.decode(coded.as_bytes()).map_err(|error| bad(&error))?)
                }
                _ => return Err(bad(&"give either value or value_base64")),
            };
            kv::Op::Put { key, value, lasting: lasting_ms.map(Millis) }
        }
        KvOp::Delete { key } => kv::Op::Delete { key },
        KvOp::PutDocument { collection, id, document, lasting_ms } => {
            kv::Op::PutDocument { collection, id, document, lasting: lasting_ms.map(Millis) }
        }
        KvOp::DeleteDocument { collection, id } => kv::Op::DeleteDocument { collection, id },
    })
}

fn bad(why: &dyn std::fmt::Display) -> Problem {
    Problem::invalid("a value cannot be read", why.to_string(), None::<&str>)
}

fn collection(collection: kv::Collection) -> KvCollection {
    KvCollection {
        name: collection.name,
        documents: collection.documents,
        indexes: collection.indexes.into_iter().map(index).collect(),
    }
}

fn index(index: kv::IndexStatus) -> KvIndexStatus {
    let (state, looked_at, why) = match index.state {
        kv::IndexState::Whole => (KvIndexState::Whole, 0, None),
        kv::IndexState::Building { looked_at, .. } => (KvIndexState::Building, looked_at, None),
        kv::IndexState::Failed { why } => (KvIndexState::Failed, 0, Some(why)),
        kv::IndexState::Dropping => (KvIndexState::Dropping, 0, None),
    };
    let fields = index.spec.fields.iter().map(ToString::to_string).collect();
    let kv::IndexStatus { spec, .. } = index;
    let index = KvIndex { name: spec.name, fields, unique: spec.unique, each: spec.each, text: spec.text };
    KvIndexStatus { index, state, looked_at, why }
}

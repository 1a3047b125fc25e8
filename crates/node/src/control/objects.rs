//! Objects, from the API to the vault.

use std::sync::Arc;

use freehold_api::{
    ByteRange, ByteStream, Damage, ListQuery, Listing, ObjectInfo, ObjectRead, Problem, PutOptions,
    VerifyEvent, VerifyEvents, VerifyFinding, VerifyReport,
};
use freehold_vault as vault;
use futures::{StreamExt as _, TryStreamExt as _};

use super::bucket;
use crate::clock;
use crate::problem::{get_problem, put_problem};
use crate::shared::Shared;

fn info(meta: vault::ObjectMeta) -> ObjectInfo {
    ObjectInfo {
        key: meta.key,
        size: meta.size,
        modified_ms: meta.modified.0,
        etag: meta.etag,
        content_type: meta.content_type,
    }
}

pub(super) fn list(shared: &Shared, bucket: &str, query: ListQuery) -> Result<Listing, Problem> {
    let id = bucket::named(shared, bucket)?;
    let max = usize::try_from(query.max).unwrap_or(usize::MAX).min(1000);
    let query =
        vault::ListQuery { prefix: query.prefix, delimiter: query.delimiter, after: query.after, max };
    let page = shared.vault.list(&id, &query).map_err(|error| get_problem(bucket, "the list", &error))?;
    Ok(Listing {
        objects: page.objects.into_iter().map(info).collect(),
        prefixes: page.prefixes,
        next: page.next,
    })
}

pub(super) async fn head(shared: &Shared, bucket: &str, key: &str) -> Result<ObjectInfo, Problem> {
    let id = bucket::named(shared, bucket)?;
    shared.vault.head(&id, key, None).await.map(info).map_err(|error| get_problem(bucket, key, &error))
}

pub(super) async fn get(
    shared: &Shared,
    bucket: &str,
    key: &str,
    range: Option<ByteRange>,
) -> Result<ObjectRead, Problem> {
    let id = bucket::named(shared, bucket)?;
    let range = range.map(|range| match range {
        ByteRange::From { first, last } => vault::ByteRange::From { first, last },
        ByteRange::Last(count) => vault::ByteRange::Last(count),
    });
    let read =
        shared.vault.get(&id, key, None, range).await.map_err(|error| get_problem(bucket, key, &error))?;
    let body = read.body.map_err(std::io::Error::other).boxed();
    Ok(ObjectRead { info: info(read.meta), range: read.range, body })
}

pub(super) async fn put(
    shared: &Shared,
    bucket: &str,
    key: &str,
    options: PutOptions,
    body: ByteStream,
) -> Result<ObjectInfo, Problem> {
    let id = bucket::named(shared, bucket)?;
    let conditions = vault::Conditions {
        if_none_match: if options.only_new { vec!["*".to_owned()] } else { Vec::new() },
        ..vault::Conditions::default()
    };
    let request = vault::PutRequest {
        content_type: options.content_type.clone(),
        conditions,
        expect: vault::Expect { len: options.len, md5: None },
        ..vault::PutRequest::default()
    };
    let body = body.map_err(Into::into).boxed();
    let done =
        shared.vault.put(&id, key, request, body).await.map_err(|error| put_problem(bucket, key, &error))?;
    Ok(ObjectInfo {
        key: key.to_owned(),
        size: done.size,
        modified_ms: done.modified.0,
        etag: done.etag,
        content_type: options.content_type,
    })
}

pub(super) async fn delete(shared: &Shared, bucket: &str, key: &str) -> Result<(), Problem> {
    let id = bucket::named(shared, bucket)?;
    let request = vault::DeleteRequest { key: key.to_owned(), ..vault::DeleteRequest::default() };
    let deleted = shared.vault.delete(&id, request).await;
    deleted.map(drop).map_err(|error| put_problem(bucket, key, &error))
}

fn damage(damage: vault::Damage) -> Damage {
    match damage {
        vault::Damage::Missing => Damage::Missing,
        vault::Damage::Cut => Damage::Cut,
        vault::Damage::Swapped => Damage::Swapped,
        vault::Damage::Altered => Damage::Altered,
        vault::Damage::NotForThisObject => Damage::NotForThisObject,
    }
}

pub(super) fn verify(shared: &Arc<Shared>, bucket: &str, repair: bool) -> Result<VerifyEvents, Problem> {
    // Those of other planes too: what is stored is what is stored.
    let id = bucket::named_anywhere(shared, bucket)?;
    let (shared, name) = (Arc::clone(shared), bucket.to_owned());
    // What nobody has read yet is overtaken by the next anyway.
    let (tell, mut hear) = tokio::sync::mpsc::channel(1);
    let work = async move {
        let began = clock::wall();
        let told = |report: &vault::VerifyReport| {
            drop(tell.try_send(VerifyEvent::Progress { blobs: report.blobs, bytes: report.bytes }));
        };
        match shared.vault.verify_telling(Some(&id), repair, &told).await {
            Ok(report) => {
                shared.note_damage(id, &report);
                if let Some(replica) = shared.replica.get() {
                    replica.looked(id, began).await;
                }
                VerifyEvent::Done(VerifyReport {
                    entries: report.entries,
                    bad_entries: report.bad_entries,
                    blobs: report.blobs,
                    bytes: report.bytes,
                    findings: report.findings.into_iter().map(finding).collect(),
                })
            }
            Err(error) => VerifyEvent::Failed(get_problem(&name, "the bucket", &error)),
        }
    };
    let progress = futures::stream::poll_fn(move |context| hear.poll_recv(context));
    Ok(futures::stream::select(progress, futures::stream::once(work)).boxed())
}

fn finding(found: vault::Finding) -> VerifyFinding {
    VerifyFinding {
        key: found.key,
        blob: found.blob.to_string(),
        damage: damage(found.damage),
        repaired: found.repaired,
    }
}

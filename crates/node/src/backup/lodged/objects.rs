//! Buckets as what is backed up: the newest version of each object, as a file with what its writer said of it.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use freehold_backup::{Item, Items, Origin};
use freehold_seal::Aspect;
use freehold_vault::{GetError, ListQuery, ObjectMeta, Vault};
use freehold_wire::BucketId;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::runtime::Handle;

use super::{bucket_path, paths};
use crate::problem::chain;

const PAGE: usize = 500;
/// So long the next piece of an object may take to come from wherever it lies.
const PIECE_WITHIN: Duration = Duration::from_mins(5);

/// Some buckets. The runtime that this is made in carries the reading.
pub(super) struct Objects {
    vault: Vault,
    runtime: Handle,
    names: Vec<String>,
}

impl Objects {
    pub(super) fn new(vault: Vault, names: Vec<String>) -> Self {
        Self { vault, runtime: Handle::current(), names }
    }

    fn bucket(&self, name: &str) -> io::Result<BucketId> {
        let found = self.vault.bucket_named(name);
        let gone = || io::Error::other(format!("there is no bucket {name} any more"));
        found.map(|(id, _)| id).ok_or_else(gone)
    }

    /// Some objects after a key.
    fn page(&self, name: &str, after: Option<String>) -> io::Result<(Vec<Item>, Option<String>)> {
        let id = self.bucket(name)?;
        let unlisted = |error: GetError| {
            io::Error::other(format!("the bucket {name} cannot be read: {}", chain(&error)))
        };
        let query = ListQuery { after, max: PAGE, ..ListQuery::default() };
        let page = self.vault.list(&id, &query).map_err(unlisted)?;
        let mut items = Vec::with_capacity(page.objects.len());
        for listed in page.objects {
            // What was deleted since is in no list.
            match self.runtime.block_on(self.vault.head(&id, &listed.key, None)) {
                Ok(meta) => items.push(self.item(name, &id, &meta)?),
                Err(GetError::NoSuchKey | GetError::Marker { .. }) => {}
                Err(error) => return Err(unlisted(error)),
            }
        }
        Ok((items, page.next))
    }

    fn item(&self, name: &str, id: &BucketId, meta: &ObjectMeta) -> io::Result<Item> {
        let below = ListQuery { prefix: format!("{}/", meta.key), max: 1, ..ListQuery::default() };
        let page = self.vault.list(id, &below).map_err(io::Error::other)?;
        Ok(Item {
            path: paths::path_of(name, &meta.key, !page.objects.is_empty()),
            key: format!("{name}/{}", meta.key),
            size: meta.size,
            modified: Some(meta.modified),
            mark: mark(meta),
            attributes: attributes(meta),
        })
    }
}

/// Another number for each other content.
fn mark(meta: &ObjectMeta) -> u64 {
    let digits = meta.etag.get(..15).unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

/// What was said of an object, under the names by which rclone gives it back to an S3 (`--metadata`).
fn attributes(meta: &ObjectMeta) -> Vec<(String, Vec<u8>)> {
    let named = |name: &str, value: &[u8]| (format!("user.{name}"), value.to_vec());
    let kind = meta.content_type.iter().map(|kind| named("content-type", kind.as_bytes()));
    let said = meta.headers.iter().chain(&meta.user_meta).map(|(name, value)| named(name, value.as_bytes()));
    let tags = meta.annotations.get(&Aspect::Tags).map(|tags| named("s3.tags", tags));
    kind.chain(said).chain(tags).collect()
}

impl Origin for Objects {
    fn roots(&self) -> Vec<PathBuf> {
        self.names.iter().map(|name| bucket_path(name)).collect()
    }

    fn items(self: Arc<Self>) -> Items {
        let buckets = self.names.clone().into();
        Box::new(Listing { objects: self, buckets, page: VecDeque::new(), after: None })
    }

    fn open(&self, item: &Item) -> io::Result<Box<dyn Read + Send>> {
        let (name, key) = item.key.split_once('/').ok_or(io::ErrorKind::InvalidInput)?;
        let id = self.bucket(name)?;
        match self.runtime.block_on(self.vault.get(&id, key, None, None)) {
            Ok(found) => {
                let (runtime, piece) = (self.runtime.clone(), Bytes::new());
                Ok(Box::new(Reading { runtime, body: found.body, piece }))
            }
            Err(GetError::NoSuchKey | GetError::Marker { .. }) => Err(io::ErrorKind::NotFound.into()),
            Err(error) => Err(io::Error::other(chain(&error))),
        }
    }
}

/// All objects, bucket by bucket.
struct Listing {
    objects: Arc<Objects>,
    /// Those that are not through.
    buckets: VecDeque<String>,
    page: VecDeque<Item>,
    /// In the first of them.
    after: Option<String>,
}

impl Iterator for Listing {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.page.pop_front() {
                return Some(Ok(item));
            }
            match self.objects.page(self.buckets.front()?, self.after.take()) {
                Ok((items, next)) => {
                    self.page = items.into();
                    if next.is_none() {
                        self.buckets.pop_front();
                    }
                    self.after = next;
                }
                Err(error) => {
                    self.buckets.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// An object that is being read.
struct Reading {
    runtime: Handle,
    body: BoxStream<'static, Result<Bytes, GetError>>,
    piece: Bytes,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.piece.has_remaining() {
            let next = async { tokio::time::timeout(PIECE_WITHIN, self.body.next()).await };
            match self.runtime.block_on(next) {
                Ok(Some(piece)) => self.piece = piece.map_err(|error| io::Error::other(chain(&error)))?,
                Ok(None) => return Ok(0),
                Err(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "it does not come from where it lies",
                    ));
                }
            }
        }
        let length = self.piece.len().min(buffer.len());
        let (to, _) = buffer.split_at_mut(length);
        self.piece.copy_to_slice(to);
        Ok(length)
    }
}

//! Databases as what is backed up: each as a file of lines, which anybody can read.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use freehold_api::kv::{KvIndex, KvLine, in_base64};
use freehold_backup::{Item, Items, Origin};
use freehold_kv::{Export, Exported, Kv, KvError};
use tokio::runtime::Handle;

use super::database_path;
use crate::problem::chain;

/// So long the next row may take to come.
const ROW_WITHIN: Duration = Duration::from_mins(5);

/// Some databases. The runtime that this is made in carries the reading.
pub(super) struct Databases {
    /// Nothing while the plane is not up.
    plane: Option<Kv>,
    runtime: Handle,
    names: Vec<String>,
}

impl Databases {
    pub(super) fn new(plane: Option<Kv>, names: Vec<String>) -> Self {
        Self { plane, runtime: Handle::current(), names }
    }

    fn plane(&self) -> io::Result<&Kv> {
        self.plane.as_ref().ok_or_else(|| io::Error::other("databases are not up yet"))
    }

    fn item(&self, name: &str) -> io::Result<Item> {
        let written = self.runtime.block_on(async {
            self.plane()?
                .read(name, None)
                .await
                .map_err(|error| failed(name, &error))?
                .last_write()
                .await
                .map_err(|error| failed(name, &error))
        })?;
        Ok(Item { path: database_path(name), key: name.to_owned(), modified: written, ..Item::default() })
    }
}

fn failed(name: &str, error: &KvError) -> io::Error {
    io::Error::other(format!("the database {name} cannot be read: {}", chain(error)))
}

impl Origin for Databases {
    fn roots(&self) -> Vec<PathBuf> {
        self.names.iter().map(|name| database_path(name)).collect()
    }

    fn items(self: Arc<Self>) -> Items {
        let names = self.names.clone();
        Box::new(names.into_iter().map(move |name| self.item(&name)))
    }

    fn open(&self, item: &Item) -> io::Result<Box<dyn Read + Send>> {
        let export = self.runtime.block_on(self.plane()?.export(&item.key));
        let export = export.map_err(|error| failed(&item.key, &error))?;
        let (runtime, name) = (self.runtime.clone(), item.key.clone());
        Ok(Box::new(Lines { runtime, name, export, line: Bytes::new() }))
    }
}

/// A database that is being read.
struct Lines {
    runtime: Handle,
    name: String,
    export: Export,
    line: Bytes,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.line.has_remaining() {
            let next = async { tokio::time::timeout(ROW_WITHIN, self.export.next()).await };
            let next = self.runtime.block_on(next).map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, "it does not come from where it lies")
            })?;
            let Some(row) = next.map_err(|error| failed(&self.name, &error))? else { return Ok(0) };
            self.line = line(row)?.into();
        }
        let length = self.line.len().min(buffer.len());
        let (to, _) = buffer.split_at_mut(length);
        self.line.copy_to_slice(to);
        Ok(length)
    }
}

fn line(row: Exported) -> io::Result<Vec<u8>> {
    let line = match row {
        Exported::Item(item) => {
            let (value, value_base64) = match String::from_utf8(item.value.into()) {
                Ok(text) => (Some(text), None),
                Err(other) => (None, Some(in_base64(other.as_bytes()))),
            };
            KvLine::Put { key: item.key, value, value_base64, expires_ms: item.expires_ms }
        }
        Exported::Document { collection, id, document, expires } => {
            KvLine::PutDocument { collection, id, document, expires_ms: expires.map(|end| end.0) }
        }
        Exported::Index { collection, spec } => {
            let fields = spec.fields.iter().map(ToString::to_string).collect();
            let index =
                KvIndex { name: spec.name, fields, unique: spec.unique, each: spec.each, text: spec.text };
            KvLine::Index { collection, index }
        }
    };
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

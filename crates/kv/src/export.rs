//! All that somebody has put into a database, as it is at one moment: what a backup keeps of it.

use std::collections::VecDeque;
use std::sync::Arc;

use freehold_documents::{IndexSpec, place_of_document};
use freehold_wire::Millis;
use serde_json::Value;
use slatedb::{DbIterator, DbSnapshot};

use crate::document::{Declared, IndexState};
use crate::plane::{Kv, Open};
use crate::read::{Item, View};
use crate::rows::{self, Stamped};
use crate::{KvError, Reading};

/// Something that somebody has put.
#[derive(Debug, Clone, PartialEq)]
pub enum Exported {
    /// A value under a key.
    Item(Item),
    /// A document.
    Document {
        /// Its collection.
        collection: String,
        /// Its id.
        id: String,
        /// What it says.
        document: Value,
        /// Its end.
        expires: Option<Millis>,
    },
    /// That there is an index.
    Index {
        /// The collection.
        collection: String,
        /// What was declared.
        spec: IndexSpec,
    },
}

/// What is in a database, in a stable order; nothing that is written meanwhile is seen.
pub struct Export {
    rows: DbIterator,
    now: Millis,
    indexes: VecDeque<Exported>,
    _at: Option<Arc<DbSnapshot>>,
    _open: Reading,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Kv {
    /// Begins to read all of a database. On a node that does not write it, it is what has come.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn export(&self, name: &str) -> Result<Export, KvError> {
        let reading = self.read(name, None).await?;
        let at = match reading.open() {
            Open::Writer(database) => Some(database.db.snapshot()?),
            Open::Reader(_) => None,
        };
        let view = at.as_deref().map_or_else(|| reading.view(), View::At);
        let rows = view.scan(vec![0], None, false).await?;
        Ok(Export { rows, now: rows::now(), indexes: VecDeque::new(), _at: at, _open: reading })
    }
}

impl Export {
    /// What comes next; nothing at the end.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn next(&mut self) -> Result<Option<Exported>, KvError> {
        loop {
            if let Some(index) = self.indexes.pop_front() {
                return Ok(Some(index));
            }
            let Some(row) = self.rows.next().await? else { return Ok(None) };
            let Some((space, rest)) = row.key.split_first() else { continue };
            match *space {
                rows::RAW => {
                    let key = String::from_utf8(rest.to_vec()).map_err(|_| KvError::Row)?;
                    let Some(found) = Stamped::decode(row.value, self.now)? else { continue };
                    let Stamped { version, expires, value } = found;
                    let expires_ms = expires.map(|end| end.0);
                    return Ok(Some(Exported::Item(Item { key, value, version, expires_ms })));
                }
                rows::COLLECTIONS => {
                    let collection = String::from_utf8(rest.to_vec()).map_err(|_| KvError::Row)?;
                    let declared = Declared::read(Some(row.value))?.indexes.into_iter();
                    let stays = declared.filter(|index| index.state != IndexState::Dropping);
                    let index = |spec| Exported::Index { collection: collection.clone(), spec };
                    self.indexes = stays.map(|found| index(found.spec)).collect();
                }
                _ => {
                    let Some((collection, id)) = place_of_document(&row.key) else { continue };
                    let Some(found) = Stamped::decode(row.value, self.now)? else { continue };
                    let document = serde_json::from_slice(&found.value).map_err(|_| KvError::Row)?;
                    return Ok(Some(Exported::Document { collection, id, document, expires: found.expires }));
                }
            }
        }
    }
}

//! The KV plane: databases on SlateDB, which lies sealed in a bucket of the vault, one bucket and one
//! writing node for each database. It must never acknowledge what is not durable as the bucket says,
//! accept a write twice, or let two nodes write. Start reading at [`Kv`].

mod bucket;
mod build;
mod cache;
mod claim;
mod database;
mod document;
mod ending;
mod error;
mod export;
mod feed;
mod kept;
mod read;
mod rows;
mod step;
mod store;
mod transaction;
mod write;

mod plane;

pub use database::Pace;
pub use document::{Collection, IndexState, IndexStatus};
pub use error::KvError;
pub use export::{Export, Exported};
pub use feed::{Change, Changes, Event};
pub use kept::KeptSnapshot;
pub use plane::{DatabaseInfo, Kv, NewDatabase, Reading, Realm, RealmError, Takeover};
pub use read::{Answer, Asked, Item, Scan, ScanPage};
pub use rows::{BATCH_MAX, DOCUMENT_MAX, KEY_MAX, VALUE_MAX};
pub use transaction::Begun;
pub use write::{Condition, Done, Op, Write};

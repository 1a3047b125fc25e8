//! What stays on this machine's disk: atomic replacement of files, key files, the lock of a home
//! directory, and the stores (realm log, entries, the map of a backend) whose commits survive a power cut. It must
//! never interpret what it keeps, report a write as done before it is durable, or create a file
//! that others may read. Start reading at [`EntryStore`].

mod commit;
mod entropy;
mod entry_store;
mod error;
mod key;
mod lock;
mod log_store;
mod own;
mod pack_store;
mod replace;
mod store;

pub use entropy::OsEntropy;
pub use entry_store::{
    BeliefRow, CompletedUpload, ConflictRow, EntryRow, EntryStore, EntryTxn, Inserted, PartRow, SmallBlob,
    UploadRow,
};
pub use error::{Kind, StoreError};
pub use key::{KeyFileError, KeyStore};
pub use lock::{HomeLock, LockError};
pub use log_store::{LogRow, LogStore};
pub use own::{OwnError, check_home, read_private};
pub use pack_store::{BlobRow, NewPack, PackName, PackRow, PackStore, Round};
pub use replace::{free_bytes, make_private_dir, replace, sync_dir};

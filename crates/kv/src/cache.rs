//! Blocks of tables in memory, opened: one bound for all databases of the node.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use slatedb::Error;
use slatedb::db_cache::{CachedEntry, CachedKey, DbCache};

/// The oldest goes first, unless it was read since it was looked at last.
#[derive(Default)]
struct Blocks {
    held: HashMap<CachedKey, (CachedEntry, bool)>,
    order: VecDeque<CachedKey>,
    bytes: usize,
}

/// The cache.
pub(crate) struct Cache {
    room: usize,
    blocks: Mutex<Blocks>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({})", self.room)
    }
}

impl Cache {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, blocks: Mutex::default() }
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &CachedKey) -> Option<CachedEntry> {
        let mut blocks = self.blocks();
        let (entry, read) = blocks.held.get_mut(key)?;
        *read = true;
        Some(entry.clone())
    }
}

impl Blocks {
    fn shrink(&mut self, room: usize) {
        while self.bytes > room {
            let Some(oldest) = self.order.pop_front() else { return };
            match self.held.get_mut(&oldest) {
                Some((_, read)) if *read => {
                    *read = false;
                    self.order.push_back(oldest);
                }
                _ => {
                    if let Some((entry, _)) = self.held.remove(&oldest) {
                        self.bytes = self.bytes.saturating_sub(entry.size());
                    }
                }
            }
        }
    }
}

#[async_trait]
impl DbCache for Cache {
    async fn get_block(&self, key: &CachedKey) -> Result<Option<CachedEntry>, Error> {
        Ok(self.get(key))
    }

    async fn get_index(&self, key: &CachedKey) -> Result<Option<CachedEntry>, Error> {
        Ok(self.get(key))
    }

    async fn get_filter(&self, key: &CachedKey) -> Result<Option<CachedEntry>, Error> {
        Ok(self.get(key))
    }

    async fn get_stats(&self, key: &CachedKey) -> Result<Option<CachedEntry>, Error> {
        Ok(self.get(key))
    }

    async fn insert(&self, key: CachedKey, value: CachedEntry) {
        let mut blocks = self.blocks();
        blocks.bytes += value.size();
        match blocks.held.insert(key.clone(), (value, false)) {
            Some((old, _)) => blocks.bytes = blocks.bytes.saturating_sub(old.size()),
            None => blocks.order.push_back(key),
        }
        blocks.shrink(self.room);
    }

    async fn remove(&self, key: &CachedKey) {
        let mut blocks = self.blocks();
        if let Some((old, _)) = blocks.held.remove(key) {
            blocks.bytes = blocks.bytes.saturating_sub(old.size());
        }
    }

    fn entry_count(&self) -> u64 {
        self.blocks().held.len() as u64
    }
}

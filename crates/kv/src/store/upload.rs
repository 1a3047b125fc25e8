//! Objects that come in pieces: kept until they are whole, which is at most one table.

use async_trait::async_trait;
use slatedb::object_store::path::Path;
use slatedb::object_store::{
    MultipartUpload, PutMode, PutPayload, PutPayloadMut, PutResult, Result, UploadPart,
};

use super::Store;

/// An upload under way.
#[derive(Debug)]
pub(super) struct Upload {
    store: Store,
    location: Path,
    pieces: PutPayloadMut,
}

impl Upload {
    pub(super) fn new(store: Store, location: Path) -> Self {
        Self { store, location, pieces: PutPayloadMut::new() }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        for piece in data {
            self.pieces.push(piece);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole = std::mem::take(&mut self.pieces).freeze();
        self.store.0.write(&self.location, whole, PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.pieces = PutPayloadMut::new();
        Ok(())
    }
}

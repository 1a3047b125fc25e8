//! Copies. A blob is bound to its object's name and version, so a copy is sealed anew: that is
//! what keeps a backend from passing one object off as another.

use freehold_wire::BucketId;
use futures::{StreamExt as _, TryStreamExt as _};

use super::Vault;
use crate::{
    Aspect, Body, BoxError, ByteRange, CopyMeta, CopyRequest, Expect, GetError, GetObject, PartDone,
    PartRequest, PutDone, PutError, PutRequest, UploadId, Version,
};

/// Where a copy comes from or goes to: bucket and key.
pub type Place<'a> = (&'a BucketId, &'a str);

impl Vault {
    /// Copies an object, within a bucket or between two.
    ///
    /// # Errors
    /// [`PutError`]; [`PutError::Source`] if the source cannot be read.
    pub async fn copy(
        &self,
        from: Place<'_>,
        to: Place<'_>,
        request: CopyRequest,
    ) -> Result<PutDone, PutError> {
        let CopyRequest { version, meta, keep_tags, mut annotations, conditions } = request;
        let GetObject { meta: mut source, body, .. } = self.source(from, version, None).await?;
        if keep_tags && let Some(tags) = source.annotations.remove(&Aspect::Tags) {
            annotations.insert(Aspect::Tags, tags);
        }
        let (content_type, headers, user_meta) = match meta {
            CopyMeta::Keep => (source.content_type, source.headers, source.user_meta),
            CopyMeta::Replace { content_type, headers, user_meta } => (content_type, headers, user_meta),
        };
        // Those of a whole object hold for the copy; those of parts do not: the copy has none.
        let checksums = if source.parts == 0 { source.checksums } else { Vec::new() };
        let request = PutRequest {
            content_type,
            headers,
            user_meta,
            annotations,
            conditions,
            expect: Expect { len: Some(source.size), md5: None },
            at_end: Some(Box::new(move || Ok(checksums))),
        };
        self.put(to.0, to.1, request, as_body(body)).await
    }

    /// Copies an object, or a range of it, into a part of an upload.
    ///
    /// # Errors
    /// [`PutError`]; [`PutError::Source`] if the source cannot be read.
    pub async fn copy_part(
        &self,
        from: Place<'_>,
        version: Option<Version>,
        range: Option<ByteRange>,
        to: Place<'_>,
        upload: UploadId,
        number: u16,
    ) -> Result<PartDone, PutError> {
        let GetObject { range, body, .. } = self.source(from, version, range).await?;
        let request =
            PartRequest { expect: Expect { len: Some(range.end - range.start), md5: None }, at_end: None };
        self.put_part(to.0, to.1, upload, number, request, as_body(body)).await
    }

    async fn source(
        &self,
        from: Place<'_>,
        version: Option<Version>,
        range: Option<ByteRange>,
    ) -> Result<GetObject, PutError> {
        self.get(from.0, from.1, version, range).await.map_err(|error| PutError::Source(Box::new(error)))
    }
}

fn as_body(body: futures::stream::BoxStream<'static, Result<bytes::Bytes, GetError>>) -> Body {
    body.map_err(|error| Box::new(error) as BoxError).boxed()
}

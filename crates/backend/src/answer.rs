//! What the stores of this crate answer with.

use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::{
    Attributes, Error, Extensions, GetResult, GetResultPayload, ObjectMeta, PutResult, Result,
};

pub(crate) fn put_result() -> PutResult {
    PutResult { e_tag: None, version: None, extensions: Extensions::default() }
}

pub(crate) fn missing(operation: &str, implementer: &str) -> Error {
    Error::NotImplemented { operation: operation.into(), implementer: implementer.into() }
}

/// A range of an object, read in pieces that end where `step` divides.
pub(crate) async fn in_pieces<F>(
    meta: ObjectMeta,
    range: Range<u64>,
    step: u64,
    read: impl Fn(Range<u64>) -> F + Send + 'static,
) -> Result<GetResult>
where
    F: Future<Output = Result<Bytes>> + Send + 'static,
{
    let end = range.end;
    let next = move |at: u64| end.min((at / step + 1).saturating_mul(step));
    // The first piece at once, so that what is wrong is an error here.
    let first = next(range.start);
    let begun = read(range.start..first).await?;
    let rest = futures::stream::try_unfold(first, move |at| {
        let piece = (at < end).then(|| (read(at..next(at)), next(at)));
        async move {
            match piece {
                Some((piece, next)) => Ok(Some((piece.await?, next))),
                None => Ok(None),
            }
        }
    });
    let stream = futures::stream::once(async move { Ok(begun) }).chain(rest).boxed();
    Ok(GetResult {
        payload: GetResultPayload::Stream(stream),
        meta,
        range,
        attributes: Attributes::default(),
        extensions: Extensions::default(),
    })
}

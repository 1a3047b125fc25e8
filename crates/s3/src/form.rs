//! A form as browsers send files with: fields first, then the file, which is never held in memory.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http_body::Body as _;
use multer::{Constraints, Field, Multipart, SizeLimit};
use s3s::{S3Error, S3Result, s3_error};

use crate::body::PatientBody;
use crate::refusal;

/// Amazon's bound on what stands before the file is 20 KB.
const HEAD_MAX_BYTES: usize = 64 << 10;
const FIELDS_MAX: usize = 100;
/// Amazon's bound on an object that is written at once.
const FILE_MAX_BYTES: u64 = 5 << 30;
const FILE: &str = "file";

/// A form that was read as far as its file.
pub(crate) struct Form {
    /// By their names in lower case.
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) file_name: String,
    pub(crate) file: File,
}

impl Form {
    /// Reads the fields.
    pub(crate) async fn read(content_type: &str, body: PatientBody) -> S3Result<Self> {
        let boundary = multer::parse_boundary(content_type).map_err(|e| malformed(&e.to_string()))?;
        let left = Arc::new(AtomicUsize::new(HEAD_MAX_BYTES));
        let source = Source { body, left: Some(Arc::clone(&left)), rests: false };
        let limits = SizeLimit::new().for_field(FILE, FILE_MAX_BYTES).per_field(HEAD_MAX_BYTES as u64);
        let limits = Constraints::new().size_limit(limits);
        let mut parts = Multipart::with_constraints(source, boundary, limits);
        let mut fields = BTreeMap::new();
        loop {
            let part = parts.next_field().await.map_err(|e| of_form(&e))?;
            let part = part.ok_or_else(no_file)?;
            let name = part.name().unwrap_or_default().to_ascii_lowercase();
            if name == FILE {
                let file_name = part.file_name().unwrap_or_default().to_owned();
                // From here on it may be as long as it likes.
                left.store(usize::MAX, Ordering::Relaxed);
                return Ok(Self {
                    fields,
                    file_name,
                    file: File { part, taken: 0, min: 0, max: FILE_MAX_BYTES },
                });
            }
            let value = part.text().await.map_err(|e| of_form(&e))?;
            if fields.len() >= FIELDS_MAX || fields.insert(name, value).is_some() {
                return Err(malformed("a field stands there twice, or there are too many"));
            }
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

fn malformed(why: &str) -> S3Error {
    s3_error!(
        MalformedPOSTRequest,
        "The body of your POST request is not well-formed multipart/form-data: {}.",
        why
    )
}

fn no_file() -> S3Error {
    s3_error!(InvalidArgument, "POST requires exactly one file upload per request.")
}

fn of_form(error: &multer::Error) -> S3Error {
    match error {
        multer::Error::StreamReadFailed(cause) if cause.to_string() == TOO_LONG => s3_error!(
            MaxPostPreDataLengthExceededError,
            "Your POST request fields preceding the upload file were too large."
        ),
        multer::Error::StreamReadFailed(cause) => refusal::of_body(cause.as_ref()),
        other => malformed(&other.to_string()),
    }
}

const TOO_LONG: &str = "the fields of the form are too long";

/// A form's body, piece by piece: its reader takes all that comes until it has to wait, so that it
/// is made to wait after each piece.
struct Source {
    body: PatientBody,
    left: Option<Arc<AtomicUsize>>,
    rests: bool,
}

impl Stream for Source {
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if std::mem::take(&mut this.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            return match std::task::ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None => Poll::Ready(None),
                Some(Err(error)) => Poll::Ready(Some(Err(Box::new(error)))),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    this.rests = true;
                    Poll::Ready(Some(this.counted(data)))
                }
            };
        }
    }
}

impl Source {
    fn counted(&mut self, data: Bytes) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
        let Some(left) = &self.left else { return Ok(data) };
        match left.load(Ordering::Relaxed) {
            usize::MAX => self.left = None,
            // One piece may hold the end of the fields and much of the file.
            0 => return Err(TOO_LONG.into()),
            some => left.store(some.saturating_sub(data.len()), Ordering::Relaxed),
        }
        Ok(data)
    }
}

/// The bytes of a form's file.
pub(crate) struct File {
    part: Field<'static>,
    taken: u64,
    min: u64,
    max: u64,
}

impl File {
    /// A file of another length breaks off.
    pub(crate) fn within(self, min: u64, max: u64) -> Self {
        Self { min, max: self.max.min(max), ..self }
    }
}

/// Why a form's file broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{LARGE}")]
    Large,
    #[error("{SMALL}")]
    Small,
    #[error("reading the file of a form")]
    Form(#[source] multer::Error),
}

/// By these words a cause is known after it was wrapped.
pub(crate) const LARGE: &str = "the file is longer than the form's policy allows";
pub(crate) const SMALL: &str = "the file is shorter than the form's policy allows";

impl Stream for File {
    type Item = Result<Bytes, FileError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.part.poll_next_unpin(cx));
        let Some(next) = next else {
            let lacks = self.taken < std::mem::take(&mut self.min);
            return Poll::Ready(lacks.then_some(Err(FileError::Small)));
        };
        let bytes = match next {
            Ok(bytes) => bytes,
            Err(multer::Error::FieldSizeExceeded { .. }) => return Poll::Ready(Some(Err(FileError::Large))),
            Err(error) => return Poll::Ready(Some(Err(FileError::Form(error)))),
        };
        self.taken = self.taken.saturating_add(bytes.len() as u64);
        if self.taken > self.max {
            return Poll::Ready(Some(Err(FileError::Large)));
        }
        Poll::Ready(Some(Ok(bytes)))
    }
}

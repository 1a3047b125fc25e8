//! Fetches a list to a draft, reads it on the way, and keeps it if it is good.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use freehold_names::lists::{Reader, Syntax, Unfit};
use freehold_wire::Millis;
use http::{StatusCode, header};
use reqwest::Response;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Kept, List, ListError, Shelf};
use crate::config::Source;
use crate::outgoing::Outgoing;

/// So much of a list says how it is written.
const START: usize = 64 << 10;
/// The whole of it comes by then.
const WITHIN: Duration = Duration::from_mins(10);

/// What became of it.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// It is the one that is kept.
    Same,
    /// It is kept now.
    New(Kept),
}

/// Looks for a newer text of a list.
pub(crate) async fn fetch(
    outgoing: &Outgoing,
    shelf: &Shelf,
    list: &List,
    before: Option<&Kept>,
    now: Millis,
) -> Result<Fetched, ListError> {
    let whole = async {
        match &list.source {
            Source::Url(url) => from_url(&outgoing.client()?, shelf, list, before, url, now).await,
            Source::File(path) => from_file(shelf, list, before, path, now).await,
        }
    };
    let told = tokio::time::timeout(WITHIN, whole).await;
    told.unwrap_or_else(|_| Err(ListError::Fetch("it takes longer than ten minutes".to_owned())))
}

async fn from_url(
    client: &reqwest::Client,
    shelf: &Shelf,
    list: &List,
    before: Option<&Kept>,
    url: &str,
    now: Millis,
) -> Result<Fetched, ListError> {
    let mut request = client.get(url);
    if let Some(before) = before {
        let said = [(header::IF_NONE_MATCH, &before.etag), (header::IF_MODIFIED_SINCE, &before.modified)];
        for (name, value) in said.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            request = request.header(name, value);
        }
    }
    let mut response = request.send().await.map_err(failed)?;
    match response.status() {
        StatusCode::NOT_MODIFIED if before.is_some() => return Ok(Fetched::Same),
        StatusCode::OK => {}
        status => return Err(ListError::Status(status.as_u16())),
    }
    if response.content_length().is_some_and(|len| len > list.most) {
        return Err(Unfit::TooLong(list.most).into());
    }
    let said = |name| {
        let value = Response::headers(&response).get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let (etag, modified) = (said(header::ETAG), said(header::LAST_MODIFIED));
    let mut intake = Intake::begin(shelf, list).await?;
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        intake.write(&piece).await?;
    }
    intake.end(shelf, list, before, now, (etag, modified)).await
}

async fn from_file(
    shelf: &Shelf,
    list: &List,
    before: Option<&Kept>,
    path: &Path,
    now: Millis,
) -> Result<Fetched, ListError> {
    let unread = |error: std::io::Error| ListError::File(error.to_string());
    let mut file = File::open(path).await.map_err(unread)?;
    let about = file.metadata().await.map_err(unread)?;
    let changed = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified = changed.map(|at| format!("{}+{}", at.as_nanos(), about.len()));
    if modified.is_some() && before.is_some_and(|before| before.modified == modified) {
        return Ok(Fetched::Same);
    }
    let mut intake = Intake::begin(shelf, list).await?;
    let mut piece = vec![0; START];
    loop {
        let len = file.read(&mut piece).await.map_err(unread)?;
        if len == 0 {
            break;
        }
        intake.write(piece.get(..len).unwrap_or(&[])).await?;
    }
    intake.end(shelf, list, before, now, (None, modified)).await
}

/// With what is behind it: by itself the library says that sending failed.
fn failed(error: reqwest::Error) -> ListError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    ListError::Fetch(text)
}

fn unkept(error: &std::io::Error) -> ListError {
    ListError::Keep(error.to_string())
}

/// A list on its way to the disk.
struct Intake {
    draft: PathBuf,
    file: File,
    sum: Sha256,
    most: u64,
    syntax: Option<Syntax>,
    /// What came before its syntax was known.
    start: Vec<u8>,
    reader: Option<Reader>,
}

impl Intake {
    async fn begin(shelf: &Shelf, list: &List) -> Result<Self, ListError> {
        let draft = shelf.draft(list);
        let mut options = tokio::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft).await;
        let file = file.map_err(|error| unkept(&error))?;
        let (sum, most, syntax) = (Sha256::new(), list.most, list.syntax);
        Ok(Self { draft, file, sum, most, syntax, start: Vec::new(), reader: None })
    }

    async fn write(&mut self, piece: &[u8]) -> Result<(), ListError> {
        self.sum.update(piece);
        if let Some(reader) = &mut self.reader {
            reader.feed(piece, &mut |_| ())?;
        } else {
            self.start.extend(piece);
            if self.start.len() >= START {
                self.guess()?;
            }
        }
        // Only what is not too long comes to the disk.
        self.file.write_all(piece).await.map_err(|error| unkept(&error))
    }

    /// What has come is enough to see how it is written.
    fn guess(&mut self) -> Result<(), ListError> {
        let syntax = *self.syntax.get_or_insert_with(|| Syntax::guess(&self.start));
        let mut reader = Reader::new(syntax, self.most);
        reader.feed(&self.start, &mut |_| ())?;
        self.start = Vec::new();
        self.reader = Some(reader);
        Ok(())
    }

    async fn end(
        mut self,
        shelf: &Shelf,
        list: &List,
        before: Option<&Kept>,
        now: Millis,
        said: (Option<String>, Option<String>),
    ) -> Result<Fetched, ListError> {
        if self.reader.is_none() {
            self.guess()?;
        }
        let syntax = self.syntax.unwrap_or(Syntax::Domains);
        let Some(reader) = self.reader.take() else { return Err(Unfit::Empty.into()) };
        let counts = reader.finish(&mut |_| ());
        let sum = std::mem::take(&mut self.sum).finalize();
        if let Some(wanted) = list.sha256
            && wanted.as_slice() != sum.as_slice()
        {
            return Err(ListError::Sum { found: hex::encode(sum) });
        }
        // Who pins a text has looked at it.
        let measure = before.map(Kept::counts).filter(|_| list.sha256.is_none());
        counts.fit(measure.as_ref())?;
        self.file.sync_all().await.map_err(|error| unkept(&error))?;
        let mut kept = Kept::new(list, &hex::encode(sum), syntax, counts, now);
        (kept.etag, kept.modified) = said;
        let same = before.is_some_and(|before| before.sha256 == kept.sha256);
        let (shelf, list, paper) = (shelf.clone(), list.clone(), kept.clone());
        let written = tokio::task::spawn_blocking(move || shelf.keep(&list, &paper)).await;
        written.map_err(std::io::Error::other).flatten().map_err(|error| unkept(&error))?;
        Ok(if same { Fetched::Same } else { Fetched::New(kept) })
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        // There any more only if it was not kept.
        drop(std::fs::remove_file(&self.draft));
    }
}

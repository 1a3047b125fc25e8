//! Puts back what a backup has of a database.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use freehold_api::kv::{KvIndex, KvLine, KvWrite, NewKvDatabase};
use freehold_api::words::count;
use freehold_api::{Client, Problem};
use freehold_kv_client::Database;
use serde::Serialize;

use crate::ask::show;
use crate::terminal::Terminal;

const WHAT: &str = "the database was not put back";
/// Longer than the line of any value or document.
const LINE_MAX: u64 = 8 << 20;
/// Of one write.
const OPERATIONS: usize = 500;
const BYTES: usize = 2 << 20;

/// What was put back.
#[derive(Debug, Default, Serialize)]
struct PutBack {
    /// Values and documents.
    records: u64,
    indexes: u64,
    /// Those whose time had come.
    lapsed: u64,
}

/// Puts all lines of a file into a database, which is made if there is none. What is there under other names stays.
pub(super) async fn import(
    terminal: Terminal,
    client: &Client,
    name: &str,
    file: &Path,
) -> Result<(), Problem> {
    let refused = |error: &io::Error| {
        let why = format!("{}: {error}", file.display());
        Problem::invalid(WHAT, why, Some("name the file that a backup brought back from /databases"))
    };
    // Nothing is put of a file that is none, or damaged.
    let mut total = 0;
    for line in Lines::open(file).map_err(|error| refused(&error))? {
        total += line.map_err(|error| refused(&error))?.1 as u64;
    }
    let all = freehold_kv_client::databases(client).await?;
    if !all.iter().any(|one| one.name == name) {
        let wish = NewKvDatabase { name: name.to_owned(), copies: 2, confirm: 1 };
        freehold_kv_client::create(client, &wish).await?;
    }
    let bar = if terminal.is_interactive() {
        indicatif::ProgressBar::new(total)
    } else {
        indicatif::ProgressBar::hidden()
    };
    let database = Database::of(client, name);
    let (mut writes, mut indexes) = (Writes::new(&database), Vec::new());
    for line in Lines::open(file).map_err(|error| refused(&error))? {
        let (line, bytes) = line.map_err(|error| refused(&error))?;
        match line {
            KvLine::Index { collection, index } => indexes.push((collection, index)),
            line => writes.take(line, bytes).await?,
        }
        bar.inc(bytes as u64);
    }
    writes.flush().await?;
    let Writes { mut done, .. } = writes;
    done.indexes = declared(&database, indexes).await?;
    bar.finish_and_clear();
    show(terminal, &done, |done| told(name, done))
}

/// Declares the indexes that are not there.
async fn declared(database: &Database, indexes: Vec<(String, KvIndex)>) -> Result<u64, Problem> {
    let info = database.info().await?;
    let is_there = |collection: &str, name: &str| {
        let found = info.collections.iter().find(|one| one.name == collection);
        found.is_some_and(|one| one.indexes.iter().any(|one| one.index.name == name))
    };
    let mut made = 0;
    for (collection, index) in indexes.iter().filter(|(collection, index)| !is_there(collection, &index.name))
    {
        database.add_index(collection, index).await?;
        made += 1;
    }
    Ok(made)
}

fn told(name: &str, done: &PutBack) -> String {
    let lapsed = if done.lapsed > 0 {
        format!("; {} had lapsed meanwhile", count(done.lapsed, "record"))
    } else {
        String::new()
    };
    let records = count(done.records, "record");
    let indexes = match done.indexes {
        0 => String::new(),
        1 => ", and an index was declared".to_owned(),
        some => format!(", and {some} indexes were declared"),
    };
    format!("{records} went into {name}{indexes}{lapsed}.")
}

/// What is put together into writes.
struct Writes<'a> {
    database: &'a Database,
    write: KvWrite,
    bytes: usize,
    done: PutBack,
}

impl<'a> Writes<'a> {
    fn new(database: &'a Database) -> Self {
        Self { database, write: KvWrite::default(), bytes: 0, done: PutBack::default() }
    }

    async fn take(&mut self, line: KvLine, bytes: usize) -> Result<(), Problem> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let Some(op) = line.op(now_ms) else {
            self.done.lapsed += 1;
            return Ok(());
        };
        if self.write.operations.len() >= OPERATIONS || self.bytes.saturating_add(bytes) > BYTES {
            self.flush().await?;
        }
        self.write.operations.push(op);
        (self.bytes, self.done.records) = (self.bytes.saturating_add(bytes), self.done.records + 1);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        let write = std::mem::take(&mut self.write);
        self.bytes = 0;
        if write.operations.is_empty() {
            return Ok(());
        }
        self.database.write(&write).await.map(drop)
    }
}

/// The lines of a file, each with its length.
struct Lines(BufReader<File>);

impl Lines {
    fn open(file: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::new(File::open(file)?)))
    }

    fn line(&mut self) -> io::Result<Option<(KvLine, usize)>> {
        let mut bytes = Vec::new();
        self.0.by_ref().take(LINE_MAX).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let line = serde_json::from_slice(&bytes).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("it is no database's backup: {error}"))
        })?;
        Ok(Some((line, bytes.len())))
    }
}

impl Iterator for Lines {
    type Item = io::Result<(KvLine, usize)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line().transpose()
    }
}

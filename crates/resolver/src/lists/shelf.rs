//! Lists on disk. The paper of a list names the file with its text and that file's sum, and is replaced in
//! one step: after a crash the paper and its text are the old ones or the new ones.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use freehold_names::lists::{Counts, Reader, Rule, Syntax};
use freehold_wire::Millis;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{List, ListError};

/// Read at a time.
const PIECE: usize = 64 << 10;
/// The longest paper.
const PAPER: u64 = 64 << 10;

/// What is known of a list that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(super) file: String,
    pub(super) sha256: String,
    syntax: u8,
    bytes: u64,
    lines: u64,
    rules: u64,
    skipped: u64,
    /// What the server calls this text.
    pub(super) etag: Option<String>,
    /// When it was changed last, as the server or the file system says.
    pub(super) modified: Option<String>,
    fetched: u64,
}

impl Kept {
    pub(super) fn new(list: &List, sha256: &str, syntax: Syntax, counts: Counts, fetched: Millis) -> Self {
        let syntax = match syntax {
            Syntax::Hosts => 0,
            Syntax::Domains => 1,
            Syntax::Adblock => 2,
        };
        let Counts { bytes, lines, rules, skipped } = counts;
        let file = format!("{}-{}.list", stem(list), sha256.get(..16).unwrap_or(sha256));
        let (etag, modified, fetched) = (None, None, fetched.0);
        Self {
            file,
            sha256: sha256.to_owned(),
            syntax,
            bytes,
            lines,
            rules,
            skipped,
            etag,
            modified,
            fetched,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let Self { bytes, lines, rules, skipped, .. } = *self;
        Counts { bytes, lines, rules, skipped }
    }

    pub(crate) fn sum(&self) -> &str {
        &self.sha256
    }

    pub(crate) fn fetched(&self) -> Millis {
        Millis(self.fetched)
    }

    fn syntax(&self) -> Syntax {
        match self.syntax {
            0 => Syntax::Hosts,
            2 => Syntax::Adblock,
            _ => Syntax::Domains,
        }
    }
}

/// The folder of all lists.
#[derive(Debug, Clone)]
pub(crate) struct Shelf(PathBuf);

impl Shelf {
    /// The folder, which is made if it is not there.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        freehold_disk::make_private_dir(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// What is kept of a list, if its text is whole.
    pub(crate) fn find(&self, list: &List) -> Result<Option<Kept>, ListError> {
        let paper = match File::open(self.paper(list)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) => return Err(ListError::Damaged),
        };
        let mut text = Vec::new();
        paper.take(PAPER).read_to_end(&mut text).map_err(|_| ListError::Damaged)?;
        let kept: Kept = serde_json::from_slice(&text).map_err(|_| ListError::Damaged)?;
        // A name of ours, and no way out of the folder.
        if !kept.file.starts_with(&stem(list)) || kept.file.contains('/') {
            return Err(ListError::Damaged);
        }
        let mut sum = Sha256::new();
        self.pieces(&kept, |piece| sum.update(piece)).map_err(|_| ListError::Damaged)?;
        if hex::encode(sum.finalize()) != kept.sha256 {
            return Err(ListError::Damaged);
        }
        // One that is pinned since is another one.
        let is_wanted = list.sha256.is_none_or(|wanted| hex::encode(wanted) == kept.sha256);
        Ok(is_wanted.then_some(kept))
    }

    /// Reads the rules of a kept list.
    pub(crate) fn rules(&self, kept: &Kept, take: &mut dyn FnMut(Rule<'_>)) -> Result<(), ListError> {
        let mut reader = Reader::new(kept.syntax(), u64::MAX);
        let mut fed = Ok(());
        self.pieces(kept, |piece| {
            if fed.is_ok() {
                fed = reader.feed(piece, take);
            }
        })
        .map_err(|_| ListError::Damaged)?;
        fed?;
        reader.finish(take);
        Ok(())
    }

    fn pieces(&self, kept: &Kept, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut file = File::open(self.0.join(&kept.file))?;
        let mut piece = vec![0; PIECE];
        loop {
            let len = file.read(&mut piece)?;
            if len == 0 {
                return Ok(());
            }
            take(piece.get(..len).unwrap_or(&[]));
        }
    }

    /// Where a text is written before it is known to be good.
    pub(super) fn draft(&self, list: &List) -> PathBuf {
        self.0.join(format!("{}.new", stem(list)))
    }

    /// Puts a draft, which is on disk, in the place of what is kept.
    pub(super) fn keep(&self, list: &List, kept: &Kept) -> io::Result<()> {
        std::fs::rename(self.draft(list), self.0.join(&kept.file))?;
        self.note(list, kept)
    }

    /// Writes the paper anew.
    pub(super) fn note(&self, list: &List, kept: &Kept) -> io::Result<()> {
        let paper = serde_json::to_vec_pretty(kept).map_err(io::Error::other)?;
        // The folder is made durable with it, so the text's name is as well.
        freehold_disk::replace(&self.paper(list), &paper, 0o600)
    }

    fn paper(&self, list: &List) -> PathBuf {
        self.0.join(format!("{}.json", stem(list)))
    }

    /// Removes what belongs to no list, or to an earlier text of one that is not being fetched.
    pub(crate) fn tidy(&self, wanted: &[Text]) {
        let is_wanted = |name: &str| {
            let of = |text: &&Text| name.starts_with(&stem(&text.list));
            wanted.iter().find(of).is_some_and(|text| {
                let is_text = text.kept.as_ref().is_some_and(|kept| kept.file == name);
                text.under_way || is_text || !is_text_file(name)
            })
        };
        let Ok(files) = std::fs::read_dir(&self.0) else { return };
        for file in files.flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            let is_ours = [".json", ".new", ".list"].iter().any(|end| name.ends_with(end));
            if is_ours && !is_wanted(&name) {
                // What stays is removed the next time.
                drop(std::fs::remove_file(file.path()));
            }
        }
    }
}

/// A list, what is kept of it, and whether it is being fetched.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) list: List,
    pub(crate) kept: Option<Kept>,
    pub(crate) under_way: bool,
}

fn is_text_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "list")
}

/// What the files of a list are called: by where it comes from, whatever people call it.
fn stem(list: &List) -> String {
    let sum = hex::encode(Sha256::digest(list.source.to_string().as_bytes()));
    sum.get(..16).unwrap_or(&sum).to_owned()
}

//! Lists of names as people publish them. What a line of a known syntax says is taken; what it says
//! beyond that (an address to send people to, a path, a part of a page) is left out and counted: a list
//! can stop names and do nothing else.

mod adblock;
mod domains;
mod host;
mod hosts;

use crate::blocked::{Builder, Refused, Shape};

/// No line of a list is longer than this.
const LINE_MAX: usize = 4096;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `0.0.0.0 ads.example`: these names alone.
    Hosts,
    /// `ads.example`: this name and all below it.
    Domains,
    /// `||ads.example^`: this name and all below it; `@@` lets pass.
    Adblock,
}

/// What a list says of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    /// What it covers.
    pub shape: Shape,
    /// It lets pass.
    pub except: bool,
    /// The name, as in a message, in lower case.
    pub name: &'a [u8],
}

impl Rule<'_> {
    /// Puts it into a set, for a list.
    pub fn push(&self, list: u8, builder: &mut Builder) -> Result<(), Refused> {
        let push = if self.except { Builder::except } else { Builder::push };
        push(builder, list, self.shape, self.name)
    }
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It says nothing.
    Empty,
    /// It has rules.
    Taken,
    /// It says what cannot be done here.
    Skipped,
}

impl Syntax {
    /// Reads one line.
    pub fn line(self, line: &[u8], take: &mut dyn FnMut(Rule<'_>)) -> Line {
        let line = line.trim_ascii();
        match self {
            Self::Hosts => hosts::line(line, take),
            Self::Domains => domains::line(line, take),
            Self::Adblock => adblock::line(line, take),
        }
    }

    /// The syntax in which most lines at a list's start say something.
    pub fn guess(start: &[u8]) -> Self {
        let lines: Vec<&[u8]> = start.split(|byte| *byte == b'\n').take(500).collect();
        let taken =
            |syntax: &Self| lines.iter().filter(|line| syntax.line(line, &mut |_| ()) == Line::Taken).count();
        // A list of bare names is both: all below them is what its author meant.
        [Self::Adblock, Self::Domains, Self::Hosts].into_iter().max_by_key(taken).unwrap_or(Self::Domains)
    }
}

/// What a list has brought so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Its length.
    pub bytes: u64,
    /// Its lines.
    pub lines: u64,
    /// Rules taken.
    pub rules: u64,
    /// Lines that say what cannot be done here, or are too long.
    pub skipped: u64,
}

/// Why a list is not put in the place of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is longer than lists may be.
    #[error("the list is longer than {0} bytes")]
    TooLong(u64),
    /// A page that says that there is no list, perhaps.
    #[error("there is not one name in it")]
    Empty,
    /// It was cut off, perhaps.
    #[error("it has {now} names, and had {before}: less than half")]
    Shrunk {
        /// Rules before.
        before: u64,
        /// Rules now.
        now: u64,
    },
}

impl Counts {
    /// Whether a list with these counts may take the place of one with those.
    pub fn fit(&self, before: Option<&Self>) -> Result<(), Unfit> {
        let before = before.map_or(0, |counts| counts.rules);
        match self.rules {
            0 => Err(Unfit::Empty),
            now if now < before.div_ceil(2) => Err(Unfit::Shrunk { before, now }),
            _ => Ok(()),
        }
    }
}

/// Reads a list as it comes, in any pieces.
#[derive(Debug)]
pub struct Reader {
    syntax: Syntax,
    most: u64,
    /// The line that has not ended yet.
    rest: Vec<u8>,
    overlong: bool,
    counts: Counts,
}

impl Reader {
    /// For a list of at most so many bytes.
    pub fn new(syntax: Syntax, most: u64) -> Self {
        Self { syntax, most, rest: Vec::new(), overlong: false, counts: Counts::default() }
    }

    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8], take: &mut dyn FnMut(Rule<'_>)) -> Result<(), Unfit> {
        self.counts.bytes = self.counts.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.counts.bytes > self.most {
            return Err(Unfit::TooLong(self.most));
        }
        let mut left = piece;
        while let Some(end) = left.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = left.split_at_checked(end).unwrap_or((left, &[]));
            self.keep(line);
            self.end_line(take);
            left = rest.get(1..).unwrap_or(&[]);
        }
        self.keep(left);
        Ok(())
    }

    /// Takes the last line, which need not have an end.
    pub fn finish(mut self, take: &mut dyn FnMut(Rule<'_>)) -> Counts {
        if self.overlong || !self.rest.is_empty() {
            self.end_line(take);
        }
        self.counts
    }

    fn keep(&mut self, piece: &[u8]) {
        self.overlong |= self.rest.len() + piece.len() > LINE_MAX;
        if !self.overlong {
            self.rest.extend(piece);
        }
    }

    fn end_line(&mut self, take: &mut dyn FnMut(Rule<'_>)) {
        self.counts.lines += 1;
        let mut rules = 0;
        let mut counting = |rule: Rule<'_>| {
            rules += 1;
            take(rule);
        };
        let skipped = self.overlong || self.syntax.line(&self.rest, &mut counting) == Line::Skipped;
        self.counts.rules += rules;
        self.counts.skipped += u64::from(skipped);
        self.rest.clear();
        self.overlong = false;
    }
}

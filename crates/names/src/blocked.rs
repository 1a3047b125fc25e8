//! The set of blocked names: millions in ten bytes each, asked with one touch of memory for each
//! suffix. Names stand in it as keyed numbers of 64 bits: a false hit among a million happens once in
//! 10^13 questions, and the seed is another one at the next start.

mod table;

use std::collections::BTreeMap;
use std::fmt;

use crate::suffix::{Mixer, Suffixes};
use table::{Member, Table};

/// How many lists there can be; a policy says by one bit each which of them count.
pub const LISTS_MAX: u8 = 32;
/// More names than this are refused unless told.
const NAMES_MAX: usize = 16_000_000;

/// What a rule covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The name alone.
    Exact,
    /// The name and all below it.
    Under,
}

/// A rule that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody may block everything, and nobody needs to block what has more than 32 labels.
    #[error("the rule names no name, or one of more than 32 labels")]
    NoName,
    /// There are 32 lists.
    #[error("there is no list of that number")]
    NoList,
    /// As many names as there may be.
    #[error("there are too many names in the lists")]
    Full,
}

/// Which rule hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The lists that have it, one bit each.
    pub lists: u32,
    /// How many labels of the name, from the right, are the rule's.
    pub depth: usize,
}

/// Blocked names of all lists, and the exceptions that lists make.
pub struct Blocked {
    blocks: Table,
    exceptions: Table,
    members: Vec<Member>,
}

impl Blocked {
    /// Begins a set; names have to be asked for with the same seed.
    pub fn builder(seed: &[u8; 16]) -> Builder {
        Builder {
            mixer: Mixer::new(seed),
            blocked: Self { blocks: Table::default(), exceptions: Table::default(), members: Vec::new() },
            numbers: BTreeMap::new(),
            most: NAMES_MAX,
        }
    }

    /// Whether lists of the mask block the name, and none of them excepts it. Of several rules it is the
    /// one that covers most.
    pub fn hit(&self, name: &Suffixes, lists: u32) -> Option<Hit> {
        let hit = self.blocks.hit(name, lists, &self.members)?;
        self.exceptions.hit(name, lists, &self.members).is_none().then_some(hit)
    }

    /// How many names and exceptions it has.
    pub fn len(&self) -> usize {
        self.blocks.len() + self.exceptions.len()
    }

    /// Whether it blocks nothing.
    pub fn is_empty(&self) -> bool {
        self.blocks.len() == 0
    }

    /// How much memory it takes.
    pub fn bytes(&self) -> usize {
        self.blocks.bytes() + self.exceptions.bytes() + self.members.capacity() * size_of::<Member>()
    }
}

impl fmt::Debug for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocked").field("names", &self.len()).finish_non_exhaustive()
    }
}

/// Takes rules one by one, in any order.
pub struct Builder {
    mixer: Mixer,
    blocked: Blocked,
    numbers: BTreeMap<Member, u16>,
    most: usize,
}

impl Builder {
    /// Makes room at once for about as many names as there will be.
    #[must_use]
    pub fn with_room(mut self, names: usize) -> Self {
        self.blocked.blocks = Table::with_room(names.min(self.most));
        self
    }

    /// Takes no more names than this.
    #[must_use]
    pub fn at_most(mut self, names: usize) -> Self {
        self.most = names;
        self
    }

    /// Blocks a name, which stands as in a message, for those who use the list.
    pub fn push(&mut self, list: u8, shape: Shape, name: &[u8]) -> Result<(), Refused> {
        self.take(false, list, shape, name)
    }

    /// Lets a name pass, whichever list blocks it, for those who use this one.
    pub fn except(&mut self, list: u8, shape: Shape, name: &[u8]) -> Result<(), Refused> {
        self.take(true, list, shape, name)
    }

    fn take(&mut self, except: bool, list: u8, shape: Shape, name: &[u8]) -> Result<(), Refused> {
        if list >= LISTS_MAX {
            return Err(Refused::NoList);
        }
        let name = Suffixes::with(name, self.mixer);
        let whole = name.whole().ok_or(Refused::NoName)?;
        let full = self.blocked.len() >= self.most;
        let Self { blocked: Blocked { blocks, exceptions, members }, numbers, .. } = self;
        let table = if except { exceptions } else { blocks };
        let old = table.member(whole);
        if old.is_none() && full {
            return Err(Refused::Full);
        }
        let mut member = old.and_then(|number| members.get(usize::from(number)).copied()).unwrap_or_default();
        let bits = match shape {
            Shape::Exact => &mut member.exact,
            Shape::Under => &mut member.under,
        };
        *bits |= 1 << list;
        let number = if let Some(number) = numbers.get(&member) {
            *number
        } else {
            let number = u16::try_from(members.len()).map_err(|_| Refused::Full)?;
            members.push(member);
            numbers.insert(member, number);
            number
        };
        table.put(whole, number, name.depth());
        Ok(())
    }

    /// The set, in no more memory than it needs.
    pub fn finish(mut self) -> Blocked {
        self.blocked.blocks.shrink();
        self.blocked.exceptions.shrink();
        self.blocked.members.shrink_to_fit();
        self.blocked
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("names", &self.blocked.len()).finish_non_exhaustive()
    }
}

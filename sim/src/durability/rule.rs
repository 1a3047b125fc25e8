//! Where copies go, and what is done about those that are lost.

/// What is a zone: of two copies in one, the second comes after the first of each other zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// No zones are named.
    Nothing,
    /// Whoever owns the machine.
    Owners,
    /// The town in which it stands.
    Places,
}

/// What is done about copies that are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Nothing.
    None,
    /// They are made good once they are missing.
    Repair,
    /// And where a lender gives notice, before they are.
    Ahead,
}

/// A rule of placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// For people.
    pub name: &'static str,
    /// How many nodes hold each object.
    pub copies: u16,
    /// The owner's machines that store.
    pub own: usize,
    /// In how many houses these stand, 1 or 2.
    pub houses: usize,
    /// Realms that lend room at a time.
    pub lenders: usize,
    /// What is a zone.
    pub apart: Apart,
    /// Whether the machine that wrote keeps what it wrote, wherever it belongs, as long as it lasts: as the program does.
    pub keeps: bool,
    /// If the lenders' rooms are one backend, as one node: how many of its shards give an object back.
    pub data: Option<u32>,
}

const fn at_home(name: &'static str, copies: u16, houses: usize) -> Rule {
    Rule {
        name,
        copies,
        own: copies as usize,
        houses,
        lenders: 0,
        apart: Apart::Places,
        keeps: true,
        data: None,
    }
}

const fn lent(name: &'static str, copies: u16, apart: Apart) -> Rule {
    Rule { name, copies, own: 1, houses: 1, lenders: 6, apart, keeps: true, data: None }
}

const fn coded(name: &'static str, own: usize, lenders: usize, data: u32) -> Rule {
    let copies = if own == 0 { 1 } else { 2 };
    Rule { name, copies, own, houses: 1, lenders, apart: Apart::Owners, keeps: own > 0, data: Some(data) }
}

/// The rules of the table.
pub const RULES: [Rule; 20] = [
    at_home("1 copy", 1, 1),
    at_home("2 copies, one owner, one house", 2, 1),
    at_home("3 copies, one owner, one house", 3, 1),
    at_home("4 copies, one owner, one house", 4, 1),
    at_home("2 copies, one owner, two houses", 2, 2),
    at_home("4 copies, one owner, two houses", 4, 2),
    Rule { lenders: 1, ..lent("2 copies, at home and at one lender's", 2, Apart::Owners) },
    Rule { lenders: 2, ..lent("3 copies, at home and at two lenders'", 3, Apart::Owners) },
    Rule {
        own: 2,
        ..lent("2 copies anywhere, two machines of one's own and six lenders", 2, Apart::Nothing)
    },
    lent("2 copies, different owners", 2, Apart::Owners),
    lent("3 copies, different owners", 3, Apart::Owners),
    lent("4 copies, different owners", 4, Apart::Owners),
    lent("2 copies, different owners and places", 2, Apart::Places),
    lent("3 copies, different owners and places", 3, Apart::Places),
    lent("4 copies, different owners and places", 4, Apart::Places),
    Rule { keeps: false, ..lent("2 copies, different owners, the writer gone", 2, Apart::Owners) },
    Rule { keeps: false, ..lent("3 copies, different owners, the writer gone", 3, Apart::Owners) },
    coded("coded at six lenders, any 4 give it back, the writer gone", 0, 6, 4),
    coded("coded at six lenders, any 3 give it back, the writer gone", 0, 6, 3),
    coded("1 copy at home, and coded at six lenders, any 4", 1, 6, 4),
];

impl Rule {
    /// What lies at a lender's of an object, in twelfths of its size.
    pub fn piece(&self) -> u64 {
        12 / u64::from(self.data.unwrap_or(1)).max(1)
    }
}

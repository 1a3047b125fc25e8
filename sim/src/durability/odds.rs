//! How often what happens. Where the numbers come from is said in docs/durability.md.

/// Realms that delete what they keep for others, and go on saying that they have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defectors {
    /// Of a million realms.
    pub share: usize,
    /// All on the same day, in the middle; else each on a day of its own.
    pub together: bool,
}

/// A world's parameters. What happens by chance is given in millionths a year, spans in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Odds {
    /// Realms, each with an owner of its own.
    pub realms: usize,
    /// How long it goes on.
    pub days: u32,
    /// Objects of each realm: a sample of what it has, all of one size.
    pub objects: usize,
    /// Towns, in which houses stand.
    pub towns: usize,
    /// Of a hundred friends, how many live in the same town.
    pub near: usize,
    /// A disk is lost, with all that is on it.
    pub disk: usize,
    /// An object on a disk is damaged, and nobody is told.
    pub damage: usize,
    /// All machines in a house are lost.
    pub house: usize,
    /// All that an owner's machines hold is lost, wherever they stand.
    pub owner: usize,
    /// All machines in a town are lost.
    pub town: usize,
    /// An owner's machines are off for long.
    pub away: usize,
    /// For at least and at most so long.
    pub away_for: (u32, u32),
    /// A grant is ended by its lender, with notice.
    pub parting: usize,
    /// What lies there can be read for so long after notice was given.
    pub wind_down: u16,
    /// A realm is gone for ever, without a word.
    pub vanishing: usize,
    /// Who defects.
    pub defectors: Defectors,
    /// A machine that was lost has been replaced after this.
    pub replace: u32,
    /// The same where all that was in a house was lost.
    pub rebuild: u32,
    /// A machine that has been away for so long is to be emptied.
    pub give_up: u32,
    /// Another realm that lends is found within this.
    pub find: u32,
    /// What lies on one's own machines is read this often.
    pub check: u32,
    /// The same of what lies at others'.
    pub check_remote: u32,
    /// Objects that are copied in a day, at most.
    pub copied_a_day: u32,
}

impl Odds {
    /// An ordinary world of 200 realms over two years.
    pub const ORDINARY: Self = Self {
        realms: 200,
        days: 728,
        objects: 32,
        towns: 20,
        near: 50,
        disk: 30_000,
        damage: 13_000,
        house: 5_000,
        owner: 10_000,
        town: 500,
        away: 500_000,
        away_for: (7, 90),
        parting: 250_000,
        wind_down: 30,
        vanishing: 30_000,
        defectors: Defectors { share: 0, together: false },
        replace: 7,
        rebuild: 30,
        give_up: 60,
        find: 30,
        check: 7,
        check_remote: 28,
        copied_a_day: 3,
    };

    /// The same with realms that defect: so many of a hundred.
    #[must_use]
    pub const fn defecting(mut self, hundredths: usize, together: bool) -> Self {
        self.defectors = Defectors { share: hundredths * 10_000, together };
        self
    }
}

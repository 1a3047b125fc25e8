//! Where entries are, by their numbers: each lies as near behind its own slot as was free.

/// Entry indices, one more than they are; zero is free. Never more than half full.
pub(super) struct Slots {
    slots: Vec<(u32, u32)>,
}

impl Slots {
    /// For about so many entries.
    pub(super) fn new(entries: usize) -> Self {
        // At most 2^24 entries: two bytes of index would not do, and four always do.
        let count = entries.clamp(8, 1 << 24).next_power_of_two();
        Self { slots: vec![(0, 0); count] }
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<(u32, u32)>()
    }

    pub(super) fn clear(&mut self) {
        self.slots.fill((0, 0));
    }

    pub(super) fn is_full(&self, entries: usize) -> bool {
        entries * 2 >= self.slots.len()
    }

    /// The index of the entry that has the number and is the one.
    pub(super) fn find(&self, hash: u64, is: impl Fn(usize) -> bool) -> Option<usize> {
        let mark = mark(hash);
        let mut at = self.home(mark);
        loop {
            let (index, own) = self.slots.get(at).copied()?;
            if index == 0 {
                return None;
            }
            let index = usize::try_from(index - 1).ok()?;
            if own == mark && is(index) {
                return Some(index);
            }
            at = self.next(at);
        }
    }

    pub(super) fn insert(&mut self, hash: u64, index: usize) {
        let Ok(index) = u32::try_from(index + 1) else { return };
        let mark = mark(hash);
        let mut at = self.home(mark);
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.0 == 0 {
                *slot = (index, mark);
                return;
            }
            at = self.next(at);
        }
    }

    /// Takes an entry out and moves up what had to make way.
    pub(super) fn remove(&mut self, hash: u64, index: usize) {
        let mut at = self.home(mark(hash));
        loop {
            match self.slots.get(at) {
                None | Some((0, _)) => return,
                Some((own, _)) if usize::try_from(*own).is_ok_and(|own| own == index + 1) => break,
                _ => at = self.next(at),
            }
        }
        let mut hole = at;
        loop {
            at = self.next(at);
            let Some((index, mark)) = self.slots.get(at).copied().filter(|(index, _)| *index != 0) else {
                break;
            };
            let distance = |from: usize| at.wrapping_sub(from) & (self.slots.len() - 1);
            if distance(self.home(mark)) >= distance(hole) {
                if let Some(slot) = self.slots.get_mut(hole) {
                    *slot = (index, mark);
                }
                hole = at;
            }
        }
        if let Some(slot) = self.slots.get_mut(hole) {
            *slot = (0, 0);
        }
    }

    fn home(&self, mark: u32) -> usize {
        usize::try_from(mark).unwrap_or(0) & (self.slots.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

/// The part of a number that is kept beside the index.
fn mark(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(0)
}

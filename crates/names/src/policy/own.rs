//! Names that a group allows or blocks itself: few, so sorted numbers will do.

use crate::blocked::Shape;
use crate::domain::Domain;
use crate::suffix::{Mixer, Suffixes};

#[derive(Debug)]
pub(super) struct Own {
    exact: Vec<u64>,
    under: Vec<u64>,
}

impl Own {
    pub(super) fn of(rules: &[(Shape, Domain)], mixer: Mixer) -> Self {
        let numbers = |wanted: Shape| {
            let rules = rules.iter().filter(|(shape, _)| *shape == wanted);
            let mut numbers: Vec<u64> =
                rules.filter_map(|(_, name)| Suffixes::with(name.as_wire(), mixer).whole()).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        };
        Self { exact: numbers(Shape::Exact), under: numbers(Shape::Under) }
    }

    /// How many labels the closest rule for a name has.
    pub(super) fn depth(&self, name: &Suffixes) -> Option<usize> {
        let has = |numbers: &[u64], number: u64| numbers.binary_search(&number).is_ok();
        if name.whole().is_some_and(|whole| has(&self.exact, whole)) {
            return Some(name.depth());
        }
        if self.under.is_empty() {
            return None;
        }
        name.hashes().iter().rposition(|number| has(&self.under, *number)).map(|index| index + 1)
    }
}

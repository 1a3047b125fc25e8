//! What machines and services are called in the realm's zone.

use std::collections::BTreeMap;

/// The longest label of a name.
const LABEL_MAX: usize = 63;
/// How much of an id tells two of one name apart.
const SHORT: usize = 8;

/// A name as one label: ASCII letters in lower case and digits, one hyphen for each run of anything else;
/// nothing if none is left.
pub fn label(name: &str) -> String {
    let mut out = String::with_capacity(name.len().min(LABEL_MAX));
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        if out.len() < LABEL_MAX && (c != '-' || !(out.is_empty() || out.ends_with('-'))) {
            out.push(c);
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    out
}

/// The labels of all, by id: one that several would have goes to none of them, and each has the beginning of
/// its id behind its own. It follows from what is said alone and not from what was said first: nobody takes
/// over a name by being early or late.
pub fn labels<'a, I: Ord + Copy + ToString>(
    names: impl IntoIterator<Item = (I, &'a str)>,
) -> BTreeMap<I, String> {
    let wished: BTreeMap<I, String> = names.into_iter().map(|(id, name)| (id, label(name))).collect();
    let long = |id: &I, label: &str, digits: usize| {
        let id: String = id.to_string().chars().take(digits).collect();
        let room = LABEL_MAX.saturating_sub(id.len() + 1);
        let kept: String = label.chars().take(room).collect();
        let kept = kept.trim_end_matches('-');
        if kept.is_empty() { id } else { format!("{kept}-{id}") }
    };
    let count = |all: &BTreeMap<I, String>| {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for label in all.values() {
            *count.entry(label.clone()).or_default() += 1;
        }
        count
    };
    let often = count(&wished);
    let one = |often: &BTreeMap<String, usize>, label: &str| often.get(label) == Some(&1);
    let short: BTreeMap<I, String> = wished
        .iter()
        .map(|(id, label)| {
            let keeps = !label.is_empty() && one(&often, label);
            (*id, if keeps { label.clone() } else { long(id, label, SHORT) })
        })
        .collect();
    // Beginnings of ids can be made alike, with patience, and names like another's with its id behind.
    let often = count(&short);
    let last = |(id, label): (&I, &String)| {
        let wish = wished.get(id).map_or("", String::as_str);
        (*id, if one(&often, label) { label.clone() } else { long(id, wish, LABEL_MAX) })
    };
    short.iter().map(last).collect()
}

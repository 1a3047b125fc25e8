//! What is known of a request: the keys that conditions name, with their values.

use std::collections::BTreeMap;

/// The keys of a request with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    values: BTreeMap<String, Vec<String>>,
}

/// A key as it is compared: AWS does not look at case, but at that of a tag's name.
pub(crate) fn canonical(key: &str) -> String {
    match key.split_once('/') {
        None => key.to_ascii_lowercase(),
        Some((kind, tag)) => format!("{}/{tag}", kind.to_ascii_lowercase()),
    }
}

impl Context {
    /// Adds a value.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.values.entry(canonical(key)).or_default().push(value.into());
    }

    /// Puts a value in the place of those that are there.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.values.insert(canonical(key), vec![value.into()]);
    }

    pub(crate) fn get(&self, canonical: &str) -> Option<&[String]> {
        self.values.get(canonical).map(Vec::as_slice)
    }
}

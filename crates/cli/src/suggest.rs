//! Suggestions for short commands with letters in the wrong order, where clap has none.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::Cli;

/// Adds the commands that were probably meant.
pub(crate) fn nearest(mut usage: clap::Error, words: impl Iterator<Item = OsString>) -> clap::Error {
    let known = usage.get(ContextKind::SuggestedSubcommand).is_some();
    if usage.kind() != ErrorKind::InvalidSubcommand || known {
        return usage;
    }
    let Some(ContextValue::String(typed)) = usage.get(ContextKind::InvalidSubcommand).cloned() else {
        return usage;
    };
    let mut at = Cli::command();
    for word in words.filter_map(|word| word.into_string().ok()).take_while(|word| *word != typed) {
        if let Some(inner) = at.find_subcommand(&word) {
            at = inner.clone();
        }
    }
    let meant: Vec<String> = at
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .filter(|name| is_near(&typed, name))
        .collect();
    if !meant.is_empty() {
        usage.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(meant));
    }
    usage
}

/// Whether one letter more, less or other, or two in each other's place, make the difference.
fn is_near(typed: &str, meant: &str) -> bool {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().collect(), meant.chars().collect());
    let same = typed.iter().zip(&meant).take_while(|(one, other)| one == other).count();
    let (typed, meant) = (typed.get(same..).unwrap_or_default(), meant.get(same..).unwrap_or_default());
    match (typed, meant) {
        ([_, one @ ..], [_, other @ ..]) if one == other => true,
        ([a, b, one @ ..], [c, d, other @ ..]) if a == d && b == c && one == other => true,
        ([_, one @ ..], other) | (other, [_, one @ ..]) if one == other => true,
        _ => false,
    }
}

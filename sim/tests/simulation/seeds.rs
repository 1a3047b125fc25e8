//! Runs many seeds; a failure prints its trace and how to replay it.

use freehold_sim::{Failure, Trace};

#[expect(clippy::disallowed_methods, reason = "a person chooses the seed; what runs does not see it")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Runs one seed if one is named, else as many as asked for.
pub(crate) fn all(test: &str, usual: u64, run: impl Fn(u64) -> Result<Trace, Failure>) {
    if let Some(seed) = number("FREEHOLD_SEED") {
        match run(seed) {
            Ok(trace) => println!("{trace}seed {seed}: right"),
            Err(failure) => panic!("\n{failure}"),
        }
        return;
    }
    let seeds = number("FREEHOLD_SEEDS").unwrap_or(usual);
    let mut lines = 0;
    for seed in 0..seeds {
        match run(seed) {
            Ok(trace) => lines += trace.lines().len(),
            Err(failure) => panic!(
                "\n{failure}\nreplay: FREEHOLD_SEED={seed} cargo test -p freehold-sim --test simulation -- {test} --nocapture"
            ),
        }
    }
    println!("{seeds} seeds, {lines} lines of trace");
}

//! Feeds every file of `fuzz/corpus` to the probe of its target, without the fuzzer. What the
//! fuzzer once found stays found: a crash becomes a file there, and so a failing test here.

#![cfg(test)]

use std::path::PathBuf;

#[path = "../../fuzz/src/probe.rs"]
#[expect(unreachable_pub, reason = "the fuzz package calls the same file from outside")]
mod probe;
mod seeds;

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

fn replay(target: &str, probe: fn(&[u8])) {
    let mut files = 0;
    for file in std::fs::read_dir(corpus(target)).unwrap() {
        let path = file.unwrap().path();
        // Shown only if the probe panics.
        eprintln!("{}", path.display());
        probe(&std::fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files > 0, "no corpus for {target}");
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name), probe::$name);
        })*

        /// Writes one valid input of each kind, for the fuzzer to start from:
        /// `cargo test -p story-corpus -- --ignored`.
        #[test]
        #[ignore = "writes the files"]
        #[expect(clippy::disallowed_methods, reason = "a corpus need not survive a crash")]
        fn plant() {
            $(for (name, bytes) in seeds::$name() {
                std::fs::create_dir_all(corpus(stringify!($name))).unwrap();
                std::fs::write(corpus(stringify!($name)).join(format!("seed-{name}")), bytes).unwrap();
            })*
        }
    };
}

targets! { wire crypt realm seal attack sync placement world mesh node api access documents packet names gateway passes pools router onion }

/// The probes refuse to call garbage good, so a seed must be good: that they start deep inside.
#[test]
fn seeds_are_valid() {
    for (name, bytes) in seeds::realm() {
        assert!(name == "export" || freehold_realm::Op::decode(&bytes).is_ok(), "{name}");
    }
    for (name, bytes) in seeds::placement() {
        let entry = freehold_placement::Entry::decode(&bytes).is_ok();
        let message = freehold_placement::Message::decode(&bytes).is_ok();
        assert!(entry || message || name == "conversation", "{name}");
    }
}

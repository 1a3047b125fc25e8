//! One test: its folder, its network, and what is left behind when it fails.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::host::Host;
use crate::network::{Router, Switch, Translation};

/// How much of each log a failure shows.
const TAIL_LINES: usize = 40;

/// A test in progress.
#[derive(Debug)]
pub struct Story {
    folder: PathBuf,
    street: OnceLock<Switch>,
    routers: AtomicU8,
}

impl Story {
    /// A host on the street: it reaches every other host there, and they reach it.
    pub fn host(&self, name: &str) -> Result<Host> {
        Host::new(name, self.street()?.cable()?, &self.folder)
    }

    /// A router on the street with a network of its own behind it, which no hole punches.
    pub fn router(&self) -> Result<Router> {
        self.router_that(Translation::Symmetric)
    }

    /// A router on the street with a network of its own behind it.
    pub fn router_that(&self, translates: Translation) -> Result<Router> {
        Router::new(self.street()?, [192, 168, self.next_router()], translates)
    }

    /// A router behind a router, as where the provider translates addresses too.
    pub fn router_behind(&self, provider: &Router, translates: Translation) -> Result<Router> {
        provider.behind([192, 168, self.next_router()], translates)
    }

    fn next_router(&self) -> u8 {
        self.routers.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// A host behind a router.
    pub fn host_behind(&self, router: &Router, name: &str) -> Result<Host> {
        Host::new(name, router.cable()?, &self.folder)
    }

    /// Where the story keeps its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of `size` bytes that no compression shrinks and no other seed repeats.
    pub fn file(&self, name: &str, size: usize, seed: u64) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut bytes = Vec::with_capacity(size.saturating_add(8));
        while bytes.len() < size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        bytes.truncate(size);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::io::Write::write_all(&mut std::fs::File::create(&path)?, &bytes)?;
        Ok(path)
    }

    fn street(&self) -> Result<&Switch> {
        if self.street.get().is_none() {
            let made = Switch::new([10, 77, 0]).context("network namespaces need root or `unshare -rnm`")?;
            return Ok(self.street.get_or_init(|| made));
        }
        self.street.get().context("the street was made above")
    }
}

/// Tells a story in a folder of its own. If it fails, the folder stays, and the ends of its logs are
/// shown.
pub fn story(name: &str, tell: impl FnOnce(&Story) -> Result<()>) -> Result<()> {
    // Short, since a socket's path has at most 107 bytes.
    let folder: TempDir = tempfile::Builder::new().prefix("fh-").tempdir()?;
    let told =
        Story { folder: folder.path().to_path_buf(), street: OnceLock::new(), routers: AtomicU8::new(0) };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tell(&told)));
    let failed = !matches!(outcome, Ok(Ok(())));
    if failed || std::env::var_os("FREEHOLD_TEST_KEEP").is_some() {
        let kept = folder.keep();
        if failed {
            show(&kept);
        }
        tell_developer(&format!("{name}: its files are in {}", kept.display()));
    }
    match outcome {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn show(folder: &Path) {
    let mut logs = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("home") {
                folders.push(path);
            } else if path.extension().is_some_and(|own| own == "log") {
                logs.push(path);
            }
        }
    }
    logs.sort();
    for log in logs {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
        tell_developer(&format!("--- {}\n{}", log.display(), tail.join("\n")));
    }
}

#[expect(clippy::print_stderr, reason = "the test runner captures it and shows it with the failure")]
fn tell_developer(text: &str) {
    eprintln!("{text}");
}

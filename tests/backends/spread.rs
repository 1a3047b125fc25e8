//! One backend on the stores of three vendors, of which any may be lost.

use anyhow::{Context, Result, ensure};
use freehold_api::BackendState;
use freehold_harness::{Host, SeaweedFs, eventually, story, until};

use super::burned::{journaled, recovery, two_phrases, words};
use super::{OBJECTS, backend, blobs, identical, is, photos, upload};

/// Bytes that lie at a vendor's.
fn held(vendor: &SeaweedFs<'_>) -> Result<u64> {
    let listed = vendor.s3()?.aws(&["s3", "ls", "--recursive", "--summarize", "s3://attic"])?;
    let size = listed.out.lines().find_map(|line| line.trim().strip_prefix("Total Size: ")?.parse().ok());
    size.with_context(|| format!("no size in {listed:?}"))
}

#[test]
fn three_vendors_are_one_store_and_any_of_them_may_go() -> Result<()> {
    story("three_vendors_are_one_store", |story| {
        let alice = story.host("alice")?;
        let far: Vec<Host> =
            ["first", "second", "third"].map(|name| story.host(name)).into_iter().collect::<Result<_>>()?;
        let mut one = alice.node()?;
        let mut vendors = Vec::new();
        for host in &far {
            vendors.push(SeaweedFs::start(host, &["attic"])?);
        }
        let original = photos(story)?;
        let ready = one.up(&["--name", "smith"])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        let mut command = ["backend", "attach", "spread", "--bucket", "attic"].map(str::to_owned).to_vec();
        for vendor in &vendors {
            command.extend(["--s3".to_owned(), vendor.endpoint()]);
            command.extend(["--credentials".to_owned(), vendor.credentials().to_string_lossy().into_owned()]);
        }
        let typed = |more: &[&str]| {
            let all: Vec<&str> = command.iter().map(String::as_str).chain(more.iter().copied()).collect();
            one.cli(&all)
        };
        typed(&[])?.refused(2, &["may be lost"])?;
        typed(&["--may-lose", "3"])?.refused(2, &["may be lost"])?;
        typed(&["--may-lose", "1"])?.good()?;
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        let said = one.cli(&["backend", "list"])?.good()?.out;
        ensure!(said.contains("and on 2 more, of which 1 may be lost"), "{said}");

        // Each vendor has about half of it.
        let used = backend(&one, "spread")?.used.unwrap_or_default();
        for vendor in &vendors {
            let held = held(vendor)?;
            ensure!(held > used / 2 && held < used, "{held} of {used}");
        }

        // One of them is gone, and so is everything here: the other two give it back.
        if let Some(vendor) = vendors.get_mut(1) {
            vendor.kill()?;
            std::fs::remove_dir_all(vendor.disk())?;
            std::fs::create_dir_all(vendor.disk())?;
        }
        for blob in blobs(&one)? {
            std::fs::remove_file(blob)?;
        }
        ensure!(identical(&one, &ready, &original)?, "two of three do not give everything back");
        is(&one, "spread", BackendState::Up)?;
        one.cli(&["bucket", "verify", "photos"])?.good()?;

        // It comes back with nothing, gets its part anew, and then another one may go.
        if let Some(vendor) = vendors.get_mut(1) {
            vendor.resume()?;
            vendor.make_bucket("attic")?;
        }
        one.stop()?;
        let ready = one.resume()?;
        until(90, "the second vendor has its part again", || {
            let held = held(vendors.get(1).context("no vendor")?)?;
            ensure!(held > used / 2, "{held} of {used}");
            Ok(())
        })?;
        if let Some(vendor) = vendors.get_mut(0) {
            vendor.kill()?;
        }
        for blob in blobs(&one)? {
            std::fs::remove_file(blob)?;
        }
        eventually(60, "the other two give everything back", || identical(&one, &ready, &original))
    })
}

#[test]
fn two_of_three_vendors_bring_everything_back_after_the_only_machine_burned() -> Result<()> {
    story("two_of_three_vendors", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let far: Vec<Host> =
            ["first", "second", "third"].map(|name| story.host(name)).into_iter().collect::<Result<_>>()?;
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let mut vendors = Vec::new();
        for host in &far {
            vendors.push(SeaweedFs::start(host, &["attic"])?);
        }
        let original = photos(story)?;
        let ready = one.up(&["--name", "smith"])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        let mut command = ["backend", "attach", "spread", "--bucket", "attic", "--may-lose", "1"]
            .map(str::to_owned)
            .to_vec();
        for vendor in &vendors {
            command.extend(["--s3".to_owned(), vendor.endpoint()]);
            command.extend(["--credentials".to_owned(), vendor.credentials().to_string_lossy().into_owned()]);
        }
        one.cli(&words(&command))?.good()?;
        let (card, file) = (one.card()?, two_phrases(story, &one)?);
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        journaled(&one, "spread")?;
        one.destroy()?;
        if let Some(vendor) = vendors.get_mut(0) {
            vendor.kill()?;
        }

        // In another order than they were attached.
        let left: Vec<&SeaweedFs<'_>> = vendors.iter().skip(1).rev().collect();
        other.launch(&words(&recovery(&card, &file, &left)))?;
        // The store that is gone is waited for, more than once.
        let ready = until(150, "the node is up", || other.ready())?;
        is(&other, "spread", BackendState::Up)?;
        eventually(90, "two of three give everything back", || identical(&other, &ready, &original))?;
        // One alone is too little, and says so.
        let carol = story.host("carol")?;
        let third = carol.node()?;
        let alone = left.first().context("no vendor")?;
        third.cli(&words(&recovery(&card, &file, &[alone])))?.failed(&["the realm was not recovered"])?;
        is(&other, "spread", BackendState::Up)
    })
}

//! Nothing is left but the store: two phrases, the card and the store's key bring everything back.

use std::time::Instant;

use anyhow::{Result, ensure};
use freehold_api::BackendState;
use freehold_harness::{Node, SeaweedFs, Story, eventually, story, until};

use super::{OBJECTS, attach, backend, identical, is, photos, upload, write};

/// Waits until what was written until now is in the journal on the store.
pub(crate) fn journaled(node: &Node<'_>, name: &str) -> Result<()> {
    let began = Instant::now();
    until(60, "what is known here is on the store", || {
        let waited = began.elapsed().as_millis();
        let now = backend(node, name)?;
        ensure!(now.journal_ms.is_some_and(|age| u128::from(age) < waited), "{now:?}");
        Ok(())
    })
}

/// What is typed on the new machine.
fn stores(vendor: &SeaweedFs<'_>) -> Vec<String> {
    let key = vendor.credentials().to_string_lossy().into_owned();
    ["--s3", &vendor.endpoint(), "--bucket", "attic", "--credentials", &key].map(str::to_owned).to_vec()
}

/// A file with two of the realm's phrases.
pub(crate) fn two_phrases(story: &Story, node: &Node<'_>) -> Result<String> {
    let phrases = std::fs::read_to_string(node.guardians())?;
    let two: Vec<&str> = phrases.lines().skip(1).collect();
    let file = story.folder().join("two-phrases");
    write(&file, two.join("\n").as_bytes())?;
    Ok(file.to_string_lossy().into_owned())
}

/// The whole command.
pub(crate) fn recovery(card: &str, phrases: &str, vendors: &[&SeaweedFs<'_>]) -> Vec<String> {
    let typed = ["recover", "--card", card, "--guardians-file", phrases, "--name", "new"];
    let all = typed.into_iter().map(str::to_owned);
    all.chain(vendors.iter().flat_map(|vendor| stores(vendor))).collect()
}

pub(crate) fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

#[test]
fn phrases_card_and_store_bring_everything_back_after_the_only_machine_burned() -> Result<()> {
    story("the_only_machine_burned", |story| {
        let (alice, far) = (story.host("alice")?, story.host("vendor")?);
        let (bob, carol) = (story.host("bob")?, story.host("carol")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let vendor = SeaweedFs::start(&far, &["attic"])?;
        let original = photos(story)?;
        let ready = one.up(&["--name", "smith"])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        attach(&one, &vendor, "offsite", &[])?.good()?;
        let card = one.card()?;
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        journaled(&one, "offsite")?;
        let file = two_phrases(story, &one)?;
        let command = recovery(&card, &file, &[&vendor]);

        // As long as the machine that runs it lives, nobody takes it over.
        let third = carol.node()?;
        third.cli(&words(&command))?.refused(1, &["another machine runs the backend offsite"])?;
        is(&one, "offsite", BackendState::Up)?;

        // It burns, at any moment.
        one.destroy()?;
        let ready = other.start(&words(&command))?;
        let log = other.log()?;
        for line in ["Found the realm smith", "last written there", "offsite"] {
            ensure!(log.contains(line), "no {line} in {log}");
        }
        is(&other, "offsite", BackendState::Up)?;
        eventually(90, "everything reads back identical", || identical(&other, &ready, &original))?;
        let recoveries = other.status()?.recoveries;
        ensure!(recoveries.len() == 1, "{recoveries:?}");

        // It goes on there, over a restart, and another machine could take it over from this one.
        other.stop()?;
        let ready = other.resume()?;
        is(&other, "offsite", BackendState::Up)?;
        journaled(&other, "offsite")?;
        eventually(90, "everything still reads back identical", || identical(&other, &ready, &original))
    })
}

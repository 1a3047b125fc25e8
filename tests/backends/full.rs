//! A vendor's store that is full: what it has stays, nothing half comes to it, and it is said.

use std::path::Path;

use anyhow::{Result, ensure};
use freehold_api::BackendState;
use freehold_harness::{Node, Ready, story, until};

use super::{MIB, is};

/// What lies in the friend's bucket, with uploads that were never finished.
fn lying(friend: &Node<'_>, ready: &Ready) -> Result<String> {
    let s3 = friend.s3(ready)?;
    let listed = s3.aws(&["s3", "ls", "--recursive", "s3://attic"])?.out;
    let begun = s3.aws(&["s3api", "list-multipart-uploads", "--bucket", "attic", "--query", "Uploads"])?;
    Ok(listed + begun.good()?.out.trim())
}

#[test]
fn a_full_store_is_told_and_takes_no_half_of_an_object() -> Result<()> {
    story("a_full_store", |story| {
        let (alice, far) = (story.host("alice")?, story.host("friend")?);
        let (mut one, mut friend) = (alice.node()?, far.node()?);
        let listen = far.address().to_string();
        let at_friend = friend.up(&["--name", "friend", "--s3-listen", &listen])?;
        friend.cli(&["bucket", "create", "attic", "--copies", "1"])?.good()?;
        let key = Path::new(at_friend.text("s3_credentials")?).to_string_lossy().into_owned();
        let ready = one.up(&["--name", "smith"])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        let store = ["--s3", at_friend.text("s3")?, "--bucket", "attic", "--region", "freehold"];
        let attach = [&["backend", "attach", "offsite", "--credentials", &key], &store[..]].concat();
        one.cli(&attach)?.good()?;
        let s3 = one.s3(&ready)?;
        let put = |name: &str, len: usize| {
            let file = story.file(name, len, len as u64)?;
            s3.aws(&["s3", "cp", &file.to_string_lossy(), &format!("s3://photos/{name}")])
        };
        put("small", 300_000)?.good()?;
        one.protected("photos", 1)?;

        // The friend gives no more.
        friend.cli(&["quota", "set", "--bucket", "attic", "6MB"])?.good()?;
        put("large", 20 * MIB)?.good()?;
        one.alarmed(&["the backend offsite", "full"])?;
        let photos = one.bucket("photos")?;
        ensure!(photos.waiting == 1, "{photos:?}");
        is(&one, "offsite", BackendState::Up)?;
        until(60, "nothing of it is left there", || {
            let lying = lying(&friend, &at_friend)?;
            let long = lying.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<usize>().ok());
            ensure!(long.clone().all(|len| len < MIB) && !lying.contains("UploadId"), "{lying}");
            Ok(())
        })?;

        // There is room again: it goes on by itself.
        friend.cli(&["quota", "set", "--bucket", "attic", "none"])?.good()?;
        one.protected("photos", 2)?;
        until(60, "the alarm is over", || {
            let alarms = one.status()?.alarms;
            ensure!(!alarms.iter().any(|alarm| alarm.what.contains("offsite")), "{alarms:?}");
            Ok(())
        })
    })
}

//! A tenant's node in somebody else's realm: that realm's other nodes store what they cannot read.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use freehold_harness::{Ready, S3, python, story, until};

use crate::disk;

const BUCKET: &str = "lawyers-files";
const NAME: &str = "clients/quillfeather/contract.txt";
const SENTENCE: &str = "the heron pays nine hundred and twelve ducats to quillfeather. ";

/// Reads a process's memory, as its machine's owner can.
fn memory(pid: u32) -> Result<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut from = std::fs::File::open(format!("/proc/{pid}/mem"))?;
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let (start, end) = range.split_once('-').context("a range of memory")?;
        let (start, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
        if !rights.starts_with('r') || line.contains("[v") {
            continue;
        }
        from.seek(SeekFrom::Start(start))?;
        // What is reserved and not there yet cannot be read; nothing is in it.
        let mut page = vec![0; 1 << 16];
        let mut left = end.saturating_sub(start);
        while left > 0 {
            let want = usize::try_from(left.min(1 << 16))?;
            let Some(into) = page.get_mut(..want) else { break };
            match from.read(into) {
                Ok(0) | Err(_) => break,
                Ok(got) => {
                    all.extend_from_slice(page.get(..got).unwrap_or_default());
                    left = left.saturating_sub(got as u64);
                }
            }
        }
    }
    ensure!(all.len() > 1 << 20, "only {} bytes of memory were read", all.len());
    Ok(all)
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    let Some(first) = what.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        let from = rest.get(at..).unwrap_or_default();
        if from.starts_with(what) {
            return true;
        }
        rest = from.get(1..).unwrap_or_default();
    }
    false
}

fn disk_holds(home: &Path, what: &[u8]) -> Result<bool> {
    for file in disk::files(home)? {
        if holds(&std::fs::read(&file)?, what) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A client that has begun to read the object, and waits.
fn reading(s3: &S3<'_>) -> Result<std::process::Child> {
    const READ: &str = "import boto3, sys\n\
        body = boto3.client('s3').get_object(Bucket=sys.argv[1], Key=sys.argv[2])['Body']\n\
        body.read(1000)\nprint('reading', flush=True)\nsys.stdin.read()";
    let mut client = s3
        .command(&python("python")?)
        .args(["-c", READ, BUCKET, NAME])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(client.stdout.take().context("it has an output")?).read_line(&mut line)?;
    ensure!(line.trim() == "reading", "the object does not come: {line:?}");
    Ok(client)
}

#[test]
fn a_hosting_node_holds_nothing_that_opens_what_it_stores() -> Result<()> {
    story("a_hosting_node_holds_nothing_that_opens_what_it_stores", |story| {
        let (town, desk) = (story.host("town")?, story.host("desk")?);
        let (mut hosting, mut tenant) = (town.node()?, desk.node()?);
        hosting.up(&["--name", "town"])?;
        let invitation = hosting.invite(&["--roles", "storage,gateway"])?;
        let ready: Ready = tenant.join(&invitation, "desk")?;
        until(60, "the two are connected", || {
            ensure!(tenant.connections()? == 1, "not yet");
            Ok(())
        })?;

        // The hosting node cannot make a bucket for somebody else alone: it would make the key.
        hosting
            .cli(&["bucket", "create", "other", "--only-for", "desk"])?
            .failed(&["this node would make its key"])?;
        tenant.cli(&["bucket", "create", BUCKET, "--copies", "2", "--only-for", "desk"])?.good()?;
        let secret = story.folder().join("contract");
        std::fs::File::create(&secret)?.write_all(SENTENCE.repeat(200_000).as_bytes())?;
        let s3 = tenant.s3(&ready)?;
        let to = format!("s3://{BUCKET}/{NAME}");
        s3.aws(&["s3", "cp", &secret.to_string_lossy(), &to])?.good()?;
        tenant.protected(BUCKET, 1)?;
        let bucket = tenant.bucket(BUCKET)?.id;

        // Both at work with it: one reads, the other has stored, verified and listed.
        let listed = hosting.cli(&["bucket", "list"])?.good()?;
        ensure!(
            !listed.out.contains(BUCKET) && listed.out.contains(bucket.get(..8).unwrap_or("?")),
            "{listed:?}"
        );
        let mut client = reading(&s3)?;
        let hosts = memory(hosting.pid().context("it runs")?)?;
        let tenants = memory(tenant.pid().context("it runs")?)?;
        client.kill()?;
        client.wait()?;
        for node in [&mut hosting, &mut tenant] {
            node.stop()?;
        }

        let known = disk::open(tenant.home(), &[disk::box_secret(tenant.home())?], &disk::Opened::default())?;
        ensure!(
            known.objects.get(NAME).is_some_and(|bytes| bytes.starts_with(SENTENCE.as_bytes())),
            "its own keys open it"
        );
        let bucket_key = known.keys.iter().rfind(|((of, _), _)| *of != freehold_seal::KeyOf::Directory);
        let (_, bucket_key) = bucket_key.context("the tenant has the bucket's key")?;
        let object_key = known.object_keys.first().context("and the object's")?;
        let secrets: [(&str, &[u8]); 5] = [
            ("the text", SENTENCE.as_bytes()),
            ("the object's key", object_key.expose()),
            ("the bucket's key", bucket_key.secret().expose()),
            ("the object's name", b"quillfeather/contract"),
            ("the bucket's name", BUCKET.as_bytes()),
        ];
        for (what, bytes) in secrets {
            ensure!(!holds(&hosts, bytes), "{what} is in the hosting node's memory");
            ensure!(!disk_holds(hosting.home(), bytes)?, "{what} is on the hosting node's disk");
            ensure!(holds(&tenants, bytes), "the control does not find {what} in the tenant's memory");
        }
        // It does hold the ciphertext: with the tenant's keys its disk opens, with its own nothing does.
        let none = disk::Opened::default();
        let own = disk::open(hosting.home(), &[disk::box_secret(hosting.home())?], &none)?;
        ensure!(own.names.iter().any(|name| name == "desk"), "it reads the directory: {:?}", own.names);
        ensure!(own.objects.is_empty() && own.object_keys.is_empty(), "its own keys open something");
        let with = disk::open(hosting.home(), &[], &known)?;
        ensure!(with.objects.contains_key(NAME), "it stores what the tenant wrote");
        Ok(())
    })
}

//! A private bucket that more than one node holds.

use anyhow::{Result, ensure};
use freehold_api::BucketKeys;
use freehold_harness::{Ready, story, until};

use crate::{get, keys, put};

const BUCKET: &str = "letters";

#[test]
fn who_writes_in_a_private_bucket_shares_it_and_takes_it_back() -> Result<()> {
    story("who_writes_in_a_private_bucket_shares_it_and_takes_it_back", |story| {
        let (town, desk, lamp) = (story.host("town")?, story.host("desk")?, story.host("lamp")?);
        let (mut hosting, mut tenant, mut friend) = (town.node()?, desk.node()?, lamp.node()?);
        hosting.up(&["--name", "town"])?;
        let ready: Ready = tenant.join(&hosting.invite(&["--roles", "storage,gateway"])?, "desk")?;
        let there: Ready = friend.join(&hosting.invite(&["--roles", "storage,gateway"])?, "lamp")?;
        until(60, "all are connected", || {
            ensure!(tenant.connections()? == 2 && friend.connections()? == 2, "not yet");
            Ok(())
        })?;
        tenant.cli(&["bucket", "create", BUCKET, "--copies", "2", "--only-for", "desk"])?.good()?;
        let (s3, away) = (tenant.s3(&ready)?, friend.s3(&there)?);
        put(&s3, BUCKET, "first", "dear self")?;
        let alone = ["this node makes the next key, and would not hold it any more"];
        tenant.cli(&["bucket", "unshare", BUCKET, "--with", "desk"])?.failed(&alone)?;
        tenant.cli(&["bucket", "share", BUCKET, "--with", "desk", "--read-only"])?.failed(&alone)?;
        ensure!(keys(&tenant, BUCKET)?.current == 1, "half of it was done");

        tenant.cli(&["bucket", "share", BUCKET, "--with", "lamp"])?.good()?;
        until(60, "the friend reads it", || {
            ensure!(get(&away, BUCKET, "first")? == "dear self", "something else");
            Ok(())
        })?;
        until(60, "and writes", || put(&away, BUCKET, "answer", "dear tenant"))?;
        // The friend makes the next key, which the tenant takes.
        friend.cli(&["bucket", "rotate", BUCKET])?.good()?;
        until(60, "the tenant seals with it", || {
            ensure!(keys(&tenant, BUCKET)?.current == 2, "not yet");
            Ok(())
        })?;

        // The realm gives the same name to a bucket that all its keepers read.
        let private = tenant.bucket(BUCKET)?.id;
        hosting.cli(&["bucket", "create", BUCKET])?.good()?;
        until(60, "both know of it", || {
            let short = private.get(..8).unwrap_or("?");
            ensure!(friend.bucket(short)?.id == private, "the friend takes it for the directory's");
            Ok(())
        })?;
        ensure!(tenant.bucket(BUCKET)?.id == private, "what the tenant writes goes to the keepers");

        let taken: BucketKeys = tenant.ask(&["bucket", "unshare", BUCKET, "--with", "lamp"])?;
        let names: Vec<&str> = taken.holders.iter().map(|holder| holder.name.as_str()).collect();
        ensure!(taken.current == 3 && names == ["desk"] && taken.to_rotate.is_empty(), "{taken:?}");
        // As after every start: what holds is read anew.
        tenant.stop()?;
        let ready = tenant.resume()?;
        let s3 = tenant.s3(&ready)?;
        put(&s3, BUCKET, "secret", "not for the friend")?;
        ensure!(get(&s3, BUCKET, "answer")? == "dear tenant", "it does not open what the friend wrote");
        ensure!(keys(&tenant, BUCKET)?.current == 3, "it has another key than before");
        let short = private.get(..8).unwrap_or("?");
        until(60, "it is stored with the friend", || {
            ensure!(tenant.bucket(BUCKET)?.waiting == 0 && friend.bucket(short)?.waiting == 0, "it waits");
            Ok(())
        })?;
        ensure!(get(&away, short, "secret").is_err(), "the friend reads what came afterwards");
        Ok(())
    })
}

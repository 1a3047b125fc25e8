//! `freehold bucket keys`, `rotate`, `share` and `unshare`.

use freehold_api::words::{self, count, verb};
use freehold_api::{BucketAccess, BucketKeys, Client, Problem, Rewrapped, Rotated, Rotation, Share};

use crate::ask::show;
use crate::terminal::Terminal;

pub(crate) async fn keys(terminal: Terminal, client: &Client, name: &str) -> Result<(), Problem> {
    let keys = client.bucket_keys(name).await?;
    show(terminal, &keys, shown)
}

pub(crate) async fn rotate(
    terminal: Terminal,
    client: &Client,
    name: Option<String>,
    rewrap: bool,
) -> Result<(), Problem> {
    let next = Rotation { bucket: name.clone() };
    let Some(name) = name.filter(|_| rewrap) else {
        return show(terminal, &client.rotate(&next).await?, made);
    };
    let keys = client.bucket_keys(&name).await?;
    let with = if is_fresh(&keys) {
        format!("Key {} has sealed no object yet, so no other was made.", keys.current)
    } else {
        made(&client.rotate(&next).await?)
    };
    let mut all = Rewrapped::default();
    loop {
        let some = client.rewrap(&name).await?;
        all = Rewrapped { done: all.done.saturating_add(some.done), ..some };
        if !some.more {
            break;
        }
    }
    show(terminal, &all, |all| format!("{with}\n{}", rewrapped(all)))
}

/// Whether the newest key is one that nobody knows who should not, and that has sealed nothing yet.
fn is_fresh(keys: &BucketKeys) -> bool {
    let used = keys.sealed.iter().any(|sealed| sealed.key == keys.current && sealed.versions > 0);
    keys.current > 1 && !used && keys.to_rotate.is_empty()
}

pub(crate) async fn share(
    terminal: Terminal,
    client: &Client,
    name: &str,
    with: String,
    read_only: bool,
) -> Result<(), Problem> {
    let keys = client.share(name, &Share { with, read_only }).await?;
    show(terminal, &keys, shown)
}

pub(crate) async fn unshare(
    terminal: Terminal,
    client: &Client,
    name: &str,
    with: &str,
) -> Result<(), Problem> {
    let keys = client.unshare(name, with).await?;
    show(terminal, &keys, shown)
}

fn made(rotated: &Rotated) -> String {
    if rotated.rotated.is_empty() {
        return "Nobody knows a key who should not: nothing was rotated.".to_owned();
    }
    let line = |what: &String| format!("A new key seals what is written into {what} from now on.");
    rotated.rotated.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn rewrapped(all: &Rewrapped) -> String {
    let done = format!("{} sealed anew, no blob touched.", count(all.done, "entry"));
    if all.left == 0 {
        return done;
    }
    let stay = verb(all.left, "stays", "stay");
    format!(
        "{done} {} {stay} under an earlier key: this node does not hold what they name; type it on \
         another node too.",
        count(all.left, "entry")
    )
}

fn shown(keys: &BucketKeys) -> String {
    let (bucket, key) = (&keys.bucket, keys.current);
    let mut out = vec![match keys.access {
        BucketAccess::Writes | BucketAccess::Stores => {
            format!("{bucket}: key {key} seals what is written now")
        }
        BucketAccess::Reads => {
            format!("{bucket}: key {key} is the newest here; this node only reads the bucket")
        }
        BucketAccess::TakenBack => format!(
            "{bucket}: taken back from this node, which writes nothing into it; key {key} is the last that it \
             was given"
        ),
    }];
    for sealed in &keys.sealed {
        let are = verb(sealed.versions, "is", "are");
        out.push(format!(
            "  key {:<4} {} {are} sealed with it",
            sealed.key,
            count(sealed.versions, "version")
        ));
    }
    out.push(if keys.private {
        "  only those read it who are named here:".to_owned()
    } else if keys.holders.is_empty() {
        "  every node with the role secrets reads it".to_owned()
    } else {
        "  every node with the role secrets reads it, and:".to_owned()
    });
    for holder in &keys.holders {
        let what = if holder.person { "person" } else { "node" };
        let only = if holder.read_only { ", only reads" } else { "" };
        let short: String = holder.id.chars().take(8).collect();
        out.push(format!("    {:<16} {short}  {what}{only}", holder.name));
    }
    if !keys.to_rotate.is_empty() {
        let known = keys.to_rotate.join(", ");
        out.push(format!(
            "  {known} knows the newest key and should not: freehold bucket rotate {}",
            words::typed(&keys.bucket)
        ));
    }
    out.join("\n")
}

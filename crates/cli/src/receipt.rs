//! `freehold bucket erase` and `freehold receipt`.

use std::path::Path;

use freehold_api::words::{self, count};
use freehold_api::{Client, Erasure, ErasureNode, ErasurePlan, ObjectErasurePlan, ObjectToErase, Problem};

use crate::args::{ObjectCommand, ReceiptCommand};
use crate::ask::show;
use crate::host::Host;
use crate::realm::{read_file, write};
use crate::terminal::Terminal;

pub(crate) async fn erase(
    terminal: Terminal,
    client: &Client,
    typed: &str,
    dry_run: bool,
) -> Result<(), Problem> {
    let plan = client.plan_erasure(typed).await?;
    if dry_run {
        return show(terminal, &plan, planned);
    }
    if terminal.can_ask() {
        terminal.say(planned(&plan));
    }
    let name = &plan.bucket;
    let undone = format!("the bucket {name} was not erased");
    terminal.is_meant(&undone, name, &format!("freehold bucket erase {}", words::typed(typed)))?;
    // Another one may have got that name meanwhile.
    let erased = client.erase(&plan.id).await?;
    show(terminal, &erased, |erased| {
        let id = erased.id.get(..8).unwrap_or(&erased.id);
        format!(
            "The bucket {name} is erased.\n{}\nfreehold receipt save {id} FILE    (the receipt, now or later)",
            progress(erased)
        )
    })
}

pub(crate) async fn object(
    terminal: Terminal,
    client: &Client,
    command: ObjectCommand,
) -> Result<(), Problem> {
    let ObjectCommand::Erase { bucket, key, bypass_governance, dry_run } = command;
    let wish = ObjectToErase { key: key.clone(), bypass_governance };
    let plan = client.plan_object_erasure(&bucket, &wish).await?;
    if dry_run {
        return show(terminal, &plan, planned_object);
    }
    if terminal.can_ask() {
        terminal.say(planned_object(&plan));
    }
    let bypass = if bypass_governance { " --bypass-governance" } else { "" };
    let command = format!("freehold object erase {} {}{bypass}", words::typed(&bucket), words::typed(&key));
    terminal.is_meant(&format!("{key} was not erased"), &key, &command)?;
    let bucket = &plan.bucket;
    let erased = client.erase_object(&plan.bucket_id, &wish).await?;
    show(terminal, &erased, |erased| {
        let id = short(&erased.id);
        let how = if erased.pending.is_empty() {
            "erased"
        } else {
            "deleted, and its keys are destroyed once every machine that can have them is ready"
        };
        format!(
            "{key} in {bucket} is {how}.\n{}\nfreehold receipt save {id} FILE    (the receipt, now or later)\n\
             In it the name stands as {}, which whoever has the salt {} can check.",
            progress(erased),
            plan.digest,
            plan.salt
        )
    })
}

fn planned_object(plan: &ObjectErasurePlan) -> String {
    format!(
        "{} in {} would be erased: {}, {}. The other {} keep their bytes and have their keys sealed anew; these \
         machines destroy the earlier ones: {}.\nIn the receipt the name stands as {}\nwhich whoever has the salt \
         can check: {}",
        plan.key,
        plan.bucket,
        count(plan.versions, "version"),
        words::bytes(plan.bytes),
        count(plan.renewed, "version"),
        plan.nodes.join(", "),
        plan.digest,
        plan.salt
    )
}

pub(crate) async fn receipt(
    terminal: Terminal,
    client: &Client,
    command: ReceiptCommand,
) -> Result<(), Problem> {
    match command {
        ReceiptCommand::List => {
            let all = client.erasures().await?;
            show(terminal, &all, |all| {
                let one = |erasure: &Erasure| {
                    format!(
                        "{}  {}, erased on {} by {}\n{}",
                        short(&erasure.id),
                        what(erasure),
                        words::date(erasure.decided_ms),
                        short(&erasure.decided_by),
                        progress(erasure)
                    )
                };
                let all: Vec<String> = all.iter().map(one).collect();
                if all.is_empty() { "Nothing was erased.".to_owned() } else { all.join("\n") }
            })
        }
        ReceiptCommand::Save { erasure, file, overwrite } => {
            let receipt = client.receipt(&erasure).await?;
            write(terminal, "receipt", &file, overwrite, &receipt)
        }
        ReceiptCommand::Check { .. } => Err(crate::up::bug("the receipt was not checked", "it asks no node")),
    }
}

/// Checks a receipt without asking anybody.
pub(crate) fn check(host: &dyn Host, terminal: Terminal, file: &Path) -> Result<(), Problem> {
    let shown = host.receipt(&read_file(file)?)?;
    show(terminal, &shown, proof)
}

fn planned(plan: &ErasurePlan) -> String {
    format!(
        "Would erase {}: {} in {}, {}.\n{} would destroy their keys of it: {}.",
        plan.bucket,
        count(plan.versions, "version"),
        count(plan.objects, "object"),
        words::bytes(plan.bytes),
        count(plan.nodes.len() as u64, "machine"),
        plan.nodes.join(", ")
    )
}

/// What was erased.
fn what(erasure: &Erasure) -> String {
    let buckets: Vec<&str> = erasure.buckets.iter().map(|id| short(id)).collect();
    let buckets = match buckets.as_slice() {
        [] => String::new(),
        [one] => format!("bucket {one}"),
        all => format!("buckets {}", all.join(", ")),
    };
    match (&erasure.person, &erasure.object) {
        (Some(person), _) if erasure.buckets.is_empty() => format!("person {}", short(person)),
        (Some(person), _) => format!("person {} with {buckets}", short(person)),
        (None, Some(object)) => format!("{buckets}, object {object}"),
        (None, None) => buckets,
    }
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

pub(crate) fn progress(erasure: &Erasure) -> String {
    let pending = |on| erasure.pending.iter().filter(move |node| node.connected == on).collect();
    let lines: [(&str, Vec<&ErasureNode>); 5] = [
        ("have destroyed their keys of it", erasure.confirmed.iter().collect()),
        ("are on, and get ready (freehold receipt list there says what they wait for)", pending(Some(true))),
        ("have not yet: they do it when they are on", pending(Some(false))),
        ("have not yet", pending(None)),
        ("left before they did, and may still have them", erasure.gone.iter().collect()),
    ];
    let line = |(what, nodes): &(&str, Vec<&ErasureNode>)| {
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("  {what}: {}", names.join(", ")))
    };
    let waits = erasure.waits.iter().map(|until| format!("  this machine waits {until}"));
    let unread = (erasure.unread > 0).then(|| {
        let entries = count(erasure.unread, "entry");
        format!("  {entries} here stay that this machine cannot read, and no key that is left opens them")
    });
    lines.iter().filter_map(line).chain(waits).chain(unread).collect::<Vec<_>>().join("\n")
}

fn proof(shown: &Erasure) -> String {
    let mut out = vec![
        "The receipt is genuine: its signatures and the realm's log in it were checked.".to_owned(),
        format!("  realm        {}", shown.realm),
        format!(
            "  erased by    {} (an admin), with operation {}",
            short(&shown.decided_by),
            short(&shown.id)
        ),
        progress(shown),
    ];
    let of = shown.buckets.iter().map(|bucket| format!("  bucket       {bucket}"));
    let person = shown.person.iter().map(|person| format!("  person       {person}"));
    let object = shown.object.iter().map(|object| format!("  object       {object} (a digest of its name)"));
    drop(out.splice(2..2, person.chain(of).chain(object)));
    out.push(if shown.pending.is_empty() && shown.gone.is_empty() {
        "Every machine that can have had a key of it has signed that it is destroyed: older copies of their disks \
         do not open with what they hold now."
            .to_owned()
    } else {
        "As long as a machine has not confirmed, what it holds may still open.".to_owned()
    });
    out.push("It does not cover:".to_owned());
    out.extend(shown.not_covered.iter().map(|what| format!("  - {what}")));
    out.join("\n")
}

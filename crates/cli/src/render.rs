//! Answers as people read them: one screen, alarms first, nothing that needs a manual.

use freehold_api::words::{self, bytes, count, span, verb};
use freehold_api::{
    Audit, BucketAccess, BucketStatus, Damage, Doctor, ErasureUnderWay, Finding, GuardianTest, ImportReport,
    Level, NodePlace, NodeStatus, Path, PlaneState, PlaneStatus, Protection, Role, Standing, Status,
    VerifyFinding, VerifyReport,
};

fn finding(found: &Finding) -> String {
    let mark = match found.level {
        Level::Good => "ok   ",
        Level::Notice => "note ",
        Level::Alarm => "ALARM",
    };
    let why = if found.why.is_empty() { String::new() } else { format!(": {}", found.why) };
    let next = found.next.as_ref().map(|next| format!("\n        {next}")).unwrap_or_default();
    format!("{mark}  {}{why}{next}", found.what)
}

/// `freehold doctor`.
pub(crate) fn doctor(doctor: &Doctor) -> String {
    doctor.findings.iter().map(finding).collect::<Vec<_>>().join("\n")
}

/// `freehold status`.
pub(crate) fn status(status: &Status) -> String {
    let mut out: Vec<String> = Vec::new();
    if status.alarms.is_empty() {
        out.push(format!("{}: all is well", status.realm.name));
    } else {
        let open = status.alarms.len() as u64;
        let need = verb(open, "needs", "need");
        out.push(format!("{}: {} {need} attention", status.realm.name, count(open, "thing")));
        out.extend(status.alarms.iter().map(finding));
    }
    out.push(String::new());
    out.push("Nodes".to_owned());
    out.extend(status.nodes.iter().map(|node| self::node(node, node.id == status.this_node)));
    out.push(String::new());
    out.push("Buckets".to_owned());
    let (databases, files): (Vec<_>, Vec<_>) = status.buckets.iter().cloned().partition(is_database);
    out.push(buckets(&files));
    if !databases.is_empty() {
        out.push(String::new());
        out.push("Databases".to_owned());
        out.push(buckets(&databases));
    }
    let parts: Vec<String> = status.planes.iter().filter_map(part).collect();
    if !parts.is_empty() {
        out.push(String::new());
        out.push("Parts of this node".to_owned());
        out.extend(parts);
    }
    if !status.erasures.is_empty() {
        out.push(String::new());
        out.push("Erasures that are not over".to_owned());
        out.extend(status.erasures.iter().map(erasure));
    }
    let open: Vec<_> = status.checklist.iter().filter(|item| !item.done).collect();
    if !open.is_empty() {
        out.push(String::new());
        out.push("Worth doing".to_owned());
        out.extend(open.iter().map(|item| format!("  {}: {}", item.title, item.how)));
    }
    if status.storage.coming > 0 {
        let coming = count(status.storage.coming, "sealed blob");
        out.push(String::new());
        out.push(format!("On their way to this node: {coming}, {}.", bytes(status.storage.coming_bytes)));
    }
    out.push(String::new());
    out.push(format!(
        "This node: up {}, {} sealed here, {} free. Log: {}, epoch {}, {}.",
        span(status.uptime_ms),
        bytes(status.storage.used),
        bytes(status.storage.free),
        count(status.log.operations, "operation"),
        status.log.epoch,
        status
            .log
            .checkpoint_ms
            .map_or("no checkpoint yet".to_owned(), |ms| format!("last checkpoint {} ago", span(ms)))
    ));
    out.join("\n")
}

/// A part of the node that is not as usual. What is wrong with one is told with the alarms, and what nobody has
/// asked for is no news.
fn part(plane: &PlaneStatus) -> Option<String> {
    let name = &plane.name;
    match plane.state {
        PlaneState::Starting => Some(format!("  {name:<16} is starting")),
        PlaneState::Off => Some(format!("  {name:<16} off: {}", plane.detail)),
        // Nothing is broken, and other things go differently.
        PlaneState::Running if plane.detail.starts_with(words::IN_USER_SPACE) => {
            Some(format!("  {name:<16} {}", plane.detail))
        }
        PlaneState::Running | PlaneState::Idle | PlaneState::Degraded | PlaneState::Stopped => None,
    }
}

/// An erasure that is not over: whom it waits for, and how long already.
fn erasure(one: &ErasureUnderWay) -> String {
    let id: String = one.id.chars().take(8).collect();
    let names = |on: bool| -> Vec<&str> {
        one.pending
            .iter()
            .filter(|node| (node.connected == Some(true)) == on)
            .map(|node| node.name.as_str())
            .collect()
    };
    let mut said = vec![format!("  {id}  {}, for {}", one.what, span(one.since_ms))];
    for (what, names) in [("off", names(false)), ("on, and not ready yet", names(true))] {
        if !names.is_empty() {
            said.push(format!("{what}: {}", names.join(", ")));
        }
    }
    said.extend(one.waits.iter().map(|until| format!("this machine waits {until}")));
    said.extend((one.kept > 0).then(|| format!("{} here must be kept", count(one.kept, "version"))));
    said.join("; ")
}

/// One node in a line.
pub(crate) fn node(node: &NodeStatus, is_this: bool) -> String {
    let presence = match (node.standing, is_this, node.connected) {
        (Standing::Suspended, ..) => "suspended".to_owned(),
        (Standing::Burned, ..) => "shut out: its key was used on two machines".to_owned(),
        (Standing::Visitor, true, _) => "this machine, recovering".to_owned(),
        (Standing::Visitor, ..) => "is recovering the realm".to_owned(),
        (_, true, _) => "this node".to_owned(),
        (_, _, true) if node.backend.is_some() => "run by this node".to_owned(),
        (_, _, true) => match node.path {
            Some(Path::Relay) => "connected through a relay".to_owned(),
            Some(Path::Direct) | None => "connected".to_owned(),
        },
        (_, _, false) if node.backend.is_some() => {
            node.backend.as_ref().map(|on| on.state.to_string()).unwrap_or_default()
        }
        (_, _, false) => match node.last_heard_ms {
            Some(ms) => format!("last heard {} ago", span(ms)),
            None => "never heard yet".to_owned(),
        },
    };
    let mut roles: Vec<&str> = node.roles.iter().map(|role| role.as_str()).collect();
    roles.extend(node.admin.then_some("an admin's device"));
    let short: String = node.id.chars().take(8).collect();
    let place = place(&node.place).map(|place| format!("; {place}")).unwrap_or_default();
    let on = node.backend.as_ref().map(|on| format!("; on S3 at {}, bucket {}", on.endpoint, on.bucket));
    let on = on.unwrap_or_default();
    format!("  {:<16} {short}  {presence:<28} {}{on}{place}", node.name, roles.join(", "))
}

/// Where a node stands, and how much it is to do.
fn place(place: &NodePlace) -> Option<String> {
    let mut out = Vec::new();
    out.extend(place.zone.as_ref().map(|zone| format!("zone {zone}")));
    out.extend(place.region.clone());
    out.extend(place.pace.map(|pace| format!("fetches {}/s at most", bytes(pace))));
    out.extend(place.draining.then(|| "being emptied".to_owned()));
    out.extend(place.burden.map(|burden| match burden.objects {
        0 => "nothing depends on it".to_owned(),
        objects => format!(
            "{} ({}) {} on it",
            count(objects, "object"),
            bytes(burden.bytes),
            verb(objects, "depends", "depend")
        ),
    }));
    (!out.is_empty()).then(|| out.join(", "))
}

/// Where a database lies, no bucket of anybody's can be called so.
const DATABASE: &str = "kv/";

fn is_database(bucket: &BucketStatus) -> bool {
    bucket.name.starts_with(DATABASE)
}

/// Buckets, a line each.
pub(crate) fn buckets(all: &[BucketStatus]) -> String {
    if all.is_empty() {
        return NO_BUCKETS.to_owned();
    }
    let is_double = |one: &BucketStatus| all.iter().filter(|other| other.name == one.name).count() > 1;
    let line = |one: &BucketStatus| if is_double(one) { told_apart(one) } else { bucket(one) };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A bucket with what tells it from another one of its name.
fn told_apart(one: &BucketStatus) -> String {
    let id: String = one.id.chars().take(8).collect();
    let made = one.made_ms.map(|ms| format!(", made {}", words::date(ms))).unwrap_or_default();
    let by = one.made_by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
    format!("{}\n  {:<16} another bucket has that name; this one is {id}{made}{by}", bucket(one), "")
}

const NO_BUCKETS: &str = "  none yet: freehold bucket create photos --copies 2";

/// A bucket that was just made, and what it lacks.
pub(crate) fn new_bucket(made: &BucketStatus, nodes: &[NodeStatus]) -> String {
    let holds = |node: &&NodeStatus| node.standing == Standing::Member && node.roles.contains(&Role::Storage);
    let line = bucket(made);
    if nodes.iter().filter(holds).count() >= usize::from(made.copies) {
        return line;
    }
    format!("{line}\n  {:<16} more nodes come with: freehold invite", "")
}

/// One bucket in a line.
pub(crate) fn bucket(bucket: &BucketStatus) -> String {
    let copies = u64::from(bucket.copies);
    let name = bucket.name.strip_prefix(DATABASE).unwrap_or(&bucket.name);
    let rules = bucket.rules.words();
    let rules = if rules.is_empty() { rules } else { format!(", {rules}") };
    match bucket.access {
        BucketAccess::TakenBack => {
            let held = count(bucket.objects, "object");
            return format!(
                "  {name:<16} taken back from this node: it reads what it could read before ({held}), and \
                 writes nothing"
            );
        }
        BucketAccess::Stores => {
            return format!(
                "  {name:<16} sealed: this node stores it, and has no key to read it with{rules}"
            );
        }
        BucketAccess::Reads | BucketAccess::Writes => {}
    }
    if bucket.objects == 0 {
        let will = format!("everything in it will be on {}", count(copies, "node"));
        let will = bucket.lacks.as_ref().unwrap_or(&will);
        return format!("  {name:<16} empty; {will}{rules}");
    }
    let waiting = bucket.waiting;
    let wait = verb(waiting, "waits", "wait");
    let protected = match bucket.protected {
        Protection::Full => format!("protected: everything is on {}", count(copies, "node")),
        Protection::Partly => format!("partly protected: {waiting} of {} {wait} for a copy", bucket.objects),
        Protection::NotYet => format!("not protected: {} {wait} for a copy", count(waiting, "object")),
    };
    let oldest = if waiting == 1 { "" } else { "the oldest " };
    let since = bucket.oldest_unprotected_ms.map(|ms| format!(" ({oldest}written {} ago)", span(ms)));
    let since = since.unwrap_or_default();
    let holds = format!("{}, {}", count(bucket.objects, "object"), bytes(bucket.bytes));
    let left = match bucket.bytes_waiting {
        0 => String::new(),
        left => format!(", {} to go", bytes(left)),
    };
    let worst = bucket.good_copies.first().filter(|_| bucket.waiting > 0);
    let worst = worst.map(|worst| format!("; the worst has {}", count(worst.copies.into(), "good copy")));
    let lacks = bucket.lacks.as_ref().map(|lacks| format!("; {lacks}")).unwrap_or_default();
    let worst = worst.unwrap_or_default();
    let checked = checked(bucket);
    let reads = if bucket.access == BucketAccess::Reads { "; this node only reads it" } else { "" };
    format!("  {name:<16} {holds}; {protected}{since}{left}{worst}{rules}{checked}{lacks}{reads}")
}

/// How old the oldest check of a copy is, once it is old enough to tell.
fn checked(bucket: &BucketStatus) -> String {
    match (bucket.checked_ms, bucket.unchecked) {
        (Some(ms), 0) => format!("; oldest check {} ago", span(ms)),
        (Some(ms), unchecked) if ms >= DAY_MS => {
            let have = verb(unchecked.into(), "has", "have");
            format!(
                "; {} {have} not checked copies yet, the oldest of {} ago",
                count(unchecked.into(), "node"),
                span(ms)
            )
        }
        _ => String::new(),
    }
}

const DAY_MS: u64 = 86_400_000;

/// `freehold bucket verify`.
pub(crate) fn verified(report: &VerifyReport, repair: bool) -> String {
    let mut out = vec![format!(
        "read {} ({}) of {}: {}",
        count(report.blobs, "sealed blob"),
        bytes(report.bytes),
        count(report.entries, "entry"),
        if report.findings.is_empty() && report.bad_entries == 0 { "all good" } else { "DAMAGE found" }
    )];
    if report.bad_entries > 0 {
        let are = verb(report.bad_entries, "is", "are");
        out.push(format!("  {} {are} not what was signed", count(report.bad_entries, "entry")));
    }
    out.extend(report.findings.iter().map(|found| damage(found, repair)));
    out.join("\n")
}

fn damage(found: &VerifyFinding, repair: bool) -> String {
    let what = found.key.clone().unwrap_or_else(|| format!("blob {}", found.blob));
    let damage = match found.damage {
        Damage::Missing => "missing",
        Damage::Cut => "cut",
        Damage::Swapped => "swapped for another",
        Damage::Altered => "altered",
        Damage::NotForThisObject => "of another object",
    };
    let outcome = match (found.repaired, repair) {
        (true, _) => "repaired from a good copy",
        (false, true) => "NOT repaired: no good copy answered",
        (false, false) => "not repaired, as asked",
    };
    format!("  {what}: {damage}, {outcome}")
}

/// `freehold guardians test`.
pub(crate) fn tested(test: &GuardianTest) -> String {
    let found = format!(
        "It is the phrase of guardian {} of {}. Tested so far: {}; {} can recover the realm.",
        test.guardian, test.guardians, test.tested, test.needed
    );
    let not_noted = test.not_noted.as_ref();
    let not_noted = not_noted.map(|why| format!("\nThe test is not noted in the realm's log: {why}."));
    found + &not_noted.unwrap_or_default()
}

/// `freehold realm import`.
pub(crate) fn imported(report: &ImportReport) -> String {
    let new = count(report.new, "new operation");
    format!("{new}, {} known, {} refused, {} damaged", report.known, report.refused, report.damaged)
}

/// `freehold realm audit`.
pub(crate) fn audit(audit: &Audit) -> String {
    let state = &audit.state;
    let mut out = vec![
        format!("realm        {}", state.realm),
        format!("epoch        {}", state.epoch),
        format!(
            "operations   {} ({} pending, {} refused), {} that wait for missing ones, {} damaged",
            state.operations,
            state.pending,
            audit.refused.len(),
            state.waiting,
            audit.damaged.len()
        ),
        format!("heads        {}", state.heads.join(" ")),
        format!("admins       {}", state.admins.join(" ")),
        format!("members      {}", state.members),
        format!("guardians    {}, {} of them can recover the realm", state.guardians, state.guardians_needed),
        format!("buckets      {}", state.buckets),
        format!("grants       {}", state.grants),
        format!("invitations  {} open", state.invitations),
        "nodes".to_owned(),
    ];
    out.extend(state.nodes.iter().map(|node| {
        let name = node.name.as_ref().map(|name| format!("  ({name})")).unwrap_or_default();
        let roles: Vec<&str> = node.roles.iter().map(|role| role.as_str()).collect();
        format!("  {} {} {}{name}", node.id, roles.join(","), node.standing)
    }));
    for (head, list) in [("refused", &audit.refused), ("damaged", &audit.damaged)] {
        out.push(head.to_owned());
        if list.is_empty() {
            out.push("  none".to_owned());
        }
        out.extend(list.iter().map(|one| format!("  {}: {}", one.id, one.reason)));
    }
    out.join("\n")
}

#[cfg(test)]
mod tests;

//! Answers as people read them: one screen, alarms first, nothing that needs a manual.

use freehold_api::words::{bytes, count, span, verb};
use freehold_api::{
    Audit, BucketStatus, Doctor, Finding, Level, NodeStatus, Path, PlaneState, Protection, Standing, Status,
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
    if status.buckets.is_empty() {
        out.push("  none yet: freehold bucket create photos --copies 2".to_owned());
    }
    out.extend(status.buckets.iter().map(bucket));
    for plane in status.planes.iter().filter(|plane| plane.state != PlaneState::Running) {
        out.push(format!("  plane {}: {:?}, {}", plane.name, plane.state, plane.detail));
    }
    let open: Vec<_> = status.checklist.iter().filter(|item| !item.done).collect();
    if !open.is_empty() {
        out.push(String::new());
        out.push("Worth doing".to_owned());
        out.extend(open.iter().map(|item| format!("  {}: {}", item.title, item.how)));
    }
    out.push(String::new());
    out.push(format!(
        "This node: up {}, {} sealed here, {} free. Log: {}, epoch {}.",
        span(status.uptime_ms),
        bytes(status.storage.used),
        bytes(status.storage.free),
        count(status.log.operations, "operation"),
        status.log.epoch
    ));
    out.join("\n")
}

/// One node in a line.
pub(crate) fn node(node: &NodeStatus, is_this: bool) -> String {
    let presence = match (node.standing, is_this, node.connected) {
        (Standing::Suspended, ..) => "suspended".to_owned(),
        (Standing::Left, ..) => "has left".to_owned(),
        (_, true, _) => "this node".to_owned(),
        (_, _, true) => match node.path {
            Some(Path::Relay) => "connected through a relay".to_owned(),
            Some(Path::Direct) | None => "connected".to_owned(),
        },
        (_, _, false) => match node.last_heard_ms {
            Some(ms) => format!("last heard {} ago", span(ms)),
            None => "never heard yet".to_owned(),
        },
    };
    let roles: Vec<&str> = node.roles.iter().map(|role| role.as_str()).collect();
    let short: String = node.id.chars().take(8).collect();
    format!("  {:<16} {short}  {presence:<28} {}", node.name, roles.join(", "))
}

/// One bucket in a line.
pub(crate) fn bucket(bucket: &BucketStatus) -> String {
    let copies = u64::from(bucket.copies);
    if bucket.objects == 0 {
        return format!("  {:<16} empty; everything in it will be on {}", bucket.name, count(copies, "node"));
    }
    let waiting = bucket.waiting;
    let wait = verb(waiting, "waits", "wait");
    let protected = match bucket.protected {
        Protection::Full => format!("protected: everything is on {}", count(copies, "node")),
        Protection::Partly => format!("partly protected: {waiting} of {} {wait} for a copy", bucket.objects),
        Protection::NotYet => format!("not protected: {} {wait} for a copy", count(waiting, "object")),
    };
    let since = bucket.oldest_unprotected_ms.map(|ms| format!(", for {}", span(ms))).unwrap_or_default();
    let holds = format!("{}, {}", count(bucket.objects, "object"), bytes(bucket.bytes));
    format!("  {:<16} {holds}; {protected}{since}", bucket.name)
}

/// `freehold bucket verify`.
pub(crate) fn verified(report: &VerifyReport) -> String {
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
    out.extend(report.findings.iter().map(damage));
    out.join("\n")
}

fn damage(found: &VerifyFinding) -> String {
    let what = found.key.clone().unwrap_or_else(|| format!("blob {}", found.blob));
    let outcome =
        if found.repaired { "repaired from a good copy" } else { "NOT repaired: no good copy answered" };
    format!("  {what}: {:?}, {outcome}", found.damage).to_lowercase().replace("not repaired", "NOT repaired")
}

/// `freehold realm audit`.
pub(crate) fn audit(audit: &Audit) -> String {
    let state = &audit.state;
    let mut out = vec![
        format!("realm        {}", state.realm),
        format!("epoch        {}", state.epoch),
        format!(
            "operations   {} ({} pending, {} refused)",
            state.operations,
            state.pending,
            audit.refused.len()
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
    out.extend(state.nodes.iter().map(|node| format!("  {node}")));
    out.push("refused".to_owned());
    if audit.refused.is_empty() {
        out.push("  none".to_owned());
    }
    out.extend(audit.refused.iter().map(|refusal| format!("  {}: {}", refusal.id, refusal.reason)));
    out.join("\n")
}

#[cfg(test)]
mod tests;

//! Numbers and states as people say them.

#[cfg(test)]
mod tests;

use freehold_api::words::verb;
use freehold_api::{
    BackendState, BackendStatus, BucketAccess, BucketStatus, NodePlace, NodeStatus, Path, Protection,
    QuotaWhose, Role, Standing, Status, UsageStatus,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) use freehold_api::words::{bytes, count};

const MINUTE_MS: u64 = 60_000;

/// `3 hours`.
pub(crate) fn span(ms: u64) -> String {
    if ms < MINUTE_MS { "less than a minute".to_owned() } else { freehold_api::words::span(ms) }
}

/// `3 hours ago`.
pub(crate) fn ago(ms: u64) -> String {
    if ms < MINUTE_MS { "just now".to_owned() } else { format!("{} ago", span(ms)) }
}

/// A moment as HTML's `datetime` wants it.
pub(crate) fn datetime(ms: u64) -> String {
    i64::try_from(ms / 1000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}

pub(crate) fn now_ms() -> u64 {
    u64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

/// How many machines can hold objects just now, as the realm stands.
pub(crate) fn storage_nodes(status: &Status) -> u64 {
    let counts =
        |node: &&NodeStatus| node.standing == Standing::Member && node.roles.contains(&Role::Storage);
    status.nodes.iter().filter(counts).count() as u64
}

/// On how many machines a bucket's objects are when all is done.
fn machines(bucket: &BucketStatus, nodes: u64) -> u64 {
    u64::from(bucket.copies).min(nodes.max(1))
}

/// Where a machine stands, and how much it is to do; empty if nobody said so.
pub(crate) fn place(place: &NodePlace) -> String {
    let mut out = Vec::new();
    out.extend(place.zone.as_ref().map(|zone| format!("In the zone {zone}.")));
    out.extend(place.region.as_ref().map(|region| format!("In the region {region}.")));
    out.extend(place.pace.map(|pace| format!("It fetches copies at {} a second at most.", bytes(pace))));
    out.extend(place.draining.then(|| match place.burden {
        None => "It is being emptied.".to_owned(),
        Some(burden) if burden.objects == 0 => {
            "It is being emptied, and nothing depends on it any more.".to_owned()
        }
        Some(burden) => format!(
            "It is being emptied: {} ({}) {} on it still.",
            count(burden.objects, "object"),
            bytes(burden.bytes),
            verb(burden.objects, "depends", "depend")
        ),
    }));
    out.join(" ")
}

/// What a person wants to know of a bucket.
pub(crate) fn protection(bucket: &BucketStatus, nodes: u64) -> String {
    let lacks = bucket.lacks.as_ref().map(|lacks| format!(" For {lacks}.")).unwrap_or_default();
    match bucket.access {
        BucketAccess::TakenBack => {
            "It was taken back from this machine, which reads what it could read before and writes nothing."
                .to_owned()
        }
        BucketAccess::Stores => "This machine stores it, and has no key to read it with.".to_owned(),
        BucketAccess::Reads => format!("{}{lacks} This machine only reads it.", copies_of(bucket, nodes)),
        BucketAccess::Writes => format!("{}{lacks}", copies_of(bucket, nodes)),
    }
}

fn copies_of(bucket: &BucketStatus, nodes: u64) -> String {
    let name = &bucket.name;
    let on = machines(bucket, nodes);
    let since =
        bucket.oldest_unprotected_ms.map(|ms| format!(", the oldest for {}", span(ms))).unwrap_or_default();
    match bucket.protected {
        _ if bucket.objects == 0 => "Nothing is in it yet.".to_owned(),
        Protection::Full if on == 1 => format!("Everything in {name} is on 1 machine only."),
        Protection::Full => format!("Everything in {name} is on {on} machines."),
        Protection::Partly => {
            let wait = verb(bucket.waiting, "waits", "wait");
            format!(
                "{} of {} {wait} for another copy{since}.",
                bucket.waiting,
                count(bucket.objects, "object")
            )
        }
        Protection::NotYet => format!("Nothing in {name} has its other copy yet{since}."),
    }
}

/// When the copy was checked that was checked longest ago.
pub(crate) fn checked(bucket: &BucketStatus) -> Option<String> {
    let oldest = ago(bucket.checked_ms?);
    Some(match bucket.unchecked {
        0 => oldest,
        _ => format!("some copies were not checked yet, the oldest was written {oldest}"),
    })
}

/// Whose room it is.
pub(crate) fn whose(usage: &UsageStatus) -> String {
    let name = &usage.name;
    match usage.of {
        QuotaWhose::Realm => "All of the realm".to_owned(),
        QuotaWhose::Person(_) => format!("Member {name}"),
        QuotaWhose::Service(_) => format!("Service {name}"),
        QuotaWhose::Bucket(_) => format!("Bucket {name}"),
        QuotaWhose::Database(_) => format!("Database {name}"),
    }
}

/// How much is used, and of what.
pub(crate) fn used(usage: &UsageStatus) -> String {
    let used = bytes(usage.used);
    usage.limit.map_or_else(|| used.clone(), |most| format!("{used} of {}", bytes(most)))
}

/// How a bucket is marked.
pub(crate) fn mark(bucket: &BucketStatus, nodes: u64) -> Mark {
    match bucket.protected {
        _ if bucket.access == BucketAccess::TakenBack => Mark { tone: "quiet", word: "Taken back" },
        _ if bucket.access == BucketAccess::Stores => Mark { tone: "quiet", word: "Sealed" },
        _ if bucket.objects == 0 => Mark { tone: "quiet", word: "Empty" },
        Protection::Full if machines(bucket, nodes) == 1 => Mark { tone: "wait", word: "One copy" },
        Protection::Full => Mark { tone: "good", word: "Protected" },
        Protection::Partly | Protection::NotYet => Mark { tone: "wait", word: "Not yet protected" },
    }
}

/// A word in a colour; the word alone must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) tone: &'static str,
    pub(crate) word: &'static str,
}

/// The one sentence on top of everything, and what stands under it.
pub(crate) fn overall(status: &Status) -> (Mark, String, String) {
    let nodes = storage_nodes(status);
    let objects: u64 = status.buckets.iter().map(|bucket| bucket.objects).sum();
    let size: u64 = status.buckets.iter().map(|bucket| bucket.bytes).sum();
    let waiting: u64 = status.buckets.iter().map(|bucket| bucket.waiting).sum();
    let full = |bucket: &BucketStatus| bucket.objects == 0 || bucket.protected == Protection::Full;
    let held = format!(
        "{}, {}, in {}. {} are free on this machine.",
        count(objects, "object"),
        bytes(size),
        count(status.buckets.len() as u64, "bucket"),
        bytes(status.storage.free)
    );
    if objects == 0 {
        let under = format!("{} are free on this machine.", bytes(status.storage.free));
        return (Mark { tone: "quiet", word: "Ready" }, "Your realm is ready.".to_owned(), under);
    }
    if !status.buckets.iter().all(full) {
        let oldest = status.buckets.iter().filter_map(|bucket| bucket.oldest_unprotected_ms).max();
        let since = oldest.map(|ms| format!(" The oldest has waited {}.", span(ms))).unwrap_or_default();
        let wait = verb(waiting, "waits", "wait");
        let sentence = match waiting {
            0 => "Some of it waits for another copy.".to_owned(),
            n => format!("{} {wait} for another copy.", count(n, "object")),
        };
        return (Mark { tone: "wait", word: "Not yet protected" }, sentence, format!("{held}{since}"));
    }
    let least =
        status.buckets.iter().filter(|bucket| bucket.objects > 0).map(|bucket| machines(bucket, nodes)).min();
    match least.unwrap_or(1) {
        1 if nodes <= 1 => (
            Mark { tone: "wait", word: "One machine" },
            "Everything is on this one machine.".to_owned(),
            format!("{held} If the machine is lost, so is what it holds: invite a second one."),
        ),
        1 => (
            Mark { tone: "wait", word: "One copy" },
            "Some of it is on 1 machine only.".to_owned(),
            format!("{held} A bucket with one copy does not outlive its machine."),
        ),
        n => (
            Mark { tone: "good", word: "Protected" },
            format!("Everything is on {n} machines or more."),
            held,
        ),
    }
}

/// Where the realm's people decide, if it is not on the machine that answers.
pub(crate) fn elsewhere(status: &Status) -> Option<String> {
    let decides = |node: &&NodeStatus| node.admin && node.standing == Standing::Member;
    if status.nodes.iter().filter(decides).any(|node| node.id == status.this_node) {
        return None;
    }
    let names: Vec<&str> = status.nodes.iter().filter(decides).map(|node| node.name.as_str()).collect();
    Some(match names.as_slice() {
        [] => "an admin's machine".to_owned(),
        names => format!("an admin's machine: {}", names.join(" or ")),
    })
}

/// When a node was last heard, in a sentence without its name.
pub(crate) fn heard(node: &NodeStatus, this_node: &str) -> String {
    if node.standing == Standing::Suspended && node.id != this_node {
        let last = node.last_heard_ms.map(|ms| format!("; last heard {}", ago(ms))).unwrap_or_default();
        return format!("Suspended: it gets nothing{last}");
    }
    if node.id == this_node {
        return "The machine you are looking at".to_owned();
    }
    if let Some(backend) = &node.backend {
        return store(backend);
    }
    if node.connected {
        return match node.path {
            Some(Path::Relay) => "Connected through a relay".to_owned(),
            Some(Path::Direct) => "Connected directly".to_owned(),
            None => "Connected".to_owned(),
        };
    }
    match node.last_heard_ms {
        Some(ms) => format!("Last heard {}", ago(ms)),
        None => "Not heard since this node started".to_owned(),
    }
}

/// A foreign store that the machine one looks at keeps sealed objects on.
fn store(backend: &BackendStatus) -> String {
    let at = format!("A bucket of somebody else's: {} at {}", backend.bucket, backend.endpoint);
    match backend.state {
        BackendState::Up | BackendState::Starting => at,
        BackendState::Away | BackendState::Broken => {
            format!("{at}; {} for {}: {}", backend.state, span(backend.since_ms), backend.why)
        }
    }
}

/// How much a foreign store holds, if it is known.
pub(crate) fn held(backend: &BackendStatus) -> Option<String> {
    let of = backend.capacity.map(|all| format!(" of {}", bytes(all))).unwrap_or_default();
    backend.used.map(|used| format!("{}{of}", bytes(used)))
}

/// How a node is marked.
pub(crate) fn node_mark(node: &NodeStatus, this_node: &str) -> Mark {
    match node.standing {
        Standing::Suspended => Mark { tone: "bad", word: "Suspended" },
        Standing::Burned => Mark { tone: "bad", word: "Shut out" },
        Standing::Visitor => Mark { tone: "wait", word: "Recovering" },
        Standing::Member if node.backend.is_some() && node.connected => {
            Mark { tone: "good", word: "Reachable" }
        }
        Standing::Member if node.connected || node.id == this_node => Mark { tone: "good", word: "Here" },
        Standing::Member => Mark { tone: "wait", word: "Away" },
    }
}

/// What a role means.
pub(crate) fn role(role: impl std::borrow::Borrow<Role>) -> &'static str {
    match role.borrow() {
        Role::Storage => "holds sealed objects",
        Role::Compute => "runs services",
        Role::Gateway => "serves S3 and this console",
        Role::Relay => "carries traffic for nodes that cannot reach each other",
        Role::Witness => "attests the realm's history",
        Role::Secrets => "holds keys while nobody is there",
    }
}

/// What to do next, as a command and the words around it. A remedy is `freehold ...`, perhaps with a
/// remark set off by spaces, or a sentence.
pub(crate) fn remedy(next: &str) -> (&str, &str) {
    let shown = |command: &str| {
        next.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with([',', ' ']))
    };
    if let Some((_, page)) = PAGES.iter().find(|(command, _)| shown(command)) {
        return ("", page);
    }
    let (command, words) = next.split_once("  ").unwrap_or((next, ""));
    if !command.starts_with("freehold ") || command.contains([';', ',', ':']) {
        return ("", next);
    }
    (command, words.trim())
}

/// A sentence that ends with a command, in two: `wait, then: freehold status`.
pub(crate) fn then(words: &str) -> (&str, &str) {
    match words.rsplit_once(": freehold ") {
        Some((before, last)) if !before.is_empty() && !last.contains([';', ',', ':', '(']) => {
            (before, words.get(before.len() + 2..).unwrap_or_default())
        }
        _ => (words, ""),
    }
}

/// Commands whose answer, or whose button, is on a page here.
const PAGES: [(&str, &str); 7] = [
    ("freehold backup list", "look at Backups"),
    ("freehold grant list", "look at Grants"),
    ("freehold bucket list", "look at Buckets"),
    ("freehold node list", "look at Nodes"),
    ("freehold status", "look at Home"),
    ("freehold doctor", "look at Health"),
    ("freehold realm veto", "if nobody of you started it, stop it on the page Realm"),
];

/// Begins with a capital, unless what it begins with is not a plain word: a path, a file, an
/// address, our command.
pub(crate) fn sentence(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    if first == text || first == "freehold" || !first.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return text.to_owned();
    }
    let (head, rest) = text.split_at(first.len().min(1));
    format!("{}{rest}", head.to_ascii_uppercase())
}

/// Begins with a capital, whatever it begins with.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `2026-11-22`, of milliseconds since 1970.
pub(crate) fn day(ms: u64) -> String {
    let date = freehold_api::words::date(ms);
    date.split_once(' ').map_or_else(|| date.clone(), |(day, _)| day.to_owned())
}

/// For counting in templates.
pub(crate) fn len<T>(of: &[T]) -> u64 {
    of.len() as u64
}

/// The same.
pub(crate) fn wide(n: u16) -> u64 {
    u64::from(n)
}

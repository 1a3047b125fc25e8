//! Backends: attached, listed, tried out, emptied, detached.

use std::io::Read as _;
use std::path::Path;

use freehold_api::words::{self, bytes, count, span, verb};
use freehold_api::{
    Attached, BackendState, BackendStatus, Client, Detach, Detached, NewBackend, NewStore, Probed, Problem,
};
use zeroize::Zeroizing;

use crate::args::{Attach, BackendCommand, StoreArgs};
use crate::ask::show;
use crate::place::Drain;
use crate::terminal::Terminal;

const NOT_ATTACHED: &str = "the store was not asked";
/// Two lines and a few remarks.
const CREDENTIALS_MAX: u64 = 64 << 10;

pub(crate) async fn backend(
    terminal: Terminal,
    client: &Client,
    command: BackendCommand,
) -> Result<(), Problem> {
    match command {
        BackendCommand::Attach(wish) => {
            let dry_run = wish.dry_run;
            let wish = new_backend(terminal, wish)?;
            let attached = client.attach_backend(&wish, dry_run).await?;
            show(terminal, &attached, self::attached)
        }
        BackendCommand::List => {
            let all = client.backends().await?;
            show(terminal, &all, |all| {
                if all.is_empty() {
                    return "  none yet: freehold backend attach NAME --s3 URL --bucket BUCKET".to_owned();
                }
                all.iter().map(line).collect::<Vec<_>>().join("\n")
            })
        }
        BackendCommand::Probe { name } => {
            let probed = client.probe_backend(&name).await?;
            show(terminal, &probed, self::probed)
        }
        BackendCommand::Packs { name } => {
            let all = client.backend_packs(&name).await?;
            show(terminal, &all, |all| crate::store_check::lines(all))
        }
        // Which needs no node.
        BackendCommand::Check(_) => Err(crate::up::bug("the command was not carried out", "it asks no node")),
        BackendCommand::Drain { name, wait, cancel, dry_run } => {
            let all = client.backends().await?;
            let Some(backend) = all.iter().find(|backend| backend.name == name) else {
                return Err(Problem::not_found(
                    format!("there is no backend {name}"),
                    "this node hosts none of that name",
                    Some("freehold backend list"),
                ));
            };
            crate::place::drain(terminal, client, &backend.node, Drain { wait, cancel, dry_run }).await
        }
        BackendCommand::Detach { name, force, dry_run } => {
            if force && !dry_run {
                let undone = format!("{name} was not detached");
                terminal.is_meant(
                    &undone,
                    &name,
                    &format!("freehold backend detach {} --force", words::typed(&name)),
                )?;
            }
            let done = client.detach_backend(&name, Detach { force, dry_run }).await?;
            show(terminal, &done, |done| detached(&name, done, dry_run))
        }
    }
}

fn detached(name: &str, done: &Detached, dry_run: bool) -> String {
    if dry_run {
        return format!("Would detach {name}.");
    }
    let mut out = vec![format!("{name} is no node of the realm any more.")];
    out.push(match done.left.as_slice() {
        [] => format!("  What lay on its store is removed: {}.", count(done.removed, "object")),
        left => format!(
            "  Not everything that lay on its store is removed; what stays opens to nobody:\n    {}",
            left.join("\n    ")
        ),
    });
    if done.strange > 0 {
        let strange = count(done.strange, "object");
        out.push(format!(
            "  {strange} there of another backend, or damaged, {} left as before.",
            verb(done.strange, "is", "are")
        ));
    }
    out.join("\n")
}

fn new_backend(terminal: Terminal, wish: Attach) -> Result<NewBackend, Problem> {
    let may_lose = wish.stores.may_lose;
    let stores = stores(terminal, wish.stores)?;
    Ok(NewBackend { name: wish.name, stores, may_lose, capacity: wish.capacity })
}

/// The stores that were typed, with their keys.
pub(crate) fn stores(terminal: Terminal, wish: StoreArgs) -> Result<Vec<NewStore>, Problem> {
    let ca = wish.ca.map(|file| std::path::absolute(&file).unwrap_or(file).to_string_lossy().into_owned());
    let all = wish.s3.len();
    let buckets = for_each("--bucket", wish.bucket, all)?;
    let regions = for_each("--region", wish.region, all)?;
    let prefixes = for_each("--prefix", wish.prefix, all)?;
    let keys = for_each("--credentials", wish.credentials, all)?;
    let mut stores = Vec::new();
    for ((((endpoint, bucket), region), prefix), key) in
        wish.s3.into_iter().zip(buckets).zip(regions).zip(prefixes).zip(keys)
    {
        stores.push(NewStore {
            endpoint,
            bucket: bucket.unwrap_or_default(),
            region,
            prefix: prefix.unwrap_or_default(),
            virtual_host: wish.virtual_host,
            ca: ca.clone(),
            credentials: credentials(terminal, key.as_deref())?.to_string(),
        });
    }
    Ok(stores)
}

/// What was typed for each store: nothing, one for all, or one for each.
fn for_each<T: Clone>(flag: &str, typed: Vec<T>, stores: usize) -> Result<Vec<Option<T>>, Problem> {
    match typed.as_slice() {
        [] => Ok(vec![None; stores]),
        [one] => Ok(vec![Some(one.clone()); stores]),
        _ if typed.len() == stores => Ok(typed.into_iter().map(Some).collect()),
        _ => Err(Problem::invalid(
            NOT_ATTACHED,
            format!("{flag} is there {} times, for {stores} stores", typed.len()),
            Some("name each store by --s3, and the rest once for all or once for each, in the same order"),
        )),
    }
}

/// The access key, from where nobody else reads it.
pub(crate) fn credentials(terminal: Terminal, from: Option<&Path>) -> Result<Zeroizing<String>, Problem> {
    let unreadable = |from: &Path, error: std::io::Error| {
        Problem::invalid(
            NOT_ATTACHED,
            format!("cannot read {}: {error}", from.display()),
            Some("name the file with the access key: --credentials FILE"),
        )
    };
    if let Some(from) = from {
        let mut text = Zeroizing::new(String::new());
        let read = if from == Path::new("-") {
            std::io::stdin().lock().take(CREDENTIALS_MAX).read_to_string(&mut text)
        } else {
            let file = std::fs::File::open(from).map_err(|error| unreadable(from, error))?;
            file.take(CREDENTIALS_MAX).read_to_string(&mut text)
        };
        return read.map(|_| text).map_err(|error| unreadable(from, error));
    }
    let nobody = || {
        Problem::invalid(
            NOT_ATTACHED,
            "there is nobody to ask for the access key of the store",
            Some("name a file with it: --credentials FILE    (- is standard input)"),
        )
    };
    let id = terminal.ask("Id of the access key:").ok_or_else(nobody)?;
    let secret = terminal.ask("Its secret:").ok_or_else(nobody)?;
    // Nobody who looks later reads it there.
    terminal.clear();
    Ok(Zeroizing::new(format!(
        "aws_access_key_id = {}\naws_secret_access_key = {}\n",
        id.as_str(),
        secret.as_str()
    )))
}

/// A size as people type it: `500GiB`, `2T`, `1000000`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(format!("{unit} is no unit: KiB, MiB, GiB, TiB, kB, MB, GB or TB")),
    };
    let number: u64 = digits.trim().parse().map_err(|_| "a number and a unit, such as 500GiB".to_owned())?;
    number.checked_mul(factor).filter(|size| *size > 0).ok_or_else(|| "that is no size".to_owned())
}

fn attached(attached: &Attached) -> String {
    let mut out = Vec::new();
    out.push(match &attached.backend {
        Some(backend) => line(backend),
        None => "The store will do; nothing was attached.".to_owned(),
    });
    out.push(probed(&attached.probed));
    if attached.backend.is_some() {
        out.push(
            "  What lies there is sealed under keys that only this machine and the realm's others hold."
                .to_owned(),
        );
    }
    out.join("\n")
}

fn probed(probed: &Probed) -> String {
    let can = probed.can.iter().map(|line| format!("  {line}"));
    let lacks = probed.lacks.iter().map(|line| format!("  note: {line}"));
    can.chain(lacks).collect::<Vec<_>>().join("\n")
}

/// A backend in a line, and why it does not work in another.
fn line(backend: &BackendStatus) -> String {
    let used = backend.used.map(|used| format!(", holds {}", bytes(used))).unwrap_or_default();
    let of = backend.capacity.map(|all| format!(" of {}", bytes(all))).unwrap_or_default();
    let place = if backend.prefix.is_empty() { String::new() } else { format!("/{}", backend.prefix) };
    let since = match backend.state {
        BackendState::Up | BackendState::Starting => String::new(),
        BackendState::Away | BackendState::Broken => format!(" for {}", span(backend.since_ms)),
    };
    let why = if backend.why.is_empty() { String::new() } else { format!("\n  {:<16} {}", "", backend.why) };
    let more = match backend.others.len() {
        0 => String::new(),
        more => format!(" and on {more} more, of which {} may be lost", backend.may_lose),
    };
    let at = match backend.endpoint.as_str() {
        "" => String::new(),
        friend if friend.starts_with("grant:") => format!("; room that another realm lends: {friend}"),
        endpoint => format!("; S3 at {endpoint}, bucket {}{place}{more}", backend.bucket),
    };
    format!("  {:<16} {}{since}{at}{used}{of}{why}", backend.name, backend.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_type_them() {
        for (text, expected) in [
            ("500GiB", Some(500 << 30)),
            ("2T", Some(2 << 40)),
            ("10 MB", Some(10_000_000)),
            ("4096", Some(4096)),
            ("0", None),
            ("GiB", None),
            ("5 apples", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_backend_is_told_in_a_line() {
        let mut backend = BackendStatus {
            name: "offsite".to_owned(),
            node: "ab".repeat(32),
            endpoint: "https://s3.example.org".to_owned(),
            bucket: "attic".to_owned(),
            prefix: "home".to_owned(),
            others: Vec::new(),
            may_lose: 0,
            state: BackendState::Up,
            why: String::new(),
            bad_packs: 0,
            since_ms: 180_000,
            journal_ms: Some(1_000),
            used: Some(2 << 30),
            capacity: None,
        };
        assert_eq!(
            line(&backend),
            "  offsite          reachable; S3 at https://s3.example.org, bucket attic/home, holds 2.1 GB"
        );
        (backend.state, backend.why, backend.used) = (BackendState::Away, "nobody answers".to_owned(), None);
        assert!(line(&backend).contains("not reachable for 3 minutes"), "{}", line(&backend));
        assert!(line(&backend).ends_with("nobody answers"));
    }
}

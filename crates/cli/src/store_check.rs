//! `freehold backend check`: what somebody without any key can find out about the stores of a backend.

use std::path::Path;

use freehold_api::words::{bytes, count, verb};
use freehold_api::{PackLine, Problem, StoresChecked, StoresToCheck};

use crate::args::CheckStores;
use crate::ask::show;
use crate::host::Host;
use crate::terminal::Terminal;

const NOT_CHECKED: &str = "the store was not checked";
/// Packs named in an answer.
const NAMED: usize = 20;

/// A list of packs, a line each: its hash or a dash, its bytes, its name.
pub(crate) fn lines(all: &[PackLine]) -> String {
    let line =
        |pack: &PackLine| format!("{} {} {}", pack.blake3.as_deref().unwrap_or("-"), pack.len, pack.name);
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn read_list(file: &Path) -> Result<Vec<PackLine>, Problem> {
    let unusable = |why: String| {
        Problem::invalid(
            NOT_CHECKED,
            format!("{}: {why}", file.display()),
            Some("have the list made anew: freehold backend packs NAME > FILE"),
        )
    };
    let text = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
    let line = |(number, line): (usize, &str)| {
        let mut words = line.split_ascii_whitespace();
        let (hash, len, name, more) = (words.next(), words.next(), words.next(), words.next());
        match (hash, len.and_then(|len| len.parse().ok()), name, more) {
            (Some(hash), Some(len), Some(name), None) => {
                let blake3 = Some(hash).filter(|hash| *hash != "-").map(str::to_owned);
                Ok(PackLine { name: name.to_owned(), len, blake3 })
            }
            _ => Err(unusable(format!("line {} is not a hash, a length and a name", number + 1))),
        }
    };
    text.lines().enumerate().map(line).collect()
}

/// Checks the stores, says what was found, and fails if anything is wrong.
pub(crate) async fn check(host: &dyn Host, terminal: Terminal, wish: CheckStores) -> Result<(), Problem> {
    let list = wish.list.as_deref().map(read_list).transpose()?;
    let (may_lose, has_list, read) = (wish.stores.may_lose, list.is_some(), !wish.quick);
    let stores = crate::backend::stores(terminal, wish.stores)?;
    let several = stores.len() > 1;
    let checked = host.check_stores(StoresToCheck { stores, may_lose, list, read }).await?;
    show(terminal, &checked, |checked| told(checked, has_list, read, several))?;
    if checked.wrong.is_empty() {
        return Ok(());
    }
    Err(Problem::corrupt(
        "the store does not have what it should",
        format!("{} found missing or damaged", count(checked.wrong.len() as u64, "thing")),
        Some("tell who runs the backend; a pack written or removed since the list was made counts as well"),
    ))
}

fn told(checked: &StoresChecked, has_list: bool, read: bool, several: bool) -> String {
    let mut out = Vec::new();
    let packs = count(checked.packs, "pack");
    let read_now = bytes(checked.bytes);
    out.push(match (has_list, read) {
        (true, true) => format!(
            "  {packs} in the list; {} byte by byte what it says ({read_now} read)",
            format_args!("{} {}", checked.proven, verb(checked.proven, "is", "are"))
        ),
        (true, false) => format!("  {packs} in the list; names and lengths compared, nothing read"),
        (false, true) => format!("  {packs} there; {read_now} read"),
        (false, false) => format!("  {packs} there; lengths looked at, nothing read"),
    });
    for wrong in checked.wrong.iter().take(NAMED) {
        let at = wrong.store.as_ref().map(|store| format!(" at {store}")).unwrap_or_default();
        out.push(format!("  {}{at}: {}", wrong.name, wrong.what));
    }
    if let Some(more) = checked.wrong.len().checked_sub(NAMED).filter(|more| *more > 0) {
        out.push(format!("  and {more} more"));
    }
    if checked.unlisted > 0 {
        let strange = count(checked.unlisted, "pack");
        out.push(format!("  note: {strange} there, not in the list: newer than it, or another backend's"));
    }
    if checked.others > 0 {
        out.push(format!("  note: {} there with other names", count(checked.others, "object")));
    }
    out.push(match (has_list, read, several) {
        (true, true, _) => "  Not told by this: whether the list is complete, and what lies in the packs.",
        (false, true, true) => {
            "  Parts that are there fit together; not told without a list: packs that are gone from all stores."
        }
        (false, true, false) => {
            "  Not told without a list: bytes that were altered in their place, and packs that are gone."
        }
        (_, false, _) => "  Not told without reading: bytes that were altered in their place.",
    }
    .to_owned());
    out.join("\n")
}

//! What a restore would do, in lines.

use freehold_api::words::{bytes, count};
use freehold_api::{BackupCompared, BackupFate, BackupShare, BackupWould, Problem};

use crate::terminal::Terminal;

/// So many are named where not all were asked for.
const NAMED: usize = 10;

pub(super) fn show(terminal: Terminal, found: &BackupCompared, all: bool) -> Result<(), Problem> {
    crate::ask::show(terminal, found, |found| told(found, all))?;
    if found.failed == 0 {
        return Ok(());
    }
    Err(Problem::corrupt(
        format!("{} of the backup cannot be read", count(found.failed, "thing")),
        found.named.join("; "),
        Some("try it from another target: freehold backup restore --from TARGET --dry-run"),
    ))
}

fn told(found: &BackupCompared, all: bool) -> String {
    let line = |share: BackupShare, what: &str| {
        let (files, size) = (count(share.files, "file"), bytes(share.bytes));
        Some(format!("  {files:>14}  {size:>10}  {what}")).filter(|_| share.files > 0)
    };
    let mut out = vec![format!("Nothing was changed. A restore to {} would find:", found.to)];
    let shares = [
        line(found.replaced, "to overwrite"),
        line(found.new, "to make anew"),
        line(found.marked, "of which only the owner, the mode or attributes are set"),
        line(found.same, "there already, and the same"),
        line(found.blocked, "that do not come back: a directory has their name"),
    ];
    out.extend(shares.into_iter().flatten());
    if out.len() == 1 {
        out.push("  no file".to_owned());
    }
    let matters = |one: &&BackupWould| all || one.fate != BackupFate::New;
    let named = found.paths.iter().filter(matters);
    let count = named.clone().count() as u64;
    let most = if all { usize::MAX } else { NAMED };
    out.extend(named.take(most).map(path));
    let left = count.saturating_sub(most as u64);
    match (all, left, found.unnamed) {
        (false, 1.., _) => out.push(format!("  and {left} more: --paths names each")),
        (true, _, 1..) => out.push(format!("  and {} more", found.unnamed)),
        _ => {}
    }
    out.join("\n")
}

fn path(one: &BackupWould) -> String {
    let mark = match one.fate {
        BackupFate::Blocked => "blocked",
        BackupFate::Replaced => "overwrite",
        BackupFate::Marked => "set",
        BackupFate::New => "new",
    };
    format!("  {mark:<9}  {}", one.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> BackupCompared {
        let would = |fate, path: &str| BackupWould { fate, path: path.to_owned(), size: 5 };
        BackupCompared {
            to: "/home/ann".to_owned(),
            replaced: BackupShare { files: 1, bytes: 5 },
            new: BackupShare { files: 1, bytes: 5 },
            same: BackupShare { files: 2, bytes: 3 << 20 },
            paths: vec![would(BackupFate::Replaced, "/home/ann/a"), would(BackupFate::New, "/home/ann/b")],
            ..BackupCompared::default()
        }
    }

    #[test]
    fn what_is_overwritten_is_named_and_what_is_new_if_it_is_asked_for() {
        let few = told(&found(), false);
        assert!(few.contains("overwrite  /home/ann/a") && !few.contains("/home/ann/b"), "{few}");
        assert!(few.contains("2 files") && few.contains("the same") && !few.contains("owner"), "{few}");
        let all = told(&found(), true);
        assert!(all.contains("new        /home/ann/b"), "{all}");
        assert!(told(&BackupCompared::default(), false).contains("no file"));
    }

    #[test]
    fn more_than_a_few_are_counted() {
        let mut found = found();
        let one = found.paths.first().cloned().unwrap();
        found.paths = vec![one; 25];
        assert!(told(&found, false).contains("and 15 more: --paths"));
        found.unnamed = 7;
        let all = told(&found, true);
        assert!(all.contains("and 7 more") && !all.contains("--paths"), "{all}");
    }
}

//! What a command prints: a database's dump, made by the daemon, and none of it where the command fails.

use anyhow::{Context, Result, ensure};
use freehold_api::{BackupStatus, Backups};
use freehold_harness::{Host, python, story, until};

use super::person::{restic, standing, target, text};

/// Makes a shop's database and says it as SQL, as its own program would.
const SHOP: &str = r"
import sqlite3, sys
shop = sqlite3.connect(sys.argv[1])
shop.execute('create table if not exists sold (what text, price integer)')
shop.executemany('insert into sold values (?, ?)', [(f'lamp {n}', n) for n in range(20000)])
shop.commit()
";
const DUMP: &str = r"
import sqlite3, sys
shop = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True)
for line in shop.iterdump():
    print(line)
";
const READ: &str = r"
import sqlite3, sys
shop = sqlite3.connect(':memory:')
shop.executescript(open(sys.argv[1]).read())
print(*shop.execute('select count(*), sum(price) from sold').fetchone())
";

#[test]
fn a_database_is_dumped_and_half_a_dump_is_no_backup() -> Result<()> {
    story("a_database_is_dumped", |story| {
        let host = story.host("shop")?;
        let mut node = host.node()?;
        node.up(&["--name", "shop"])?;
        let (disk, shop) = (story.folder().join("disk"), host.folder().join("shop.db"));
        let interpreter = text(&python("python")?);
        host.run(&interpreter, &["-c", SHOP, &text(&shop)])?.good()?;
        let dump = host.folder().join("dump.py");
        super::write(&dump, DUMP.as_bytes())?;
        target(&node, "disk", &disk)?;

        let add = ["backup", "add", "shop", "--to", "disk"];
        let refused = |more: &[&str], code, says: &[&str]| {
            node.cli(&[&add, more].concat())?.refused(code, says).map(drop)
        };
        refused(&["--", "no-such-dump"], 1, &["no-such-dump", "whole path"])?;
        refused(&["--file", "a/b", "--", &interpreter], 2, &["no name of a file", "--file"])?;
        node.cli(&[&add, &["/etc", "--", &interpreter][..]].concat())?.failed(&["cannot be used with"])?;
        node.cli(&add)?.failed(&["required"])?;
        let (dump, db) = (text(&dump), text(&shop));
        let made: BackupStatus =
            node.ask(&[&add, &["--file", "shop.sql", "--", &interpreter, &dump, &db][..]].concat())?;
        ensure!(made.paths == ["/shop.sql"] && made.command == [&*interpreter, &*dump, &*db], "{made:?}");
        let again = ["backup", "add", "other", "--to", "disk", "--file", "shop.sql", "--", &interpreter];
        node.cli(&again)?.refused(1, &["tell them apart", "--file"])?;
        node.cli(&["backup", "now", "shop"])?.good()?;
        let first = standing(&node, "shop", "disk")?.last.context("it was made")?;
        ensure!(first.files == 1 && first.bytes > 500_000, "{first:?}");
        let listed = node.cli(&["backup", "list"])?.good()?.out;
        ensure!(listed.contains("/shop.sql, which is what") && listed.contains("dump.py"), "{listed}");

        // It is tried by itself, comes back by ours and by restic's, and is a database again.
        until(super::person::PATIENCE, "it was tried to restore", || {
            let tried = standing(&node, "shop", "disk")?.tried.context("not yet")?;
            ensure!(tried.good && tried.files == 1, "{tried:?}");
            Ok(())
        })?;
        let (ours, theirs) = (host.folder().join("ours"), host.folder().join("theirs"));
        node.cli(&["backup", "restore", "--snapshot", "shop", "--to", &text(&ours)])?.good()?;
        restic(&host, &node, "disk", &disk, &["check", "--read-data"])?;
        restic(&host, &node, "disk", &disk, &["restore", "latest", "--target", &text(&theirs)])?;
        for back in [&ours, &theirs] {
            let sold = host.run(&interpreter, &["-c", READ, &text(&back.join("shop.sql"))])?.good()?.out;
            ensure!(sold.trim() == "20000 199990000", "{sold}");
        }

        let kept = || Host::answer(host.command("ls").arg(disk.join("snapshots")))?.good();
        let before = kept()?.out;

        // The database is damaged, and the dump breaks off: it is told, and what there was stays the newest.
        let file = std::fs::File::options().write(true).open(&shop)?;
        file.set_len(file.metadata()?.len() / 2)?;
        node.cli(&["backup", "now", "shop"])?.failed(&["exit status: 1", "DatabaseError"])?;
        let all: Backups = node.ask(&["backup", "list"])?;
        let at = all.backups.first().and_then(|made| made.to.first()).context("it goes to the disk")?;
        let last = at.last.as_ref().map(|last| last.snapshot.as_str());
        ensure!(at.failed == 1 && last == Some(&first.snapshot), "{at:?}");
        ensure!(kept()?.out == before && !before.is_empty(), "{before}");
        Ok(())
    })
}

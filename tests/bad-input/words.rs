//! What commands say: one line of what is now true, and plainly what is wrong.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, Node, binary, story};
use serde_json::Value;

#[test]
fn stop_returns_when_the_next_node_can_start() -> Result<()> {
    story("stop_returns_when_the_next_node_can_start", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        node.up(&[])?;
        let said = node.cli(&["stop"])?.good()?.out;
        ensure!(said.contains("stopped"), "{said}");
        // Another process of the same home, at once.
        let mut again = host.node_at(node.home())?;
        again.resume()?;
        let said: Value = again.ask(&["stop"])?;
        ensure!(said.get("done") == Some(&Value::Bool(true)), "{said}");
        let said = again.cli(&["stop"])?.good()?.out;
        ensure!(said.contains("nothing to stop"), "{said}");
        Ok(())
    })
}

fn audit_from_stdin(node: &Node<'_>, log: &[u8]) -> Result<String> {
    let mut command = node.command(&["realm", "audit", "-"])?;
    let mut audit = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    audit.stdin.take().context("no stdin")?.write_all(log)?;
    let done = audit.wait_with_output()?;
    ensure!(done.status.success(), "{done:?}");
    Ok(String::from_utf8(done.stdout)?)
}

#[test]
fn a_damaged_log_is_not_called_a_log() -> Result<()> {
    story("a_damaged_log_is_not_called_a_log", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        node.up(&[])?;
        node.cli(&["bucket", "create", "photos"])?.good()?;
        node.cli(&["node", "rename", &node.status()?.this_node, "attic"])?.good()?;
        let (good, bad) = (story.folder().join("good.log"), story.folder().join("bad.log"));
        let (good_name, bad_name) = (good.to_string_lossy(), bad.to_string_lossy());
        node.cli(&["realm", "export", &good_name])?.good()?;
        node.cli(&["realm", "export", &good_name])?.refused(1, &["exists", "--overwrite"])?;
        node.cli(&["realm", "export", &good_name, "--overwrite"])?.good()?;
        let log = std::fs::read(&good)?;
        let said = node.cli(&["realm", "audit", &good_name])?.good()?.out;
        ensure!(said.contains("0 damaged") && said.contains("(attic)"), "{said}");
        ensure!(audit_from_stdin(&node, &log)? == said, "it says something else");

        // Somewhere in there is a byte of one operation's signature, with others after it.
        let damaged = (0..log.len()).step_by(16).find_map(|at| {
            let mut flipped = log.clone();
            *flipped.get_mut(at)? ^= 1;
            std::fs::File::create(&bad).and_then(|mut file| file.write_all(&flipped)).ok()?;
            let answer = node.cli(&["realm", "audit", &bad_name]).ok()?;
            let words = [", 1 damaged", "(attic)"];
            let found = words.iter().all(|word| answer.out.contains(word));
            (found && !answer.out.contains(" 0 that wait")).then_some(answer)
        });
        let answer = damaged.context("no flipped byte was found")?;
        answer.refused(1, &["1 operation is not what was signed", "cannot be judged"])?;
        let import = node.cli(&["realm", "import", &bad_name])?;
        import.refused(1, &["0 new operations", "1 damaged", "1 operation is not what was signed"])?;
        // For programs: one document, with the names that the text has.
        let audit: Value = node.cli(&["--json", "realm", "audit", &bad_name])?.json()?;
        ensure!(audit.pointer("/state/nodes/0/name") == Some(&Value::from("attic")), "{audit}");
        Ok(())
    })
}

#[test]
fn what_would_happen_is_told_as_it_is() -> Result<()> {
    story("what_would_happen_is_told_as_it_is", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        ensure!(ready.text("phrases_file")? == node.guardians().to_string_lossy(), "{ready:?}");
        let said = node.cli(&["bucket", "create", "photos", "--copies", "9"])?.good()?.out;
        ensure!(said.contains("empty") && said.contains("only 1 node may hold it, and it wants 9"), "{said}");
        let bad = node.s3(&ready)?.aws(&["s3", "mb", "s3://Bad_Name"])?;
        bad.failed(&["InvalidBucketName", "lower-case letters"])?;
        let file = story.file("photo", 100_000, 1)?;
        node.s3(&ready)?.aws(&["s3", "cp", &file.to_string_lossy(), "s3://photos/photo"])?.good()?;
        let would = node.cli(&["bucket", "delete", "photos", "--dry-run"])?;
        would.refused(1, &["photos", "it holds 1 object"])?;
        let would: Value = node.ask(&["bucket", "delete", "files", "--dry-run"])?;
        ensure!(would.get("done") == Some(&Value::Bool(false)), "{would}");
        let done: Value = node.ask(&["bucket", "delete", "files"])?;
        ensure!(done.get("done") == Some(&Value::Bool(true)), "{done}");
        let opens: Value = node.ask(&["console"])?;
        let fingerprint = opens.get("fingerprint").and_then(Value::as_str);
        ensure!(fingerprint == Some(ready.text("fingerprint")?), "{opens}");
        node.cli(&["node", "suspend", "cellar", "--dry-run"])?
            .refused(1, &["no node cellar", "node list"])?;
        node.cli(&["node", "suspend", &node.status()?.this_node, "--dry-run"])?
            .refused(1, &["nobody would be suspended", "is this machine"])?;
        let taken = file.to_string_lossy();
        node.cli(&["key", "create", "--out", &taken])?.refused(1, &["it is there already", "--out FILE"])?;
        node.cli(&["key", "revoke", "zzz"])?.refused(1, &["key list"])?;

        // Damage that was not to be mended.
        let mut blobs = Vec::new();
        for folder in std::fs::read_dir(node.home().join("depot"))? {
            let folder = folder?.path();
            if folder.is_dir() {
                blobs.extend(std::fs::read_dir(folder)?.map(|file| file.map(|file| file.path())));
            }
        }
        let blobs = blobs.into_iter().collect::<std::io::Result<Vec<_>>>()?;
        std::fs::remove_file(blobs.first().context("no blob")?)?;
        let said = node.cli(&["bucket", "verify", "photos", "--no-repair"])?.refused(1, &["--no-repair"])?;
        ensure!(said.out.contains("missing, not repaired, as asked"), "{}", said.out);
        ensure!(!said.err.contains("online"), "{}", said.err);
        let answer = node.cli(&["--json", "bucket", "verify", "photos", "--no-repair"])?;
        let report: Value = answer.json()?;
        ensure!(report.pointer("/findings/0/repaired") == Some(&Value::Bool(false)), "{report}");
        ensure!(answer.err.contains("nothing was repaired"), "{answer:?}");
        // Not forgotten, also over a start.
        node.stop()?;
        node.resume()?;
        node.alarmed(&["photos is damaged on this node", "1 part", "freehold bucket verify photos"])
    })
}

#[test]
fn the_console_is_opened_to_the_network_and_s3_is_not() -> Result<()> {
    story("the_console_is_opened_to_the_network_and_s3_is_not", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&["--listen", "0.0.0.0"])?;
        let console = ready.0.get("console").context("no console")?.to_string();
        ensure!(console.contains(&format!("https://{}:", host.address())), "{console}");
        ensure!(ready.text("s3")?.starts_with("http://127.0.0.1:"), "{ready:?}");
        ensure!(!ready.0.to_string().contains("without encryption"), "{ready:?}");
        node.stop()?;
        let ready = node.start(&["up", "--s3-listen", "0.0.0.0"])?;
        let others = ready.0.get("s3_others").context("no other addresses")?.to_string();
        ensure!(others.contains(&format!("http://{}:", host.address())), "{others}");
        node.stop()?;
        let ready = node.start(&["up", "--s3-listen", &host.address().to_string()])?;
        ensure!(ready.text("s3")?.contains(&host.address().to_string()), "{ready:?}");
        ensure!(ready.0.to_string().contains("without encryption"), "{ready:?}");
        Ok(())
    })
}

#[test]
fn what_is_mistyped_is_told_to_programs_too() -> Result<()> {
    story("what_is_mistyped_is_told_to_programs_too", |story| {
        let host = story.host("alice")?;
        let node = host.node()?;
        let answer = node.cli(&["--json", "stats"])?;
        let problem: Value = answer.json()?;
        ensure!(answer.code == Some(2) && problem.get("kind") == Some(&Value::from("invalid")), "{answer:?}");
        // The hint leads to this home, not to a second realm.
        let home = node.home().to_string_lossy().into_owned();
        let answer = host.run(binary()?, &["--home", &home, "status"])?;
        answer.refused(4, &[&format!("freehold --home {home} up")])?;
        let mut shell = host.command("sh");
        shell.arg("-c").arg(format!("{} completions bash | head -1", binary()?.display()));
        let head = Host::answer(&mut shell)?;
        ensure!(!head.err.contains("panicked") && !head.out.is_empty(), "{head:?}");
        let full = host.node_at(&story.folder().join("full"))?;
        story.file("full/photo.jpg", 100, 1)?;
        full.cli(&["--yes", "up"])?.refused(1, &["no node was set up", "photo.jpg", "empty"])?;
        ensure!(!full.home().join("keys").exists(), "it was set up all the same");
        Ok(())
    })
}

#[test]
fn a_name_that_is_taken_gets_a_number_and_a_word() -> Result<()> {
    story("a_name_that_is_taken_gets_a_number_and_a_word", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        one.up(&["--name", "smith"])?;
        one.cli(&["node", "rename", &one.status()?.this_node, "attic"])?.good()?;
        let ready = other.join(&one.invite(&[])?, "attic")?;
        let notes = ready.0.get("notes").context("no notes")?.to_string();
        ensure!(notes.contains("another machine is called attic, so this one is attic-2"), "{ready:?}");
        let said = other.cli(&["node", "list"])?.good()?.out;
        let admin = said.lines().find(|line| line.contains("an admin's device")).context("no admin")?;
        ensure!(admin.contains("attic "), "{said}");
        let would = other.cli(&["node", "suspend", "attic", "--dry-run"])?;
        would.refused(1, &["nobody would be suspended", "not a device of an admin"])?;
        // The same name is no news, another one is.
        one.stop()?;
        let again = one.start(&["up", "--name", "smith"])?.0.to_string();
        ensure!(!again.contains("already holds"), "{again}");
        one.stop()?;
        let ready = one.start(&["up", "--name", "jones"])?;
        ensure!(ready.0.to_string().contains("already holds a node of smith"), "{ready:?}");
        Ok(())
    })
}

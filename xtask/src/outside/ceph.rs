//! ceph's s3-tests (<https://github.com/ceph/s3-tests>), of which whoever runs this brings a clone: they
//! run against a node of its own, and what they say is written into docs/s3-compatibility.md.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::run::{cargo, check, command, succeeds};
use crate::tools;

const PAGE: &str = "docs/s3-compatibility.md";
const BEGIN: &str = "<!-- judged: written by `cargo xtask outside ceph` -->\n";
const END: &str = "<!-- end of judged -->";
const HEAD: &str = "| | passed | failed |\n|---|---|---|\n";
/// The suite's users: services with access keys of their own.
const USERS: [&str; 3] = ["main", "alt", "tenant"];
const RIGHTS: &str = "read,write,list,delete,admin";
const PORTS: [&str; 6] = ["--s3-port", "9735", "--console-port", "9736", "--mesh-port", "9737"];
const ENDPOINT: &str = "http://localhost:9735";
/// Lifecycle tests wait for days to pass.
const SECONDS_OF_A_DAY: &str = "10";
const UP_WITHIN: Duration = Duration::from_mins(1);

/// Rows of the table; a test belongs to the first of which a word stands in its name.
const ROWS: [(&str, &[&str]); 17] = [
    ("POST forms", &["post_object"]),
    ("SSE-C, KMS, default encryption", &["encrypt", "sse", "kms", "_enc"]),
    ("bucket logging", &["logging"]),
    ("lifecycle", &["lifecycle"]),
    ("object lock", &["object_lock"]),
    ("versioning", &["version"]),
    ("tagging", &["tag"]),
    ("bucket policy", &["policy"]),
    (
        "public access block, ownership",
        &["public_access", "block_public", "ownership", "public_block", "_pab"],
    ),
    ("ACL, anonymous", &["acl", "anon", "grant", "access_"]),
    ("CORS", &["cors"]),
    ("multipart, copies", &["multipart", "copy", "upload"]),
    ("checksums", &["checksum"]),
    ("conditions", &["if_", "ifmatch", "ifnone", "conditional", "ifmodified", "ifunmod"]),
    ("listing", &["list"]),
    (
        "headers, signatures",
        &["headers", "bucket_create_bad", "object_create_bad", "raw_", "presigned", "aws2", "aws4"],
    ),
    ("IAM, accounts, tenants", &["iam", "account", "tenant", "role"]),
];
const REST: &str = "objects, buckets, the rest";

/// `cargo xtask outside ceph CHECKOUT [what pytest is told besides]`.
pub(super) fn run(root: &Path, checkout: &str, rest: &[&str]) -> Result<()> {
    let suite = std::path::absolute(checkout)?;
    ensure!(suite.join("s3tests/functional").is_dir(), "{} is no checkout of s3-tests", suite.display());
    let binary = binary(root)?;
    let python = python(root, &suite)?;
    let (plain, slow) = ("not lifecycle", "lifecycle");
    let mut said = String::new();
    for (what, day) in [(plain, None), (slow, Some(SECONDS_OF_A_DAY))] {
        let judged = Judged { root, suite: &suite, binary: &binary, python: &python };
        said.push_str(&judged.run(what, day, rest)?);
    }
    let counts = Counts::of(&said);
    println!("{}", counts.table());
    if rest.is_empty() { record(root, &counts.table()) } else { Ok(()) }
}

fn binary(root: &Path) -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("FREEHOLD_TEST_BINARY") {
        return Ok(std::path::absolute(binary)?);
    }
    check(&mut command(root, cargo(), &["build", "--locked", "-p", "freehold"]))?;
    Ok(tools::target(root).join("debug/freehold"))
}

/// An environment of its own: the suite wants older packages than our tests.
fn python(root: &Path, suite: &Path) -> Result<PathBuf> {
    let venv = tools::target(root).join("tools/ceph");
    let text = venv.to_string_lossy().into_owned();
    if !venv.join("bin/pip").exists() {
        check(&mut command(root, "python3", &["-m", "venv", &text]))?;
    }
    let wanted = suite.join("requirements.txt").to_string_lossy().into_owned();
    let install = ["install", "--quiet", "--disable-pip-version-check", "-r", &wanted];
    let besides = ["pytest-xdist", "pytest-timeout"];
    check(&mut command(root, venv.join("bin/pip"), &[install.as_slice(), &besides].concat()))?;
    Ok(venv.join("bin/python"))
}

struct Judged<'a> {
    root: &'a Path,
    suite: &'a Path,
    binary: &'a Path,
    python: &'a Path,
}

/// A node that ends with its scope, and its home with it.
struct Node {
    child: Child,
    home: PathBuf,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.home));
    }
}

impl Judged<'_> {
    /// What pytest prints of the tests that `what` names.
    fn run(&self, what: &str, day: Option<&str>, rest: &[&str]) -> Result<String> {
        let home = tools::target(self.root).join("outside-home");
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        let node = self.start(home, day)?;
        let mut config = String::from("[DEFAULT]\nhost = localhost\nport = 9735\nis_secure = False\n");
        config.push_str("ssl_verify = False\n\n[fixtures]\nbucket prefix = fh-{random}-\n\n");
        for (section, user) in [
            ("s3 main", "main"),
            ("s3 alt", "alt"),
            ("s3 tenant", "tenant"),
            ("iam", "main"),
            ("iam root", "main"),
            ("iam alt root", "alt"),
        ] {
            describe(&node, &mut config, section, user)?;
        }
        let file = node.home.join("s3tests.conf");
        std::io::Write::write_all(&mut std::fs::File::create(&file)?, config.as_bytes())?;
        let mut pytest =
            command(self.suite, self.python, &["-m", "pytest", "-n", "3", "--timeout=120", "-q"]);
        pytest.args(["-rA", "--tb=line", "--show-capture=no", "-p", "no:cacheprovider", "-k", what]);
        pytest.args(["s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py"]).args(rest);
        let said = pytest.env("S3TEST_CONF", &file).stderr(Stdio::inherit()).output()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        // It fails when a test does.
        let last = said.lines().last().context("pytest says nothing")?;
        println!("{what}: {last}");
        Ok(said)
    }

    fn start(&self, home: PathBuf, day: Option<&str>) -> Result<Node> {
        let guardians = home.with_extension("guardians");
        drop(std::fs::remove_file(&guardians));
        let mut up = self.freehold(&home);
        up.args(["up", "--yes", "--name", "judged", "--guardians-file"]).arg(&guardians).args(PORTS);
        if let Some(seconds) = day {
            up.env("FREEHOLD_TEST_ONLY_SECONDS_OF_A_DAY", seconds);
        }
        let child = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("start the node")?;
        let node = Node { child, home };
        let begun = Instant::now();
        while !succeeds(&mut command(self.root, "curl", &["-s", "-o", "/dev/null", ENDPOINT])) {
            ensure!(begun.elapsed() < UP_WITHIN, "the node does not come up");
            std::thread::yield_now();
        }
        for user in USERS {
            let out = node.home.join(user);
            let mut key = self.freehold(&node.home);
            key.args(["key", "create", "--service", user, "--allow", RIGHTS, "--out"]).arg(out);
            check(key.stdout(Stdio::null()))?;
        }
        Ok(node)
    }

    fn freehold(&self, home: &Path) -> Command {
        let mut freehold = command(self.root, self.binary, &["--home"]);
        freehold.arg(home);
        freehold
    }
}

/// What the suite is told of one of its users.
fn describe(node: &Node, config: &mut String, section: &str, user: &str) -> Result<()> {
    let pair = std::fs::read_to_string(node.home.join(user))?;
    let field = |name: &str| {
        let line = pair.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_once('=')).map(|(_, value)| value.trim().to_owned());
        value.with_context(|| format!("the key of {user} has no {name}"))
    };
    let (id, secret) = (field("aws_access_key_id")?, field("aws_secret_access_key")?);
    write!(
        config,
        "[{section}]\ndisplay_name = {user}\nuser_id = freehold/{user}\nemail = {user}@example.com\n\
         access_key = {id}\nsecret_key = {secret}\napi_name = freehold\ntenant = testx\n\n"
    )?;
    Ok(())
}

/// Passed and failed tests by row.
struct Counts(Vec<(&'static str, [u32; 2])>);

impl Counts {
    fn of(said: &str) -> Self {
        let mut counts: Vec<(&str, [u32; 2])> = ROWS.iter().map(|(name, _)| (*name, [0; 2])).collect();
        counts.push((REST, [0; 2]));
        for line in said.lines() {
            let Some((outcome, rest)) = line.split_once(' ') else { continue };
            let column = match outcome {
                "PASSED" => 0,
                "FAILED" | "ERROR" => 1,
                _ => continue,
            };
            let name = rest.rsplit("::").next().unwrap_or(rest);
            let row = ROWS.iter().find(|(_, words)| words.iter().any(|word| name.contains(word)));
            let row = row.map_or(REST, |(name, _)| name);
            if let Some((_, counts)) = counts.iter_mut().find(|(name, _)| *name == row)
                && let Some(count) = counts.get_mut(column)
            {
                *count += 1;
            }
        }
        Self(counts)
    }

    fn table(&self) -> String {
        let row = |name: &str, [passed, failed]: [u32; 2]| format!("| {name} | {passed} | {failed} |\n");
        let all = self.0.iter().fold([0; 2], |[passed, failed], (_, [p, f])| [passed + p, failed + f]);
        let rows: String = self.0.iter().map(|(name, counts)| row(name, *counts)).collect();
        rows + &row("all", all)
    }
}

fn record(root: &Path, table: &str) -> Result<()> {
    let page = std::fs::read_to_string(root.join(PAGE)).context("read docs/s3-compatibility.md")?;
    let (head, rest) = page.split_once(BEGIN).context("docs/s3-compatibility.md has no mark")?;
    let (_, tail) = rest.split_once(END).context("docs/s3-compatibility.md has no end mark")?;
    #[expect(clippy::disallowed_methods, reason = "a page under version control needs no fsync")]
    std::fs::write(root.join(PAGE), format!("{head}{BEGIN}{HEAD}{table}{END}{tail}"))
        .context("write docs/s3-compatibility.md")
}

//! One `freehold` daemon and the commands typed beside it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use freehold_api::{BucketStatus, Card, Finding, Invitation, NodeStatus, Protection, Status};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::binary::{binary, set_clock};
use crate::host::{Answer, Host};
use crate::s3::S3;
use crate::wait::until;

/// Longest start that is waited for, on a machine busy with other tests.
const START_SECONDS: u64 = 30;

/// A node's home and, while it runs, its process.
#[derive(Debug)]
pub struct Node<'a> {
    host: &'a Host,
    home: PathBuf,
    process: Option<Child>,
    starts: u32,
    environment: Vec<(String, String)>,
    clock: Option<String>,
    rights: Option<String>,
}

/// What a node says when it is up.
#[derive(Debug, Clone)]
pub struct Ready(pub Value);

impl Ready {
    /// A field that holds text.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.0.get(name).and_then(Value::as_str).with_context(|| format!("`{name}` is not in {}", self.0))
    }
}

impl<'a> Node<'a> {
    pub(crate) fn new(host: &'a Host, home: &Path) -> Result<Self> {
        binary()?;
        let home = home.to_path_buf();
        Ok(Self { host, home, process: None, starts: 0, environment: Vec::new(), clock: None, rights: None })
    }

    /// Where it keeps its things.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The machine it runs on.
    pub fn host(&self) -> &'a Host {
        self.host
    }

    /// Where the guardian phrases of its realm were written.
    pub fn guardians(&self) -> PathBuf {
        self.host.folder().join("guardians")
    }

    /// Sets a variable for every later start and command.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Sets the clock that every later start and command sees, as faketime writes it: `-3y`, `+2h`.
    pub fn set_clock(&mut self, offset: Option<&str>) {
        self.clock = offset.map(str::to_owned);
    }

    /// Takes every right of root away from later starts and commands but these, as `setpriv` writes them:
    /// `net_admin`.
    pub fn keep_rights(&mut self, rights: &[&str]) {
        let kept = rights.iter().map(|right| format!(",+{right}"));
        self.rights = Some(format!("--bounding-set=-all{}", kept.collect::<String>()));
    }

    /// A command of the binary for this home.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = match &self.rights {
            None => self.host.command(binary()?),
            Some(rights) => {
                let mut command = self.host.command("setpriv");
                command.args(["--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", rights]);
                command.arg(binary()?);
                command
            }
        };
        if let Some(offset) = &self.clock {
            set_clock(&mut command, offset)?;
        }
        // As somebody who exported it: what is suggested needs no --home then.
        command.env("FREEHOLD_HOME", &self.home).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Types a command and waits for its answer.
    pub fn cli(&self, arguments: &[&str]) -> Result<Answer> {
        Host::answer(&mut self.command(arguments)?)
    }

    /// Types a command and reads its answer as JSON.
    pub fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let mut with_json = vec!["--json"];
        with_json.extend(arguments);
        self.cli(&with_json)?.good()?.json()
    }

    /// Makes a realm here, or resumes it.
    pub fn up(&mut self, arguments: &[&str]) -> Result<Ready> {
        let guardians = self.guardians();
        let guardians = guardians.to_string_lossy().into_owned();
        let mut all = vec!["up"];
        if !self.home.exists() {
            all.extend(["--guardians-file", guardians.as_str()]);
        }
        all.extend(arguments);
        self.start(&all)
    }

    /// Resumes whatever this home holds.
    pub fn resume(&mut self) -> Result<Ready> {
        self.start(&["up"])
    }

    /// Joins a realm and runs.
    pub fn join(&mut self, invitation: &str, name: &str) -> Result<Ready> {
        self.start(&["join", invitation, "--name", name])
    }

    /// Starts a command that ends in a running node, and waits until it is ready.
    pub fn start(&mut self, arguments: &[&str]) -> Result<Ready> {
        self.launch(arguments)?;
        self.ready()
    }

    /// Starts a command that ends in a running node.
    pub fn launch(&mut self, arguments: &[&str]) -> Result<()> {
        ensure!(self.process.is_none(), "it runs already");
        self.starts = self.starts.saturating_add(1);
        let mut command = self.command(&["--json", "--yes"])?;
        command.args(arguments);
        command.stdout(File::create(self.output("out"))?).stderr(File::create(self.output("log"))?);
        self.process = Some(command.stdin(Stdio::null()).spawn()?);
        Ok(())
    }

    /// Waits until it says that it is up.
    pub fn ready(&mut self) -> Result<Ready> {
        let (out, log) = (self.output("out"), self.output("log"));
        let process = self.process.as_mut().context("it was not started")?;
        until(START_SECONDS, "the node is up", || {
            let said = std::fs::read_to_string(&out)?;
            if let Some(Ok(ready)) = serde_json::Deserializer::from_str(&said).into_iter::<Value>().next() {
                // What fails says why in JSON, too.
                if ready.get("why").is_some() {
                    return Ok(Err(anyhow::anyhow!("the node did not start: {ready}")));
                }
                return Ok(Ok(Ready(ready)));
            }
            if let Some(status) = process.try_wait()? {
                let log = std::fs::read_to_string(&log)?;
                return Ok(Err(anyhow::anyhow!("the node ended with {status}: {said}{log}")));
            }
            bail!("it says nothing yet")
        })?
    }

    /// Waits until a process that was launched ends by itself, and returns what it said.
    pub fn ended(&mut self) -> Result<Answer> {
        let mut process = self.process.take().context("it was not started")?;
        let status = until(START_SECONDS, "the process ends", || process.try_wait()?.context("it runs"));
        if status.is_err() {
            process.kill()?;
            process.wait()?;
        }
        Ok(Answer {
            line: "the node".to_owned(),
            code: status?.code(),
            out: std::fs::read_to_string(self.output("out"))?,
            err: std::fs::read_to_string(self.output("log"))?,
        })
    }

    /// What it has written to its log since its last start.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.output("log"))?)
    }

    /// The most memory it has held since its start, in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let pid = self.pid().context("it does not run")?;
        let about = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = about.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib.saturating_mul(1024))
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Ends it without warning.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("it does not run")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Ends it as systemd would.
    pub fn stop(&mut self) -> Result<()> {
        let process = self.process.as_ref().context("it does not run")?;
        let pid = Pid::from_raw(i32::try_from(process.id())?).context("a process has an id")?;
        kill_process(pid, Signal::TERM)?;
        self.ended()?.good()?;
        Ok(())
    }

    /// Ends it and destroys everything it kept.
    pub fn destroy(&mut self) -> Result<()> {
        self.kill()?;
        std::fs::remove_dir_all(&self.home)?;
        Ok(())
    }

    /// What `freehold status` says.
    pub fn status(&self) -> Result<Status> {
        self.ask(&["status"])
    }

    /// Waits until its status has an alarm that says each of these words.
    pub fn alarmed(&self, words: &[&str]) -> Result<()> {
        until(60, &format!("an alarm says {words:?}"), || {
            let alarms = self.status()?.alarms;
            let says = |alarm: &Finding| {
                let text =
                    format!("{} {} {}", alarm.what, alarm.why, alarm.next.as_deref().unwrap_or_default());
                words.iter().all(|word| text.contains(word))
            };
            ensure!(alarms.iter().any(says), "{alarms:?}");
            Ok(())
        })
    }

    /// What it knows of another node of its realm.
    pub fn peer(&self, name: &str) -> Result<NodeStatus> {
        let nodes = self.status()?.nodes;
        nodes.into_iter().find(|node| node.name == name).with_context(|| format!("it knows no node {name}"))
    }

    /// How many other nodes it has a connection to.
    pub fn connections(&self) -> Result<usize> {
        let status = self.status()?;
        Ok(status.nodes.iter().filter(|node| node.connected && node.id != status.this_node).count())
    }

    /// What it knows of a bucket.
    pub fn bucket(&self, name: &str) -> Result<BucketStatus> {
        let buckets = self.status()?.buckets;
        buckets
            .into_iter()
            .find(|bucket| bucket.name == name)
            .with_context(|| format!("it knows no bucket {name}"))
    }

    /// Waits until everything in a bucket is on as many nodes as it asks for.
    pub fn protected(&self, bucket: &str, objects: u64) -> Result<()> {
        self.protected_within(60, bucket, objects)
    }

    /// The same with more patience: whoever was cut off is tried again after a while.
    pub fn protected_within(&self, seconds: u64, bucket: &str, objects: u64) -> Result<()> {
        until(seconds, &format!("{bucket} is protected"), || {
            let now = self.bucket(bucket)?;
            ensure!(now.protected == Protection::Full && now.objects == objects, "{now:?}");
            Ok(())
        })
    }

    /// The realm's card.
    pub fn card(&self) -> Result<String> {
        Ok(self.ask::<Card>(&["realm", "card"])?.text)
    }

    /// A one-time invitation.
    pub fn invite(&self, arguments: &[&str]) -> Result<String> {
        let mut all = vec!["invite"];
        all.extend(arguments);
        Ok(self.ask::<Invitation>(&all)?.text)
    }

    /// Its S3 endpoint.
    pub fn s3(&self, ready: &Ready) -> Result<S3<'a>> {
        S3::new(self.host, ready.text("s3")?, Path::new(ready.text("s3_credentials")?), self.clock.as_deref())
    }

    /// The same with another key, from the file that it was written to.
    pub fn s3_with(&self, ready: &Ready, credentials: &Path) -> Result<S3<'a>> {
        S3::new(self.host, ready.text("s3")?, credentials, self.clock.as_deref())
    }

    fn output(&self, kind: &str) -> PathBuf {
        let home = self.home.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.host.folder().join(format!("{home}-{}.{kind}", self.starts))
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

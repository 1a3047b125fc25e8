//! A server that takes messages as ntfy does, and writes down what came.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::host::Host;
use crate::wait::until;

/// One line of JSON for each message; it has come once it is written down. What is posted below `/leads-to` is told to go
/// on to the rest of its path.
const PROGRAM: &str = r#"
import http.server, json, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(sys.argv[2], "a") as file:
            print(json.dumps({"path": self.path, "title": self.headers["Title"],
                "priority": self.headers["Priority"], "text": text}), file=file)
        leads = self.path.startswith("/leads-to")
        self.send_response(302 if leads else 200)
        if leads:
            self.send_header("Location", self.path.removeprefix("/leads-to"))
        self.end_headers()
    def do_GET(self):
        if self.path != "/":
            with open(sys.argv[2], "a") as file:
                print(json.dumps({"path": self.path, "title": "asked", "priority": "", "text": ""}), file=file)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *what):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
"#;
/// Each host has its own loopback.
const PORT: u16 = 8080;
const START_SECONDS: u64 = 30;

/// A message that came.
#[derive(Debug, Clone, Deserialize)]
pub struct Posted {
    /// Where it was posted to.
    pub path: String,
    /// ntfy's title.
    pub title: String,
    /// ntfy's priority.
    pub priority: String,
    /// What it says.
    pub text: String,
}

/// The server, on the loopback of a host.
#[derive(Debug)]
pub struct Webhook<'a> {
    host: &'a Host,
    process: Option<Child>,
}

impl<'a> Webhook<'a> {
    /// Starts it.
    pub fn start(host: &'a Host) -> Result<Self> {
        let mut hook = Self { host, process: None };
        hook.resume()?;
        Ok(hook)
    }

    /// Starts it again.
    pub fn resume(&mut self) -> Result<()> {
        let (port, file) = (PORT.to_string(), self.file());
        let mut command = self.host.command("python3");
        command.args(["-c", PROGRAM, &port]).arg(file).stdout(Stdio::null()).stderr(Stdio::inherit());
        self.process = Some(command.spawn().context("python3")?);
        until(START_SECONDS, "the webhook listens", || {
            let asked = self.host.run("curl", &["--silent", "--max-time", "2", &self.address("")])?;
            ensure!(asked.code == Some(0), "{}", asked.err);
            Ok(())
        })
    }

    /// Ends it.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Where a topic is posted to, from its own host.
    pub fn address(&self, topic: &str) -> String {
        format!("http://127.0.0.1:{PORT}/{topic}")
    }

    /// What came, the oldest first.
    pub fn posted(&self) -> Result<Vec<Posted>> {
        let text = match std::fs::read_to_string(self.file()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn file(&self) -> PathBuf {
        self.host.folder().join("posted")
    }
}

impl Drop for Webhook<'_> {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

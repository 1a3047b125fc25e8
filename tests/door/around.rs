//! A house with a website, and who stands around it.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_api::{NetService, NetStatus, RealmAuthority, ShownHere};
use freehold_harness::{Answer, Host, Node, eventually, until};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
/// The website's name inside.
pub(crate) const INSIDE: &str = "wiki.the-smiths.internal";

/// A program that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A realm of two servers, alice and bob, and alice's laptop, pad; what bob's website says of itself is `wiki`.
pub(crate) fn house(
    one: &mut Node<'_>,
    other: &mut Node<'_>,
    laptop: &mut Node<'_>,
    arguments: &[&str],
) -> Result<Running> {
    one.up(&[&["--name", "The Smiths"], arguments].concat())?;
    let me = one.status()?.this_node;
    one.cli(&["node", "rename", &me, "alice"])?.good()?;
    other.join(&one.invite(&[])?, "bob")?;
    laptop.join(&one.invite(&["--laptop", "--device"])?, "pad")?;
    for node in [&*one, &*other, &*laptop] {
        eventually(30, "all three know each other", || Ok(node.connections()? == 2))?;
    }
    until(30, "all have names", || address(laptop, "bob").and(address(one, "pad")))?;
    website(other.host(), 8080, "wiki")
}

/// A website at a port of all addresses of a host.
pub(crate) fn website(host: &Host, port: u16, name: &str) -> Result<Running> {
    let mut command = host.command("python3");
    command.arg(Path::new(HERE).join("wiki.py")).arg(port.to_string()).arg(name);
    let running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let url = format!("http://[::1]:{port}/");
    eventually(30, "it serves", || Ok(host.run("curl", &["-gsS", "-m", "2", &url])?.code == Some(0)))?;
    Ok(running)
}

/// The address of a machine in the realm's network.
pub(crate) fn address(node: &Node<'_>, name: &str) -> Result<Ipv6Addr> {
    let status: NetStatus = node.ask(&["net", "status"])?;
    let found = status.nodes.into_iter().find(|node| node.name == name);
    Ok(found.with_context(|| format!("there is no {name}"))?.address.parse()?)
}

pub(crate) fn service(node: &Node<'_>, name: &str) -> Result<NetService> {
    let services: Vec<NetService> = node.ask(&["net", "service", "list"])?;
    services.into_iter().find(|one| one.name == name).with_context(|| format!("there is no service {name}"))
}

/// How a machine's door shows a service.
pub(crate) fn shown(node: &Node<'_>, name: &str) -> Result<ShownHere> {
    let published = service(node, name)?.published.context("it is not published")?;
    published.here.context("it is not shown here")
}

/// Waits until a machine's door has a certificate for a name.
pub(crate) fn certified(node: &Node<'_>, name: &str, host: &str) -> Result<u64> {
    // Whoever asks an authority before the gateway has heard of the name is refused, and asks again within a minute.
    until(150, &format!("{host} is certified"), || {
        let shown = shown(node, name)?;
        let found = shown.names.iter().find(|one| one.name == host).and_then(|one| one.until_ms);
        found.with_context(|| format!("{shown:?}"))
    })
}

/// The realm's own authority, as a file that clients trust.
pub(crate) fn authority(node: &Node<'_>) -> Result<PathBuf> {
    let authority: RealmAuthority = node.ask(&["net", "ca", "show"])?;
    let path = node.host().folder().join("realm-ca.pem");
    crate::world::write(path.clone(), &authority.certificate)?;
    Ok(path)
}

/// What curl sees of a host at an address.
pub(crate) fn curl(
    from: &Host,
    (host, at): (&str, IpAddr),
    ca: &Path,
    arguments: &[&str],
    path: &str,
) -> Result<Seen> {
    let at = if at.is_ipv6() { format!("[{at}]") } else { at.to_string() };
    let resolve: Vec<String> = [80, 443].iter().map(|port| format!("{host}:{port}:{at}")).collect();
    let mut all = vec!["-sS", "-m", "8", "-w", "\n%{http_code}", "--cacert"];
    let ca = ca.to_string_lossy().into_owned();
    all.push(&ca);
    for one in &resolve {
        all.extend(["--resolve", one]);
    }
    all.extend(arguments);
    let url = if path.starts_with("http") { path.to_owned() } else { format!("https://{host}{path}") };
    all.push(&url);
    let answer = from.run("curl", &all)?;
    let (text, status) = answer.out.rsplit_once('\n').unwrap_or_default();
    Ok(Seen { text: text.to_owned(), status: status.parse().unwrap_or_default(), answer: answer.clone() })
}

/// What a client saw.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) answer: Answer,
}

impl Seen {
    /// That it is the website, asked for this client.
    pub(crate) fn is_for(&self, name: &str, client: IpAddr) -> Result<()> {
        let said = format!("x-forwarded-for: {client}\n");
        ensure!(self.status == 200 && self.text.starts_with(name) && self.text.contains(&said), "{self:?}");
        Ok(())
    }
}

/// One of the clients of `client.py`, with its lines as they come.
pub(crate) struct Client {
    running: Running,
    lines: BufReader<std::process::ChildStdout>,
}

impl Client {
    pub(crate) fn start(host: &Host, arguments: &[&str]) -> Result<Self> {
        let mut command = host.command("python3");
        command.arg(Path::new(HERE).join("client.py")).args(arguments);
        let what = arguments.first().copied().unwrap_or("client");
        let log = std::fs::File::create(host.folder().join(format!("{what}.log")))?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("it has an output")?);
        Ok(Self { running: Running(child), lines })
    }

    /// The next line that it says; none at its end.
    pub(crate) fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }

    /// Tells it to end, and gives its last line.
    pub(crate) fn end(mut self) -> Result<String> {
        drop(self.running.0.stdin.take());
        let mut last = String::new();
        while let Some(line) = self.line()? {
            last = line;
        }
        Ok(last)
    }
}

//! The world outside: a name server, and an authority that certifies names (Pebble).

use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Result, ensure};
use freehold_harness::{Host, Node, eventually};

use crate::around::Running;

/// Where the authority is asked, and managed; where names are answered.
const ACME: u16 = 14_000;
const MANAGED: u16 = 15_000;
pub(crate) const NAMES: u16 = 5353;
/// Whose updates of the zone the name server takes (TXT records alone), and what they are signed with.
pub(crate) const KEY: &str = "update";
pub(crate) const SECRET: &str = "YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcy4uLi4=";

/// A host of the internet.
pub(crate) struct World<'a> {
    pub(crate) host: &'a Host,
    _names: Running,
    _authority: Running,
}

impl<'a> World<'a> {
    /// All names of the zone lead to a gateway; certificates are good for so many seconds.
    pub(crate) fn start(host: &'a Host, zone: &str, gateway: Ipv4Addr, validity: u32) -> Result<Self> {
        let names = names(host, zone, gateway)?;
        let authority = authority(host, validity)?;
        Ok(Self { host, _names: names, _authority: authority })
    }

    /// Has a realm choose this authority.
    pub(crate) fn choose(&self, node: &Node<'_>, proof: &str) -> Result<()> {
        self.choose_with(node, proof, &[])
    }

    /// The same, and what its proof needs besides.
    pub(crate) fn choose_with(&self, node: &Node<'_>, proof: &str, more: &[&str]) -> Result<()> {
        let directory = format!("https://{}:{ACME}/dir", self.host.address());
        let roots = self.host.folder().join("authority.pem").to_string_lossy().into_owned();
        let choice = ["--contact", "ada@acme.test", "--agree", "--proof", proof, "--roots", &roots];
        let all = [&["net", "certificates", "set", "--acme", &directory], &choice[..], more].concat();
        node.cli(&all)?.good().map(drop)
    }

    /// The certificate of who signs.
    pub(crate) fn root(&self) -> Result<PathBuf> {
        let path = self.host.folder().join("issuer.pem");
        let url = format!("https://127.0.0.1:{MANAGED}/roots/0");
        self.host.run("curl", &["-sSfk", "-o", &path.to_string_lossy(), &url])?.good()?;
        Ok(path)
    }
}

/// A file with this text.
pub(crate) fn write(path: PathBuf, text: &str) -> Result<()> {
    Ok(File::create(path)?.write_all(text.as_bytes())?)
}

fn names(host: &Host, zone: &str, gateway: Ipv4Addr) -> Result<Running> {
    let folder = host.folder();
    let path = folder.display();
    write(
        folder.join("zone"),
        &format!("$TTL 5\n@ SOA ns root 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n* A {gateway}\n"),
    )?;
    write(
        folder.join("named.conf"),
        &format!(
            "options {{ directory \"{path}\"; listen-on port {NAMES} {{ 127.0.0.1; {own}; }}; listen-on-v6 {{ none; }}; \
             recursion no; pid-file none; session-keyfile \"{path}/session\"; dnssec-validation no; }};\n\
             controls {{ }};\nkey \"{KEY}\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
             zone \"{zone}\" {{ type primary; file \"{path}/zone\"; \
             update-policy {{ grant {KEY} subdomain {zone}. TXT; }}; }};\n",
            own = host.address(),
        ),
    )?;
    let mut named = host.command("named");
    named.arg("-g").arg("-c").arg(folder.join("named.conf")).args(["-n", "1"]);
    let log = File::create(folder.join("named.log"))?;
    let running = Running(named.stdout(Stdio::null()).stderr(log).spawn()?);
    let port = NAMES.to_string();
    let name = format!("any.{zone}");
    eventually(20, "names are answered", || {
        let dig = host.run("dig", &["@127.0.0.1", "-p", &port, "+short", "+time=1", "+tries=1", &name])?;
        Ok(dig.out.trim() == gateway.to_string())
    })?;
    Ok(running)
}

fn authority(host: &Host, validity: u32) -> Result<Running> {
    let folder = host.folder();
    let (path, at) = (folder.display(), host.address());
    let subject = format!("subjectAltName=IP:{at},IP:127.0.0.1");
    let made = host.run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=authority",
            "-addext",
            &subject,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "authority.key",
            "-out",
            "authority.pem",
        ],
    )?;
    made.good()?;
    write(
        folder.join("pebble.json"),
        &format!(
            "{{\"pebble\": {{\"listenAddress\": \"0.0.0.0:{ACME}\", \
             \"managementListenAddress\": \"127.0.0.1:{MANAGED}\", \"certificate\": \"{path}/authority.pem\", \
             \"privateKey\": \"{path}/authority.key\", \"httpPort\": 80, \"tlsPort\": 443, \
             \"ocspResponderURL\": \"\", \"certificateValidityPeriod\": {validity}}}}}"
        ),
    )?;
    let mut pebble = host.command("pebble");
    pebble.arg("-strict").arg("-config").arg(folder.join("pebble.json"));
    pebble.args(["-dnsserver", &format!("127.0.0.1:{NAMES}")]).env("PEBBLE_VA_NOSLEEP", "1");
    let log = File::create(folder.join("pebble.log"))?;
    let mut running = Running(pebble.stdout(log.try_clone()?).stderr(log).spawn()?);
    let url = format!("https://127.0.0.1:{ACME}/dir");
    eventually(20, "the authority answers", || {
        ensure!(running.0.try_wait()?.is_none(), "pebble ended");
        Ok(host.run("curl", &["-sSk", "-o", "/dev/null", &url])?.code == Some(0))
    })?;
    Ok(running)
}

//! Hosts as network namespaces on one switch, some behind routers that translate addresses.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// Runs a program for its effect.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn ip(line: &str) -> Result<()> {
    run("ip", &line.split_whitespace().collect::<Vec<_>>())
}

/// A network namespace, gone when dropped.
#[derive(Debug)]
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    fn new(kind: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fh{}-{number}-{kind}", std::process::id());
        ip(&format!("netns add {name}"))?;
        let own = Self(name);
        ip(&format!("-n {} link set lo up", own.0))?;
        Ok(own)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("netns del {}", self.0)) {
            drop(error);
        }
    }
}

/// Cables hosts to a bridge that lives in a namespace of its own.
#[derive(Debug)]
pub(crate) struct Switch {
    space: Namespace,
    prefix: [u8; 3],
    next: AtomicU32,
}

/// One end of a cable.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) space: Namespace,
    pub(crate) address: Ipv4Addr,
    /// The switch's namespace and interface, to pull the plug.
    pub(crate) plug: (String, String),
}

impl Switch {
    pub(crate) fn new(prefix: [u8; 3]) -> Result<Self> {
        let space = Namespace::new("sw")?;
        ip(&format!("-n {} link add br0 type bridge", space.0))?;
        ip(&format!("-n {} link set br0 up", space.0))?;
        Ok(Self { space, prefix, next: AtomicU32::new(10) })
    }

    /// A new host on this switch.
    pub(crate) fn cable(&self) -> Result<Port> {
        let space = Namespace::new("h")?;
        let (address, plug) = self.connect(&space, "eth0")?;
        Ok(Port { space, address, plug: (self.space.0.clone(), plug) })
    }

    /// Connects a namespace to this switch.
    fn connect(&self, to: &Namespace, name: &str) -> Result<(Ipv4Addr, String)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [a, b, c] = self.prefix;
        let address = Ipv4Addr::new(a, b, c, u8::try_from(number)?);
        let (switch, host, plug) = (&self.space.0, &to.0, format!("p{number}"));
        ip(&format!("-n {switch} link add {plug} type veth peer name {name} netns {host}"))?;
        ip(&format!("-n {switch} link set {plug} master br0 up"))?;
        ip(&format!("-n {host} addr add {address}/24 dev {name}"))?;
        ip(&format!("-n {host} link set {name} up"))?;
        Ok((address, plug))
    }
}

/// A home router: hosts behind it reach the street, nobody on the street reaches them first.
#[derive(Debug)]
pub struct Router {
    inside: Switch,
    gateway: Ipv4Addr,
    /// Kept: the router works while it lives.
    _space: Namespace,
}

impl Router {
    /// Puts a router on the street, with a private network behind it.
    pub(crate) fn new(street: &Switch, private: u8) -> Result<Self> {
        let space = Namespace::new("r")?;
        street.connect(&space, "wan")?;
        let inside = Switch::new([192, 168, private])?;
        let (gateway, _) = inside.connect(&space, "lan")?;
        run(
            "nsenter",
            &[&format!("--net=/run/netns/{}", space.0), "sysctl", "-qw", "net.ipv4.ip_forward=1"],
        )?;
        // `fully-random` makes a new port for each destination: the router that no hole punches.
        let rules = "table ip nat { chain out { type nat hook postrouting priority 100; \
                     oifname wan masquerade fully-random; }; chain in { type filter hook forward priority 0; \
                     policy drop; iifname lan accept; ct state established,related accept; }; }";
        run("nsenter", &[&format!("--net=/run/netns/{}", space.0), "nft", rules])?;
        Ok(Self { inside, gateway, _space: space })
    }

    /// A host behind the router.
    pub(crate) fn cable(&self) -> Result<Port> {
        let port = self.inside.cable()?;
        ip(&format!("-n {} route add default via {}", port.space.0, self.gateway))?;
        Ok(port)
    }
}

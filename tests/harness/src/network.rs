//! Hosts as network namespaces on one switch, some behind routers that translate addresses.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
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

    /// The address of whoever is connected next.
    fn following(&self) -> Ipv4Addr {
        let [a, b, c] = self.prefix;
        Ipv4Addr::new(a, b, c, u8::try_from(self.next.load(Ordering::Relaxed)).unwrap_or(u8::MAX))
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

/// How a router translates addresses, and what it lets in (RFC 4787's terms in brackets).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Translation {
    /// Who has sent once is reached by everybody (independent mapping, independent filtering).
    FullCone,
    /// By those addresses that it has sent to (address-dependent filtering).
    Restricted,
    /// By those addresses and ports (address- and port-dependent filtering).
    PortRestricted,
    /// And by a port of its own for each of them (dependent mapping): no hole can be punched.
    Symmetric,
    /// As [`Self::PortRestricted`], and no UDP at all.
    NoUdp,
}

impl Translation {
    /// The rules of nftables; `host` is the first behind the router, whose ports the open kinds keep open.
    fn rules(self, host: Ipv4Addr) -> String {
        let draw = if self == Self::Symmetric { "fully-random" } else { "" };
        let told = format!("iifname wan meta l4proto udp udp dport 1024-65535 dnat to {host};");
        let into = match self {
            Self::FullCone => told,
            Self::Restricted => format!("ip saddr @met {told}"),
            _ => String::new(),
        };
        let shut = if self == Self::NoUdp { "meta l4proto udp drop;" } else { "" };
        format!(
            "table ip nat {{
               set met {{ type ipv4_addr; flags dynamic,timeout; timeout 120s; }}
               chain met {{ type filter hook postrouting priority 90; oifname wan add @met {{ ip daddr }}; }}
               chain out {{ type nat hook postrouting priority 100; oifname wan masquerade {draw}; }}
               chain into {{ type nat hook prerouting priority -100; {into} }}
               chain pass {{ type filter hook forward priority 0; policy drop; {shut} iifname lan accept;
                 ct state established,related accept; ct status dnat accept; }}
               chain own {{ type filter hook input priority 0; iifname wan ct state new udp dport 1024-65535 drop; }}
             }}"
        )
    }
}

/// A home router: hosts behind it reach the street, and are reached as its [`Translation`] says.
#[derive(Debug)]
pub struct Router {
    inside: Switch,
    gateway: Ipv4Addr,
    /// The router works while it lives.
    space: Namespace,
}

impl Router {
    /// Puts a router on the street, with a private network behind it.
    pub(crate) fn new(street: &Switch, inside: [u8; 3], kind: Translation) -> Result<Self> {
        Self::with_way(street, inside, kind, None)
    }

    /// Puts a router behind this one: a provider that translates once more.
    pub(crate) fn behind(&self, inside: [u8; 3], kind: Translation) -> Result<Self> {
        Self::with_way(&self.inside, inside, kind, Some(self.gateway))
    }

    fn with_way(street: &Switch, inside: [u8; 3], kind: Translation, way: Option<Ipv4Addr>) -> Result<Self> {
        let space = Namespace::new("r")?;
        street.connect(&space, "wan")?;
        let inside = Switch::new(inside)?;
        let (gateway, _) = inside.connect(&space, "lan")?;
        if let Some(way) = way {
            ip(&format!("-n {} route add default via {way}", space.0))?;
        }
        let within = format!("--net=/run/netns/{}", space.0);
        run("nsenter", &[&within, "sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
        run("nsenter", &[&within, "nft", &kind.rules(inside.following())])?;
        Ok(Self { inside, gateway, space })
    }

    /// Says where what is not on the street goes.
    pub fn way_out(&self, via: Ipv4Addr) -> Result<()> {
        ip(&format!("-n {} route add default via {via}", self.space.0))
    }

    /// A program that will run on the router; its interfaces are `wan` and `lan`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.space.0)).arg("--").arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// Its address inside.
    pub const fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// A host behind the router.
    pub(crate) fn cable(&self) -> Result<Port> {
        let port = self.inside.cable()?;
        ip(&format!("-n {} route add default via {}", port.space.0, self.gateway))?;
        Ok(port)
    }
}

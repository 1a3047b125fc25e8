//! Machines behind every kind of router: who finds a direct path to whom, and who needs the relay.
#![cfg(test)]

mod addresses;
mod mapping;

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use freehold_api::Path;
use freehold_harness::{Host, Node, Router, Story, Translation, story, until};

/// Every machine: what people call it, what it is behind, and what that is in the table.
const KINDS: [(&str, Option<Translation>, bool, &str); 8] = [
    ("server", None, false, "a public address"),
    ("open", Some(Translation::FullCone), false, "full cone"),
    ("flat", Some(Translation::Restricted), false, "restricted"),
    ("house", Some(Translation::PortRestricted), false, "port-restricted"),
    ("farm", Some(Translation::PortRestricted), true, "port-restricted behind a provider's"),
    ("office", Some(Translation::Symmetric), false, "symmetric"),
    ("works", Some(Translation::Symmetric), true, "symmetric behind a provider's"),
    ("hotel", Some(Translation::NoUdp), false, "no UDP"),
];

/// What has to be: without UDP all is relayed; and a symmetric router, which has another port for everybody,
/// does not meet one that looks at the port.
fn is_direct(one: Option<Translation>, other: Option<Translation>) -> bool {
    use Translation::{NoUdp, PortRestricted, Symmetric};
    let both = [one, other];
    let symmetric = both.contains(&Some(Symmetric));
    let looks_at_ports = both.iter().filter(|kind| matches!(kind, Some(PortRestricted | Symmetric))).count();
    !(both.contains(&Some(NoUdp)) || (symmetric && looks_at_ports == 2))
}

fn place(story: &Story, routers: &mut Vec<Router>, at: usize) -> Result<Host> {
    let (name, kind, behind, _) = KINDS.get(at).copied().context("there is no such machine")?;
    let Some(kind) = kind else { return story.host(name) };
    let router = if behind {
        let provider = story.router_that(Translation::PortRestricted)?;
        let router = story.router_behind(&provider, kind)?;
        routers.push(provider);
        router
    } else {
        story.router_that(kind)?
    };
    let host = story.host_behind(&router, name)?;
    routers.push(router);
    Ok(host)
}

fn path(node: &Node<'_>, to: &str) -> Result<Path> {
    node.peer(to)?.path.context("it is not connected")
}

/// As the page in the documentation has it.
fn table(nodes: &[Node<'_>]) -> Result<String> {
    let mut out = String::from("| |");
    for (_, _, _, kind) in KINDS.iter().skip(1) {
        write!(out, " {kind} |")?;
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(KINDS.len() - 1));
    for (at, node) in nodes.iter().enumerate().take(KINDS.len() - 1) {
        write!(out, "\n| {} |", KINDS.get(at).context("there is no such machine")?.3)?;
        for (to, (name, ..)) in KINDS.iter().enumerate().skip(1) {
            let word = if to <= at { "" } else { word(path(node, name)?) };
            write!(out, " {word} |")?;
        }
    }
    out.push('\n');
    Ok(out)
}

const fn word(path: Path) -> &'static str {
    match path {
        Path::Direct => "direct",
        Path::Relay => "relay",
    }
}

#[test]
fn who_is_behind_which_router_meets_whom_directly() -> Result<()> {
    story("who_is_behind_which_router", |story| {
        let hub = story.host("hub")?;
        let mut relay = hub.node()?;
        relay.up(&["--name", "smith", "--relay", &format!("{}:3340", hub.address())])?;
        let mut routers = Vec::new();
        let hosts: Vec<Host> =
            (0..KINDS.len()).map(|at| place(story, &mut routers, at)).collect::<Result<_>>()?;
        let mut nodes = hosts.iter().map(Host::node).collect::<Result<Vec<_>>>()?;
        for (node, (name, ..)) in nodes.iter_mut().zip(KINDS) {
            node.join(&relay.invite(&[])?, name)?;
        }
        for (at, node) in nodes.iter().enumerate() {
            until(120, "everybody is connected, and known by name", || {
                ensure!(node.connections()? == KINDS.len(), "{} are", node.connections()?);
                KINDS.iter().try_for_each(|(name, ..)| node.peer(name).map(drop))
            })?;
            for (name, kind, ..) in KINDS.iter().skip(at + 1) {
                let own = KINDS.get(at).and_then(|own| own.1);
                if is_direct(own, *kind) {
                    until(180, &format!("{} finds {name} directly", KINDS[at].0), || {
                        ensure!(path(node, name)? == Path::Direct, "it is relayed");
                        Ok(())
                    })?;
                }
            }
        }
        let seen = table(&nodes)?;
        for (at, node) in nodes.iter().enumerate() {
            for (name, kind, ..) in KINDS.iter().skip(at + 1) {
                let direct = is_direct(KINDS.get(at).and_then(|own| own.1), *kind);
                ensure!((path(node, name)? == Path::Direct) == direct, "{} to {name}:\n{seen}", KINDS[at].0);
            }
        }
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/routers.md"))?;
        ensure!(page.contains(&seen), "docs/routers.md has another table than what was seen:\n{seen}");
        Ok(())
    })
}

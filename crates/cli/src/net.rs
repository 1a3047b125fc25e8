//! `freehold net`: the realm's network.

pub(crate) mod addresses;
pub(crate) mod args;
pub(crate) mod choice;
pub(crate) mod door;
pub(crate) mod filter;
pub(crate) mod forward;
pub(crate) mod onion;
mod phone;

use freehold_api::words::{bytes, count, date, span};
use freehold_api::{
    Client, Explanation, MappedPort, NetNode, NetNodeSetting, NetRule, NetService, NetSetting, NetStatus,
    NewRule, NewService, Path, Problem, Question, Reach, SaidBy, Standing,
};

use self::args::{
    NetCommand, NetNodeArgs, NetSetArgs, PolicyCommand, RuleAddArgs, RuleCommand, ServiceAddArgs,
    ServiceCommand,
};
use crate::ask::show;
use crate::key::{end, now_ms};
use crate::terminal::Terminal;

const NONE: &str = "none";
const NOBODY: &str = "nobody";
const OWN: &str = "own";
const NO_RULE: &str = "no rule was made";

pub(crate) async fn net(terminal: Terminal, client: &Client, command: NetCommand) -> Result<(), Problem> {
    match command {
        NetCommand::Status => {
            let status = client.net().await?;
            show(terminal, &status, self::status)
        }
        NetCommand::Use(wish) => choice::choose(terminal, client, wish).await,
        NetCommand::Set(set) => set_net(terminal, client, set).await,
        NetCommand::Node(set) => set_node(terminal, client, set).await,
        NetCommand::Policy { command: PolicyCommand::Explain { from, to, port } } => {
            let told = client.explain(&Question { from, to, port }).await?;
            show(terminal, &told, explanation)
        }
        NetCommand::Service { command } => service(terminal, client, command).await,
        NetCommand::Certificates { command } => door::certificates(terminal, client, command).await,
        NetCommand::Ca { command } => door::authority(terminal, client, command).await,
        NetCommand::Rule { command } => rule(terminal, client, command).await,
        NetCommand::Forward { command } => forward::forward(terminal, client, command).await,
        NetCommand::Onion { command } => onion::onion(terminal, client, command).await,
        NetCommand::Phone { command } => phone::phone(terminal, client, command).await,
        NetCommand::Address { command } => addresses::address(terminal, client, command).await,
        NetCommand::Filter { command } => filter::filter(terminal, client, command).await,
    }
}

async fn set_net(terminal: Terminal, client: &Client, set: NetSetArgs) -> Result<(), Problem> {
    let NetSetArgs { range, guests_exit, strict, dry_run } = set;
    let range = range.map(|range| if range == OWN { String::new() } else { range });
    let now = client.set_net(&NetSetting { range, guests_exit, strict }, dry_run).await?;
    if dry_run {
        terminal.done(false, "The network would be changed so.");
        return Ok(());
    }
    show(terminal, &now, |now| whole(now).join("\n"))
}

async fn set_node(terminal: Terminal, client: &Client, set: NetNodeArgs) -> Result<(), Problem> {
    let NetNodeArgs { node, ipv4, exit, ingress, routes, owner, dry_run } = set;
    let setting = NetNodeSetting {
        ipv4: ipv4.map(|ipv4| if ipv4 == NONE { String::new() } else { ipv4 }),
        exit,
        ingress,
        routes: routes.map(|routes| if routes == [NONE] { Vec::new() } else { routes }),
        owner: owner.map(|owner| if owner == NOBODY { String::new() } else { owner }),
    };
    let now = client.set_net_node(&node, &setting, dry_run).await?;
    if dry_run {
        terminal.done(false, format!("{} would be changed so.", now.name));
        return Ok(());
    }
    show(terminal, &now, |now| node_lines(now, false).join("\n"))
}

async fn service(terminal: Terminal, client: &Client, command: ServiceCommand) -> Result<(), Problem> {
    match command {
        ServiceCommand::Add(wish) => {
            let ServiceAddArgs { name, nodes, ports, access, gateways, publish, dry_run } = *wish;
            let publish = publish.wish();
            let wish = NewService { name, nodes, ports, access, gateways, sign_on: false, publish };
            if let Some(made) = client.add_service(&wish, dry_run).await? {
                return show(terminal, &made, service_line);
            }
            terminal.done(false, format!("The service {} would be made so.", wish.name));
            Ok(())
        }
        ServiceCommand::Set(set) => door::set_service(terminal, client, *set).await,
        ServiceCommand::List => {
            let all = client.services().await?;
            let none = "  none yet: freehold net service add NAME --node NODE --port tcp/8080";
            show(terminal, &all, |all| lines(all, none, service_line))
        }
        ServiceCommand::End { service, dry_run } => {
            client.end_service(&service, dry_run).await?;
            let what = if dry_run { "would end for good" } else { "has ended, for good" };
            terminal.done(!dry_run, format!("The service {service} {what}."));
            Ok(())
        }
    }
}

async fn rule(terminal: Terminal, client: &Client, command: RuleCommand) -> Result<(), Problem> {
    match command {
        RuleCommand::Add(wish) => {
            let RuleAddArgs { name, from, to, ports, until, dry_run } = wish;
            let wrong = |until: &str| {
                let next = "freehold net rule add NAME ... --until 30d    (or 12h, 8w, 2027-01-31)";
                Problem::invalid(NO_RULE, format!("{until:?} is no end"), Some(next))
            };
            let until_ms =
                until.map(|until| end(&until, now_ms()).ok_or_else(|| wrong(&until))).transpose()?;
            let wish = NewRule { name, from, to, ports, until_ms };
            if let Some(made) = client.add_rule(&wish, dry_run).await? {
                return show(terminal, &made, rule_line);
            }
            terminal.done(false, format!("The rule {} would be made so.", wish.name));
            Ok(())
        }
        RuleCommand::List => {
            let all = client.rules().await?;
            let none = "  none yet: freehold net rule add NAME --from WHO --to NODE --port tcp/22";
            show(terminal, &all, |all| lines(all, none, rule_line))
        }
        RuleCommand::End { rule, dry_run } => {
            client.end_rule(&rule, dry_run).await?;
            let what = if dry_run { "would end for good" } else { "has ended, for good" };
            terminal.done(!dry_run, format!("The rule {rule} {what}."));
            Ok(())
        }
    }
}

fn lines<T>(all: &[T], none: &str, line: impl Fn(&T) -> String) -> String {
    if all.is_empty() {
        return none.to_owned();
    }
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Of those that were refused so many are shown; `--json` has all.
const REFUSED_MAX: usize = 5;

fn status(status: &NetStatus) -> String {
    let mut out = whole(status);
    for node in &status.nodes {
        out.extend(node_lines(node, node.id == status.this_node));
    }
    if !choice::is_plain(&status.uses) {
        out.extend(choice::lines(&status.uses).into_iter().map(|line| format!("  {line}")));
    }
    out.extend(status.refused.iter().take(REFUSED_MAX).map(|one| {
        let times = count(one.times, "packet");
        let (from, to, port) = (&one.from, &one.to, &one.port);
        format!("  refused: {from} to {to} at {port}, {times}, the last {} ago", span(one.ago_ms))
    }));
    out.extend(status.mapped.iter().filter_map(mapped));
    out.extend(status.troubles.iter().map(|trouble| format!("  ! {trouble}")));
    out.join("\n")
}

/// A router that passes nothing on is nothing to look at every day: `--json` and `freehold status` have it.
fn mapped(port: &MappedPort) -> Option<String> {
    let (outside, way) = (port.outside.as_ref()?, port.way.as_ref()?);
    let odd = port.trouble.as_ref().map(|odd| format!("; {odd}")).unwrap_or_default();
    Some(format!("  {}: {} is reached at {outside}, by the router ({way}){odd}", port.what, port.port))
}

fn whole(status: &NetStatus) -> Vec<String> {
    let mut said = Vec::new();
    if status.strict {
        said.push("strict: one's own laptop reaches only what a service or a rule opens");
    }
    if status.guests_exit {
        said.push("guests may use exits");
    }
    let said = if said.is_empty() { String::new() } else { format!("; {}", said.join("; ")) };
    vec![
        format!("{}: {}, IPv4 within {}{said}", status.zone, status.network, status.range),
        format!(
            "  {}, {}, {}",
            count(status.services, "service"),
            count(status.rules, "rule"),
            count(status.phones, "phone")
        ),
    ]
}

fn node_lines(node: &NetNode, is_here: bool) -> Vec<String> {
    let presence = match (is_here, node.standing, node.connected) {
        (true, ..) => "this machine".to_owned(),
        (_, Standing::Suspended | Standing::Burned, _) => format!("{}, reaches nobody", node.standing),
        (.., true) => connected(node),
        (.., false) => {
            let heard = node.last_heard_ms.map(|ms| format!(", heard {} ago", span(ms))).unwrap_or_default();
            let why = node.trouble.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("not connected{heard}{why}")
        }
    };
    let v4 = node.ipv4.as_ref().map(|at| format!(", {at}")).unwrap_or_default();
    let mut parts = Vec::new();
    if let Some(owner) = &node.owner {
        parts.push(format!("{owner}'s{}", if node.laptop { " laptop" } else { "" }));
    } else if node.laptop {
        parts.push("nobody's laptop: freehold net node NODE --owner PERSON".to_owned());
    }
    parts.extend(node.exit.then(|| "an exit to the internet".to_owned()));
    parts.extend(node.ingress.then(|| "takes in what the internet sends".to_owned()));
    if !node.routes.is_empty() {
        parts.push(format!("leads to {}", node.routes.join(", ")));
    }
    parts.extend(node.carried.map(|carried| {
        let refused = match carried.refused {
            0 => String::new(),
            refused => format!(", {} refused", count(refused, "packet")),
        };
        format!("{} there, {} back{refused}", bytes(carried.sent), bytes(carried.received))
    }));
    let mut out = vec![format!("  {:<28} {}{v4}  {presence}", node.domain, node.address)];
    if !parts.is_empty() {
        out.push(format!("  {:<28} {}", "", parts.join("; ")));
    }
    out
}

fn connected(node: &NetNode) -> String {
    let path = match node.path {
        Some(Path::Direct) => "connected directly",
        Some(Path::Relay) => "connected through a relay",
        None => "connected",
    };
    match node.rtt_us {
        Some(rtt) => format!("{path}, {}.{} ms", rtt / 1000, rtt % 1000 / 100),
        None => path.to_owned(),
    }
}

fn explanation(told: &Explanation) -> String {
    let answers = told.answers.iter().map(reach);
    answers.chain(told.notes.iter().cloned()).collect::<Vec<_>>().join("\n")
}

fn reach(reach: &Reach) -> String {
    let Reach { from, to, port, allowed, why, said, next } = reach;
    let verdict = if *allowed { "allowed" } else { "NOT allowed" };
    let mut out = vec![format!("{from} to {to}, {port}: {verdict}"), format!("  {why}")];
    out.extend(said.as_ref().map(|said| format!("  {}", said_by(said))));
    out.extend(next.as_ref().map(|next| format!("  to open it: {next}")));
    out.join("\n")
}

/// `RuleSet 1b2c3d4e, by ann on desk, 2026-11-22 02:35 UTC`.
fn said_by(said: &SaidBy) -> String {
    let id = said.operation.get(..8).unwrap_or(&said.operation);
    if said.kind.is_empty() {
        return format!("operation {id}, which is not here");
    }
    format!("{} {id}, by {}, {}", said.kind, said.by, date(said.at_ms))
}

pub(crate) fn service_line(service: &NetService) -> String {
    let gateways = match service.gateways.as_slice() {
        [] => String::new(),
        gateways => format!(", to the outside by {}", gateways.join(", ")),
    };
    let own = format!(
        "  {:<16} {} on {}, for {}{gateways}{}\n  {:<16} {} at {}; {}",
        service.name,
        service.ports.join(", "),
        service.nodes.join(", "),
        service.access.join(", "),
        if service.sign_on { ", after signing on" } else { "" },
        "",
        service.domain,
        service.address,
        said_by(&service.said)
    );
    let published = service.published.iter().flat_map(door::published_lines);
    let published = published.map(|line| format!("  {:<16} {line}", ""));
    std::iter::once(own).chain(published).collect::<Vec<_>>().join("\n")
}

fn rule_line(rule: &NetRule) -> String {
    let ports = if rule.ports.is_empty() { String::new() } else { format!(" at {}", rule.ports.join(", ")) };
    let until = match rule.until_ms {
        Some(_) if rule.lapsed => ", LAPSED".to_owned(),
        Some(until) => format!(", until {}", date(until)),
        None => String::new(),
    };
    format!(
        "  {:<16} {} to {}{ports}{until}\n  {:<16} {}",
        rule.name,
        rule.from.join(", "),
        rule.to.join(", "),
        "",
        said_by(&rule.said)
    )
}

#[cfg(test)]
mod tests;

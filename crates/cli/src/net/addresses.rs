//! `freehold net address`: names on the internet that follow this machine.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use freehold_api::words::span;
use freehold_api::{AddressBy, AddressFamily, Client, NewAddress, Problem, PublishedAddress};
use zeroize::Zeroizing;

use crate::ask::show;
use crate::key::now_ms;
use crate::realm::read_file;
use crate::terminal::Terminal;

/// `freehold net address`.
#[derive(Debug, Clone, Subcommand)]
pub enum AddressCommand {
    /// Let a name on the internet lead to this machine's public address, whenever that changes
    Publish(Box<PublishArgs>),
    /// List the names that follow this machine
    List,
    /// Take a name back: what it leads to is taken out, and it follows no more
    Remove {
        /// The name
        name: String,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold net address publish`.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("by").required(true).args(["server", "hook", "url"]))]
pub struct PublishArgs {
    /// The name, whole: home.example.org
    pub name: String,
    /// A name server that takes updates (RFC 2136): its address, with a port if that is not 53
    #[arg(long, value_name = "ADDRESS", requires_all = ["zone", "key_file"])]
    pub server: Option<String>,
    /// The zone that it takes them for
    #[arg(long, requires = "server")]
    pub zone: Option<String>,
    /// The key that it knows, as tsig-keygen writes it; - for standard input
    #[arg(long, value_name = "FILE", requires = "server")]
    pub key_file: Option<PathBuf>,
    /// A program that tells whoever keeps the zone: it is run with replace NAME A ADDRESS, replace NAME AAAA ADDRESS,
    /// clear NAME A or clear NAME AAAA
    #[arg(long, value_name = "PROGRAM")]
    pub hook: Option<PathBuf>,
    /// A provider (dyndns2): the address that it names, such as https://provider.example/nic/update
    #[arg(long, requires_all = ["user", "password_file"])]
    pub url: Option<String>,
    /// Who is known there
    #[arg(long, requires = "url")]
    pub user: Option<String>,
    /// And by what; - for standard input
    #[arg(long, value_name = "FILE", requires = "url")]
    pub password_file: Option<PathBuf>,
    /// Only addresses of this family
    #[arg(long, value_name = "FAMILY", value_parser = ["ipv4", "ipv6"])]
    pub only: Option<String>,
    /// Only say what would be told
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) async fn address(
    terminal: Terminal,
    client: &Client,
    command: AddressCommand,
) -> Result<(), Problem> {
    match command {
        AddressCommand::Publish(wish) => publish(terminal, client, *wish).await,
        AddressCommand::List => {
            let all = client.addresses().await?;
            let none = "  none: freehold net address publish --help";
            show(terminal, &all, |all| super::lines(all, none, |one| line(one, now_ms())))
        }
        AddressCommand::Remove { name, dry_run } => {
            let left = client.remove_address(&name, dry_run).await?;
            let what = if dry_run { "would follow" } else { "follows" };
            let left = left.map(|why| format!("\nWhat it leads to may still stand there: {why}"));
            let left = left.unwrap_or_default();
            terminal.done(!dry_run, format!("{name} {what} this machine no more.{left}"));
            Ok(())
        }
    }
}

async fn publish(terminal: Terminal, client: &Client, wish: PublishArgs) -> Result<(), Problem> {
    let PublishArgs { name, server, zone, key_file, hook, url, user, password_file, only, dry_run } = wish;
    let by = match (server, hook, url) {
        (Some(server), ..) => {
            AddressBy::Server { server, zone: zone.unwrap_or_default(), key: text_of(key_file.as_deref())? }
        }
        (_, Some(hook), _) => {
            let program = std::path::absolute(&hook).unwrap_or(hook).to_string_lossy().into_owned();
            AddressBy::Hook { program }
        }
        (.., url) => AddressBy::Provider {
            url: url.unwrap_or_default(),
            user: user.unwrap_or_default(),
            password: text_of(password_file.as_deref())?,
        },
    };
    let told = client.publish_address(&NewAddress { name, by, only }, dry_run).await?;
    if dry_run {
        let own: Vec<&str> = told.families.iter().filter_map(|family| family.own.as_deref()).collect();
        let own = if own.is_empty() {
            "nothing yet: no public address is known".to_owned()
        } else {
            own.join(", ")
        };
        terminal.done(false, format!("{} would be told {own}, by {}.", told.name, told.by));
        return Ok(());
    }
    show(terminal, &told, |told| line(told, now_ms()))
}

fn text_of(file: Option<&Path>) -> Result<String, Problem> {
    let Some(file) = file else { return Ok(String::new()) };
    let bytes = Zeroizing::new(read_file(file)?);
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        Problem::invalid(format!("cannot read {}", file.display()), "it is no text", None::<&str>)
    })
}

fn line(told: &PublishedAddress, now_ms: u64) -> String {
    let families = told.families.iter().map(|family| format!("  {}", family_line(family, now_ms)));
    let head = format!("  {}, by {}", told.name, told.by);
    std::iter::once(head).chain(families.map(|line| format!("  {line}"))).collect::<Vec<_>>().join("\n")
}

fn family_line(family: &AddressFamily, now_ms: u64) -> String {
    let AddressFamily { family: name, own, told, told_ms, trouble, stopped } = family;
    let stands = match (told, own) {
        (Some(told), _) => {
            let ago = told_ms.map(|at| format!(", told {} ago", span(now_ms.saturating_sub(at))));
            format!("{told}{}", ago.unwrap_or_default())
        }
        (None, Some(own)) => format!("{own}, not told yet"),
        (None, None) => "none known".to_owned(),
    };
    let then = if *stopped { "; not asked again until you publish the name anew" } else { "" };
    let wrong = trouble.as_ref().map(|why| format!("\n    ! {why}{then}")).unwrap_or_default();
    format!("{name}: {stands}{wrong}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_with_what_it_leads_to_and_what_is_wrong() {
        let family = |family: &str, told: Option<&str>, own: Option<&str>| AddressFamily {
            family: family.to_owned(),
            own: own.map(str::to_owned),
            told: told.map(str::to_owned),
            told_ms: told.map(|_| 1_000_000),
            trouble: None,
            stopped: false,
        };
        let mut wrong = family("ipv6", None, Some("2001:db8::1"));
        (wrong.trouble, wrong.stopped) = (Some("abuse".to_owned()), true);
        let told = PublishedAddress {
            name: "home.example.org".to_owned(),
            by: "the server 192.0.2.53, zone example.org".to_owned(),
            families: vec![family("ipv4", Some("203.0.113.7"), None), wrong],
        };
        assert_eq!(
            line(&told, 1_120_000),
            "  home.example.org, by the server 192.0.2.53, zone example.org\n    \
             ipv4: 203.0.113.7, told 2 minutes ago\n    ipv6: 2001:db8::1, not told yet\n    \
             ! abuse; not asked again until you publish the name anew"
        );
    }
}

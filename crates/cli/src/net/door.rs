//! `freehold net service` as far as the door shows services, `net certificates` and `net ca`.

use std::path::Path;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use freehold_api::words::{bytes, count, date};
use freehold_api::{
    AuthoritySetting, CertificatesStatus, Client, NameStanding, Problem, Proof, PublishedService, Publishing,
    ServiceChange, ShownHere, TlsEnds, ZoneServerSetting,
};

use crate::ask::show;
use crate::net::service_line;
use crate::terminal::Terminal;

const NONE: &str = "none";

/// How a service is published: HTTPS for its name in the realm, and for names outside.
#[derive(Debug, Clone, Default, Args)]
#[command(group = ArgGroup::new("ends").args(["web", "pass"]))]
pub struct PublishArgs {
    /// A name outside that leads to a gateway, such as wiki.example.org; may be given several times; none for none
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Publish it as a website: the door speaks HTTPS for it, at its gateways and where it runs
    #[arg(long)]
    pub web: bool,
    /// The same, and TLS ends where it runs: a gateway sees the name that is asked for, and nothing else
    #[arg(long)]
    pub pass: bool,
    /// Let in only who has signed on, as http://ADDRESS:PORT/PATH says when it is asked; none for nobody
    #[arg(long, value_name = "URL")]
    pub sign_on: Option<String>,
    /// A header that the sign-on says and the service is told; may be given several times
    /// [default: Remote-User, Remote-Groups, Remote-Name, Remote-Email]
    #[arg(long, value_name = "HEADER")]
    pub sign_on_header: Vec<String>,
    /// The largest body of a request, as 1G; none for any
    #[arg(long, value_name = "SIZE", value_parser = limit)]
    pub limit_body: Option<u64>,
    /// How many requests of one client are answered, as 50/s; none for any number
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub rate: Option<u32>,
    /// A header of every answer, as 'X-Frame-Options: DENY'; without a value it is taken out
    #[arg(long, value_name = "HEADER")]
    pub answer_header: Vec<String>,
    /// Tell browsers to come by HTTPS only for so many days; 0 for not at all
    #[arg(long, value_name = "DAYS")]
    pub https_only: Option<u32>,
}

fn limit(text: &str) -> Result<u64, String> {
    if text == NONE { Ok(0) } else { crate::backend::size(text) }
}

fn rate(text: &str) -> Result<u32, String> {
    if text == NONE {
        return Ok(0);
    }
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().ok().filter(|rate| *rate > 0).ok_or_else(|| "requests a second, such as 50/s".to_owned())
}

fn some(all: &[String]) -> Option<Vec<String>> {
    match all {
        [] => None,
        [one] if one == NONE => Some(Vec::new()),
        all => Some(all.to_vec()),
    }
}

impl PublishArgs {
    /// What is wished; none if it is not to be published.
    pub(crate) fn wish(&self) -> Option<Publishing> {
        let ends = if self.pass { Some(TlsEnds::Home) } else { self.web.then_some(TlsEnds::Gateway) };
        let wish = Publishing {
            hosts: some(&self.hosts),
            ends,
            body_max: self.limit_body,
            rate: self.rate,
            sign_on: self.sign_on.clone().map(|url| if url == NONE { String::new() } else { url }),
            copied: some(&self.sign_on_header),
            answers: some(&self.answer_header),
            hsts: self.https_only.map(|days| days.saturating_mul(24 * 60 * 60)),
        };
        (wish != Publishing::default()).then_some(wish)
    }
}

/// `freehold net service set`.
#[derive(Debug, Clone, Args)]
pub struct ServiceSetArgs {
    /// Its name, its id, or the first characters of its id
    pub service: String,
    /// The nodes that it runs on, all of them
    #[arg(long = "node", value_name = "NODE")]
    pub nodes: Vec<String>,
    /// Its ports, all of them; of a published service the one at which its program listens
    #[arg(long = "port", value_name = "PORT", value_delimiter = ',')]
    pub ports: Vec<String>,
    /// Who may use it: realm, lan or public, and grant:ID
    #[arg(long, value_name = "WHO", value_delimiter = ',')]
    pub access: Vec<String>,
    /// The gateways that take it to the outside, all of them; none for none
    #[arg(long = "gateway", value_name = "NODE")]
    pub gateways: Vec<String>,
    /// How it is published.
    #[command(flatten)]
    pub publish: PublishArgs,
    /// Only say whether it would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold net certificates`.
#[derive(Debug, Clone, Subcommand)]
pub enum CertificatesCommand {
    /// Show who certifies names, and how it stands with those of this machine's door
    Show,
    /// Choose who certifies names outside; what is not given stays
    Set(Box<CertificatesSetArgs>),
}

/// `freehold net certificates set`.
#[derive(Debug, Clone, Args)]
pub struct CertificatesSetArgs {
    /// The authority's directory [default: Let's Encrypt]
    #[arg(long, value_name = "URL")]
    pub acme: Option<String>,
    /// Where it may write to, such as ada@example.org; may be given several times; none for nowhere
    #[arg(long, value_name = "MAIL")]
    pub contact: Vec<String>,
    /// You have read the authority's terms, and agree
    #[arg(long)]
    pub agree: bool,
    /// How it sees that a name is yours
    #[arg(long, value_enum)]
    pub proof: Option<ProofWord>,
    /// A file with the certificates (PEM) that the authority itself is known by; none for the system's
    #[arg(long, value_name = "FILE")]
    pub roots: Option<String>,
    /// The server that takes updates of the zone (RFC 2136), as 192.0.2.1:53
    #[arg(long, value_name = "IP:PORT", requires_all = ["dns_zone", "dns_key", "dns_key_file"])]
    pub dns_server: Option<String>,
    /// The zone that it keeps, such as example.org
    #[arg(long, value_name = "ZONE", requires = "dns_server")]
    pub dns_zone: Option<String>,
    /// The name of the key that updates are signed with
    #[arg(long, value_name = "NAME", requires = "dns_server")]
    pub dns_key: Option<String>,
    /// A file with the key's secret, in base64; it is sealed for the gateways
    #[arg(long, value_name = "FILE", requires = "dns_server")]
    pub dns_key_file: Option<String>,
    /// The key is for HMAC with SHA-512, and not SHA-256
    #[arg(long, requires = "dns_server")]
    pub dns_key_sha512: bool,
}

/// How an authority sees that a name is yours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ProofWord {
    /// It asks for a text on port 80
    Http,
    /// It looks at a certificate on port 443
    TlsAlpn,
    /// It looks for a record in the zone; the only way to names with *.
    Dns,
}

/// `freehold net ca`.
#[derive(Debug, Clone, Subcommand)]
pub enum CaCommand {
    /// Print the certificate of the realm's own authority, for machines that are to trust it
    Show,
}

pub(crate) async fn set_service(
    terminal: Terminal,
    client: &Client,
    set: ServiceSetArgs,
) -> Result<(), Problem> {
    let all = |given: &[String]| (!given.is_empty()).then(|| given.to_vec());
    let change = ServiceChange {
        nodes: all(&set.nodes),
        ports: all(&set.ports),
        access: all(&set.access),
        gateways: some(&set.gateways),
        publish: set.publish.wish(),
    };
    let now = client.change_service(&set.service, &change, set.dry_run).await?;
    if set.dry_run {
        terminal.done(false, format!("The service {} would be changed so.", now.name));
        return Ok(());
    }
    show(terminal, &now, service_line)
}

pub(crate) async fn certificates(
    terminal: Terminal,
    client: &Client,
    command: CertificatesCommand,
) -> Result<(), Problem> {
    let now = match command {
        CertificatesCommand::Show => client.certificates().await?,
        CertificatesCommand::Set(set) => client.set_certificates(&setting(&set)?).await?,
    };
    show(terminal, &now, certified)
}

pub(crate) async fn authority(
    terminal: Terminal,
    client: &Client,
    command: CaCommand,
) -> Result<(), Problem> {
    let CaCommand::Show = command;
    let authority = client.realm_authority().await?;
    show(terminal, &authority, |authority| authority.certificate.trim_end().to_owned())?;
    if !terminal.json {
        terminal.say(format!(
            "This certifies names in {} and nothing else. SHA-256 {}",
            authority.zone, authority.fingerprint
        ));
    }
    Ok(())
}

fn read(file: &str) -> Result<String, Problem> {
    std::fs::read_to_string(Path::new(file)).map_err(|error| {
        Problem::invalid(
            format!("cannot read {file}"),
            error.to_string(),
            Some("name a file that you can read"),
        )
    })
}

fn setting(set: &CertificatesSetArgs) -> Result<AuthoritySetting, Problem> {
    let update = match (&set.dns_server, &set.dns_zone, &set.dns_key, &set.dns_key_file) {
        (Some(server), Some(zone), Some(key), Some(file)) => Some(ZoneServerSetting {
            server: server.clone(),
            zone: zone.clone(),
            key: key.clone(),
            sha512: set.dns_key_sha512,
            secret: read(file)?.trim().to_owned(),
        }),
        _ => None,
    };
    let roots = match set.roots.as_deref() {
        Some(NONE) => Some(String::new()),
        Some(file) => Some(read(file)?),
        None => None,
    };
    Ok(AuthoritySetting {
        acme: set.acme.clone(),
        contact: some(&set.contact),
        agreed: set.agree.then_some(true),
        proof: set.proof.map(|proof| match proof {
            ProofWord::Http => Proof::Http,
            ProofWord::TlsAlpn => Proof::TlsAlpn,
            ProofWord::Dns => Proof::Dns,
        }),
        roots,
        update,
    })
}

fn certified(status: &CertificatesStatus) -> String {
    let mut out = vec![match &status.acme {
        None => {
            "  names outside: nobody yet: freehold net certificates set --contact MAIL --agree".to_owned()
        }
        Some(acme) if !status.agreed => {
            format!(
                "  names outside: nobody yet: read the terms of {acme}, then: freehold net certificates set --agree"
            )
        }
        Some(acme) => format!("  names outside: {acme}, proved by {}", status.proof),
    }];
    if !status.contact.is_empty() {
        out.push(format!("  it may write to {}", status.contact.join(", ")));
    }
    out.extend(status.update.as_ref().map(|update| format!("  records are put into the zone by {update}")));
    out.extend(status.names.iter().map(|name| format!("  {}", standing(name))));
    out.join("\n")
}

fn standing(name: &NameStanding) -> String {
    let until = match name.until_ms {
        Some(until) => format!("certified until {}", date(until)),
        None => "no certificate yet".to_owned(),
    };
    match &name.error {
        None => format!("{}: {until}", name.name),
        Some(error) => {
            let next = name.next_ms.map(|next| format!(", again {}", date(next))).unwrap_or_default();
            format!("{}: {until}; failed {}{next}: {error}", name.name, times(name.failures))
        }
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// How the door shows a service, in lines below it.
pub(crate) fn published_lines(published: &PublishedService) -> Vec<String> {
    let ends = match published.ends {
        TlsEnds::Gateway => "",
        TlsEnds::Home => ", TLS ends where it runs",
    };
    let hosts = match published.hosts.as_slice() {
        [] => String::new(),
        hosts => format!(" and https://{}", hosts.join(", https://")),
    };
    let what = format!("HTTPS for its name in the realm{hosts}, from port {}{ends}", published.port);
    let more = [
        published.body_max.map(|most| format!("bodies up to {}", bytes(most))),
        published.rate.map(|rate| format!("{rate}/s for each client")),
        published.sign_on.as_ref().map(|url| format!("signed on at {url}")),
    ];
    let what = std::iter::once(what).chain(more.into_iter().flatten()).collect::<Vec<_>>().join(", ");
    let here = published.here.iter().flat_map(here_lines);
    std::iter::once(what).chain(here).collect()
}

fn here_lines(here: &ShownHere) -> Vec<String> {
    let mut out = Vec::new();
    if !here.listening.is_empty() {
        out.push(format!("this machine's door is at {}", here.listening.join(", ")));
    }
    out.extend(here.names.iter().map(standing));
    out.extend(here.counted.map(|counted| {
        format!(
            "{}, {} of them errors; {} in, {} out; {} turned away",
            count(counted.answers, "answer"),
            counted.errors,
            bytes(counted.received),
            bytes(counted.sent),
            counted.turned_away
        )
    }));
    out.extend(here.troubles.iter().map(|trouble| format!("! {trouble}")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_typed_is_not_wished() {
        assert_eq!(PublishArgs::default().wish(), None);
        let hosts = vec![NONE.to_owned()];
        let wish = PublishArgs { hosts, rate: Some(0), ..PublishArgs::default() }.wish().unwrap();
        assert_eq!((wish.hosts, wish.rate, wish.ends), (Some(Vec::new()), Some(0), None));
        assert_eq!((rate("50/s"), rate("50"), rate("none")), (Ok(50), Ok(50), Ok(0)));
        assert!(rate("0/s").is_err() && rate("fast").is_err() && limit("large").is_err());
        assert_eq!(limit("1G"), Ok(1 << 30));
    }

    #[test]
    fn a_name_is_told_with_what_is_wrong() {
        let mut name = NameStanding {
            name: "wiki.example.org".to_owned(),
            until_ms: None,
            next_ms: Some(1_795_314_925_000),
            failures: 2,
            error: Some("nobody answers".to_owned()),
        };
        assert_eq!(
            standing(&name),
            "wiki.example.org: no certificate yet; failed 2 times, again 2026-11-22 02:35 UTC: nobody answers"
        );
        (name.until_ms, name.error) = (Some(1_795_314_925_000), None);
        assert_eq!(standing(&name), "wiki.example.org: certified until 2026-11-22 02:35 UTC");
    }
}

//! From what somebody wishes of a published service to what the directory is to say, and back.

use freehold_api::{Problem, PublishedService, Publishing, TlsEnds};
use freehold_gateway::Host;
use freehold_realm::body::{Ports, Proto, ServiceSet};
use freehold_seal::{self as seal, Published};
use freehold_wire::{Bounded, NodeId, Text};
use http::{HeaderName, HeaderValue};

use super::sign_on;

const NOT_PUBLISHED: &str = "the service was not published";
/// Where the door answers at a service's own address.
pub(crate) const DOOR_PORTS: [Ports; 2] = [Ports::one(Proto::Tcp, 80), Ports::one(Proto::Tcp, 443)];
/// Requests at once, for each one a second.
const BURST: u32 = 4;
/// What a sign-on says, if nobody names anything else: the words that most of them use.
const COPIED: [&str; 4] = ["remote-user", "remote-groups", "remote-name", "remote-email"];

fn odd(why: impl Into<String>, next: &str) -> Problem {
    Problem::invalid(NOT_PUBLISHED, why, Some(next))
}

fn text<const N: usize>(what: &str, text: &str) -> Result<Text<N>, Problem> {
    Text::new(text).map_err(|error| odd(format!("{what}: {error}"), "write it shorter"))
}

fn list<T, const N: usize>(what: &str, all: Vec<T>) -> Result<Bounded<T, N>, Problem> {
    Bounded::from_vec(all).map_err(|error| odd(format!("{what}: {error}"), "name fewer of them"))
}

/// How a service is published after this wish.
pub(crate) fn published(
    before: Option<&Published>,
    wish: &Publishing,
    ports: &[Ports],
) -> Result<Published, Problem> {
    let usual = || Published {
        hosts: Bounded::new(),
        ends: seal::TlsEnds::Gateway,
        port: 0,
        body_max: None,
        rate: None,
        sign_on: None,
        copied: Bounded::new(),
        answers: Bounded::new(),
        hsts: None,
    };
    let mut now = before.cloned().unwrap_or_else(usual);
    if let Some(port) = own_port(ports)? {
        now.port = port;
    }
    if let Some(hosts) = &wish.hosts {
        now.hosts = wanted_hosts(hosts)?;
    }
    if let Some(ends) = wish.ends {
        now.ends = match ends {
            TlsEnds::Gateway => seal::TlsEnds::Gateway,
            TlsEnds::Home => seal::TlsEnds::Home,
        };
    }
    if let Some(most) = wish.body_max {
        now.body_max = (most > 0).then_some(most);
    }
    if let Some(rate) = wish.rate {
        now.rate = (rate > 0).then_some((rate, rate.saturating_mul(BURST)));
    }
    if let Some(seconds) = wish.hsts {
        now.hsts = (seconds > 0).then_some(seconds);
    }
    if let Some(url) = wish.sign_on.as_deref() {
        now.sign_on = if url.is_empty() { None } else { Some(wanted_sign_on(url)?) };
        if now.copied.is_empty() {
            now.copied = headers(&COPIED.map(str::to_owned))?;
        }
    }
    if let Some(copied) = &wish.copied {
        now.copied = headers(copied)?;
    }
    if let Some(answers) = &wish.answers {
        now.answers = wanted_answers(answers)?;
    }
    if now.port == 0 {
        let next = "freehold net service add NAME --node NODE --port tcp/8080 --web";
        return Err(odd("it has to be said at which TCP port its program listens", next));
    }
    Ok(now)
}

/// The one port besides the door's own, if one is named.
fn own_port(ports: &[Ports]) -> Result<Option<u16>, Problem> {
    let own: Vec<&Ports> =
        ports.iter().filter(|port| ports.len() == 1 || !DOOR_PORTS.contains(port)).collect();
    match own.as_slice() {
        [] => Ok(None),
        [one] if one.proto == Proto::Tcp && one.first == one.last => Ok(Some(one.first)),
        _ => Err(odd(
            "a service that is published has one port, and speaks TCP",
            "--port tcp/8080; make another service for what else runs there",
        )),
    }
}

/// The ports that the log is to open at the service's own address: the door's, and the program's only if a
/// gateway has to reach it from another machine.
pub(crate) fn opened(published: &Published, homes: &[NodeId], gateways: &[NodeId]) -> Vec<Ports> {
    let from_elsewhere = gateways.iter().any(|gateway| !homes.contains(gateway));
    let own = from_elsewhere && published.ends == seal::TlsEnds::Gateway;
    let own = own.then_some(Ports::one(Proto::Tcp, published.port));
    let mut all: Vec<Ports> = DOOR_PORTS.into_iter().chain(own).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What has to fit in both the log and the directory.
pub(crate) fn check(published: &Published, set: &ServiceSet) -> Result<(), Problem> {
    if set.sign_on && published.sign_on.is_none() {
        return Err(odd(
            "it is to let in only who has signed on, and nobody is named who knows",
            "--sign-on http://127.0.0.1:9091/verify",
        ));
    }
    let past = |ports: &Ports| !DOOR_PORTS.contains(ports);
    if published.sign_on.is_some() && opened(published, &set.homes, &set.gateways).iter().any(past) {
        return Err(odd(
            "its gateway is another machine, for which its own port would be open to all who may use it, past the \
             sign-on",
            "--pass    (or a gateway on the machine that it runs on)",
        ));
    }
    let ends =
        set.homes.iter().chain(set.gateways.iter().filter(|_| published.ends == seal::TlsEnds::Gateway));
    let many = ends.collect::<std::collections::BTreeSet<_>>().len() > 1;
    if let Some(url) = published.sign_on.as_ref().filter(|_| many)
        && sign_on::read(url.as_str()).is_ok_and(|place| place.is_here())
    {
        return Err(odd(
            format!("{url} is another program on each of the machines that ask it"),
            "--sign-on http://auth.smith.internal/verify    (a machine or service of the realm)",
        ));
    }
    if !published.hosts.is_empty() && set.gateways.is_empty() && set.grants.is_empty() {
        let host = published.hosts.first().map_or("", Text::as_str);
        return Err(odd(
            format!("{host} leads to no gateway, so nobody outside gets in"),
            "--gateway NODE    (a machine with the role gateway that the name leads to), or once for all services: \
             freehold net node NODE --ingress yes",
        ));
    }
    Ok(())
}

fn wanted_hosts<const N: usize>(typed: &[String]) -> Result<Bounded<Text<256>, N>, Problem> {
    let mut all = Vec::new();
    for host in typed {
        let host = Host::parse(host).map_err(|error| odd(error.to_string(), "--host wiki.example.org"))?;
        if !host.name().contains('.') {
            let why = format!("{host} is no name of the internet");
            return Err(odd(why, "--host wiki.example.org"));
        }
        all.push(text("the name", &host.to_string())?);
    }
    all.sort_by(|a: &Text<256>, b| a.as_str().cmp(b.as_str()));
    all.dedup();
    list("names", all)
}

fn wanted_sign_on(url: &str) -> Result<Text<512>, Problem> {
    sign_on::read(url)
        .map_err(|why| odd(format!("{url:?} {why}"), "--sign-on http://127.0.0.1:9091/verify"))?;
    text("the address of the sign-on", url)
}

fn headers<const N: usize>(typed: &[String]) -> Result<Bounded<Text<64>, N>, Problem> {
    let read = |name: &String| {
        let name = header(name)?;
        text("the header", name.as_str())
    };
    list("headers", typed.iter().map(read).collect::<Result<Vec<_>, _>>()?)
}

fn header(typed: &str) -> Result<HeaderName, Problem> {
    typed
        .trim()
        .parse()
        .map_err(|_| odd(format!("{typed:?} is no name of a header"), "such as X-Frame-Options"))
}

fn wanted_answers<const N: usize>(typed: &[String]) -> Result<Bounded<(Text<64>, Text<1024>), N>, Problem> {
    let read = |line: &String| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let (name, value) = (header(name)?, value.trim());
        HeaderValue::from_str(value)
            .map_err(|_| odd(format!("{value:?} cannot stand in a header"), "write it in plain ASCII"))?;
        Ok((text("the header", name.as_str())?, text("the value", value)?))
    };
    list("headers", typed.iter().map(read).collect::<Result<Vec<_>, Problem>>()?)
}

/// As the API tells it; what this node's door shows of it comes later.
pub(crate) fn told(published: &Published) -> PublishedService {
    PublishedService {
        hosts: published.hosts.iter().map(|host| host.as_str().to_owned()).collect(),
        ends: match published.ends {
            seal::TlsEnds::Gateway => TlsEnds::Gateway,
            seal::TlsEnds::Home => TlsEnds::Home,
        },
        port: published.port,
        body_max: published.body_max,
        rate: published.rate.map(|(each_second, _)| each_second),
        sign_on: published.sign_on.as_ref().map(|url| url.as_str().to_owned()),
        here: None,
    }
}

#[cfg(test)]
mod tests;

//! Published services, from the API to the log, the directory and the bucket of certificates.

use std::sync::Arc;

use async_trait::async_trait;
use data_encoding::BASE64;
use freehold_api::{
    AuthoritySetting, CertificatesStatus, DoorControl, NetService, NewService, Problem, Proof, Publishing,
    RealmAuthority, ServiceChange, ZoneServerSetting,
};
use freehold_realm::body::{Ports, ServiceSet};
use freehold_realm::{Node, NodeRoles, Standing, State};
use freehold_seal::{self as seal, DirectoryRow, PublicAuthority, Published, ZoneServer};
use freehold_wire::{Bounded, NodeId, ServiceId, Text};
use zeroize::Zeroizing;

use super::net::{must_be_keeper, nothing, say, services};
use super::{Answers, bucket};
use crate::certificate;
use crate::net::called::{Sort, Thing};
use crate::net::door::{asked, kept, update};
use crate::net::grants::ingress;
use crate::net::{called, change, ports, told};
use crate::scribe::Saying;
use crate::shared::Shared;

const NOT_CHANGED: &str = "the service was not changed";
const NOT_CHOSEN: &str = "who certifies names was not changed";
/// Let's Encrypt, which is a charity and takes nothing.
const USUAL: &str = "https://acme-v02.api.letsencrypt.org/directory";

#[async_trait]
impl DoorControl for Answers {
    async fn change_service(
        &self,
        service: &str,
        wish: ServiceChange,
        dry_run: bool,
    ) -> Result<NetService, Problem> {
        if wish == ServiceChange::default() {
            return Err(nothing("freehold net service set --help"));
        }
        let typed = service.to_owned();
        let set =
            move |shared: Arc<Shared>| async move { change_service(&shared, &typed, &wish, dry_run).await };
        let id = self.0.to_the_end(set).await?.to_string();
        let changed = services(&self.0).await?.into_iter().find(|service| service.id == id);
        changed.ok_or_else(|| Problem::bug("the service was changed but is not listed", id, None::<&str>))
    }

    async fn certificates(&self) -> Result<CertificatesStatus, Problem> {
        Ok(certificates(&self.0))
    }

    async fn set_certificates(&self, setting: AuthoritySetting) -> Result<CertificatesStatus, Problem> {
        if setting == AuthoritySetting::default() {
            return Err(nothing("freehold net certificates set --help"));
        }
        let set = move |shared: Arc<Shared>| async move { set_certificates(&shared, &setting).await };
        self.0.to_the_end(set).await?;
        Ok(certificates(&self.0))
    }

    async fn realm_authority(&self) -> Result<RealmAuthority, Problem> {
        let view = self.0.log.view();
        let zone = called(&self.0, view.state()).zone().to_owned();
        let of = zone.clone();
        let make = move |shared: Arc<Shared>| async move { kept::make_authority(&shared, &of).await };
        let authority = self.0.to_the_end(make).await?;
        let der = authority.certificate();
        Ok(RealmAuthority { zone, certificate: pem(der), fingerprint: certificate::fingerprint(der) })
    }
}

fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// What is said in the log and the directory of a service that is to be published; `typed` are the ports as
/// somebody typed them.
pub(super) fn publish(
    state: &State,
    before: Option<&Published>,
    wish: &Publishing,
    typed: &[Ports],
    body: &mut ServiceSet,
) -> Result<Published, Problem> {
    let published = asked::published(before, wish, typed)?;
    let is_borrowed = body.grants.iter().any(|grant| ingress::leads_here(state, grant));
    if is_borrowed && published.ends == seal::TlsEnds::Gateway {
        return Err(Problem::invalid(
            NOT_CHANGED,
            "another realm's gateway would have the key of its certificate",
            Some("let TLS end where it runs: --pass"),
        ));
    }
    let has_hosts = wish.hosts.as_ref().is_some_and(|hosts| !hosts.is_empty());
    if has_hosts && body.gateways.is_empty() && !is_borrowed {
        // Unless somebody named others, those that are there for it.
        body.gateways = Bounded::fill(&mut takes_in(state));
    }
    let opened = asked::opened(&published, &body.homes, &body.gateways);
    body.ports = Bounded::from_vec(opened)
        .map_err(|error| Problem::bug(NOT_CHANGED, error.to_string(), None::<&str>))?;
    if wish.sign_on.is_some() {
        body.sign_on = published.sign_on.is_some();
    }
    asked::check(&published, body)?;
    Ok(published)
}

/// The gateways that take in what the internet sends.
fn takes_in(state: &State) -> impl Iterator<Item = NodeId> {
    let is_one = |node: &Node| {
        node.standing == Standing::Active
            && node.roles.contains(NodeRoles::GATEWAY)
            && node.network.ingress.is_some()
    };
    state.nodes.iter().filter(move |(_, node)| is_one(node)).map(|(id, _)| *id)
}

/// What has to be there before a service can be published: what certifies its name in the realm.
pub(super) async fn prepare(shared: &Shared) -> Result<(), Problem> {
    let zone = called(shared, shared.log.view().state()).zone().to_owned();
    kept::make_authority(shared, &zone).await.map(drop)
}

/// A row that says how a service is published.
pub(super) fn row(service: ServiceId, published: Published) -> Saying {
    Saying::Row(DirectoryRow::Published(service, Some(published)))
}

async fn change_service(
    shared: &Shared,
    typed: &str,
    wish: &ServiceChange,
    dry_run: bool,
) -> Result<ServiceId, Problem> {
    let view = shared.log.view();
    let called = called(shared, view.state());
    let Thing::Service(id) = called.meant(typed, &[Sort::Service])? else {
        return Err(Problem::bug(NOT_CHANGED, typed, None::<&str>));
    };
    let Some(known) = view.state().services.get(&id) else {
        return Err(Problem::bug(NOT_CHANGED, typed, None::<&str>));
    };
    let ids = |nodes: &[NodeId]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let asked = NewService {
        name: String::new(),
        nodes: wish.nodes.clone().unwrap_or_else(|| ids(&known.homes)),
        ports: wish.ports.clone().unwrap_or_else(|| known.ports.iter().copied().map(ports::shown).collect()),
        access: wish.access.clone().unwrap_or_else(|| told::access(&called, known)),
        gateways: wish.gateways.clone().unwrap_or_else(|| ids(&known.gateways)),
        sign_on: known.sign_on,
        publish: None,
    };
    let mut body = change::of_service(&called, id, &asked)?;
    let before = shared.directory().published(id).cloned();
    let mut published = None;
    if before.is_some() || wish.publish.is_some() {
        // Of one that was not published yet, its port is the program's.
        let fresh = before.is_none() || wish.ports.is_some();
        let typed = if fresh { body.ports.to_vec() } else { Vec::new() };
        let usual = Publishing::default();
        let wish = wish.publish.as_ref().unwrap_or(&usual);
        published = Some(publish(view.state(), before.as_ref(), wish, &typed, &mut body)?);
    }
    let same = body.homes[..] == known.homes[..]
        && body.ports[..] == known.ports[..]
        && body.preset == known.preset
        && body.grants[..] == known.grants[..]
        && body.gateways[..] == known.gateways[..]
        && body.sign_on == known.sign_on;
    let by = bucket::by(shared);
    // Where a service leads to is nobody's who may not change the service.
    let row_is_new = published != before;
    if !same || row_is_new {
        shared.log.would_take(body.clone(), by.clone()).await?;
    }
    if row_is_new {
        must_be_keeper(shared, NOT_CHANGED)?;
    }
    if dry_run {
        return Ok(id);
    }
    if row_is_new && let Some(published) = published {
        prepare(shared).await?;
        shared.say(vec![row(id, published)]).await?;
    }
    if !same {
        say(shared, body, by, false).await?;
    }
    Ok(id)
}

fn certificates(shared: &Shared) -> CertificatesStatus {
    let chosen = shared.directory().public_authority().cloned();
    let names = shared.door.get().map(|face| face.standings()).unwrap_or_default();
    let proof = chosen.as_ref().map_or(seal::Proof::Http, |chosen| chosen.proof);
    CertificatesStatus {
        acme: chosen.as_ref().map(|chosen| chosen.directory.as_str().to_owned()),
        contact: (chosen.iter())
            .flat_map(|chosen| chosen.contact.iter().map(|contact| contact.as_str().to_owned()))
            .collect(),
        agreed: chosen.as_ref().is_some_and(|chosen| chosen.agreed),
        proof: match proof {
            seal::Proof::Http => Proof::Http,
            seal::Proof::TlsAlpn => Proof::TlsAlpn,
            seal::Proof::Dns => Proof::Dns,
        },
        update: (chosen.as_ref())
            .and_then(|chosen| chosen.update.as_ref())
            .map(|server| format!("{} for {}", server.server, server.zone)),
        names,
    }
}

fn odd(why: impl Into<String>, next: &str) -> Problem {
    Problem::invalid(NOT_CHOSEN, why, Some(next))
}

fn text<const N: usize>(what: &str, text: &str) -> Result<Text<N>, Problem> {
    Text::new(text).map_err(|error| odd(format!("{what}: {error}"), "write it shorter"))
}

async fn set_certificates(shared: &Shared, wish: &AuthoritySetting) -> Result<(), Problem> {
    must_be_keeper(shared, NOT_CHOSEN)?;
    let before = shared.directory().public_authority().cloned();
    let usual = PublicAuthority {
        directory: text("its address", USUAL)?,
        contact: Bounded::new(),
        agreed: false,
        proof: seal::Proof::Http,
        roots: None,
        update: None,
    };
    let mut now = before.unwrap_or(usual);
    if let Some(directory) = &wish.acme {
        if !directory.starts_with("https://") {
            return Err(odd(format!("{directory:?} is no address of a directory"), "--acme https://..."));
        }
        if now.directory.as_str() != directory {
            // Other terms: those that somebody read were another one's.
            now.agreed = false;
        }
        now.directory = text("its address", directory)?;
    }
    if let Some(contact) = &wish.contact {
        let all = contact.iter().map(|one| contact_of(one)).collect::<Result<Vec<_>, _>>()?;
        now.contact = Bounded::from_vec(all).map_err(|error| odd(error.to_string(), "name fewer of them"))?;
    }
    now.agreed = wish.agreed.unwrap_or(now.agreed);
    if let Some(proof) = wish.proof {
        now.proof = match proof {
            Proof::Http => seal::Proof::Http,
            Proof::TlsAlpn => seal::Proof::TlsAlpn,
            Proof::Dns => seal::Proof::Dns,
        };
    }
    if let Some(roots) = &wish.roots {
        now.roots = match roots.as_str() {
            "" => None,
            pem if pem.contains("BEGIN CERTIFICATE") => Some(text("its certificates", pem)?),
            _ => return Err(odd("there is no certificate in it", "--roots FILE    (PEM)")),
        };
    }
    if let Some(server) = &wish.update {
        now.update = Some(zone_server(shared, server).await?);
    }
    shared.say(vec![Saying::Row(DirectoryRow::PublicAuthority(Some(now)))]).await
}

fn contact_of(typed: &str) -> Result<Text<256>, Problem> {
    let mail = typed.strip_prefix("mailto:").unwrap_or(typed);
    if !mail.contains('@') || mail.contains(char::is_whitespace) {
        return Err(odd(
            format!("{typed:?} is no address that mail can be sent to"),
            "--contact ada@example.org",
        ));
    }
    text("the contact", &format!("mailto:{mail}"))
}

/// The server, once its key was seen to be one; its secret is sealed for all gateways.
async fn zone_server(shared: &Shared, wish: &ZoneServerSetting) -> Result<ZoneServer, Problem> {
    let secret = BASE64.decode(wish.secret.trim().as_bytes()).map(Zeroizing::new);
    let secret = secret.map_err(|_| odd("the key's secret is not in base64", "--dns-key-file FILE"))?;
    let server = ZoneServer {
        server: text("the server", &wish.server)?,
        zone: text("the zone", &wish.zone)?,
        key: text("the key's name", &wish.key)?,
        sha512: wish.sha512,
    };
    update(&server, secret.clone()).map_err(|why| odd(why, "--dns-server 192.0.2.1:53"))?;
    kept::keep_secret(shared, kept::ZONE_KEY, &secret).await?;
    Ok(server)
}

//! The node as the command line starts it.

use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;
use freehold_api::{
    Audit, Erasure, FoundRealm, Problem, StoresChecked, StoresToCheck, TenantMove, TenantMoved, WhatIsLeft,
};
use freehold_cli::{DnsArgs, DnsSystem, Founding, Host, Ready, RunOptions};
use freehold_node::home::Home;
use freehold_node::identity::Identity;
use freehold_node::net::{DoorWish, NamesWish, PhonesWish, ProxyWish, SystemWish, TunnelWish};
use freehold_node::vacant::Vacant;
use freehold_node::{clock, control, erasing, founding, joining, logs, problem, process, recovering, run};
use zeroize::Zeroizing;

use crate::tenant;

/// The real node.
#[derive(Debug)]
pub(crate) struct NodeHost;

struct Prepared {
    vacant: Vacant,
    realm: founding::Founding,
}

impl Founding for Prepared {
    fn phrases(&self) -> &[Zeroizing<String>] {
        self.realm.phrases()
    }

    fn finish(self: Box<Self>, left_in: Option<&Path>, typed_back: Option<usize>) -> Result<(), Problem> {
        let left_in = left_in.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        let left_in = left_in.map(|file| file.display().to_string());
        self.realm.finish(&self.vacant, left_in, typed_back).map_err(|error| problem::found_problem(&error))
    }
}

#[async_trait]
impl Host for NodeHost {
    fn has_node(&self, home: &Path) -> Result<bool, Problem> {
        Home::at(home).check()?;
        Identity::read(&Home::at(home))
            .map(|id| id.is_some())
            .map_err(|error| problem::identity_problem(&error))
    }

    fn found(&self, home: &Path, realm_name: &str, node_name: &str) -> Result<Box<dyn Founding>, Problem> {
        Home::at(home).check_vacant()?;
        let realm = founding::found(realm_name, node_name, clock::wall())
            .map_err(|error| problem::found_problem(&error))?;
        // Held while the phrases are written down: a service that starts meanwhile must not make another realm.
        Ok(Box::new(Prepared { vacant: Vacant::take(&Home::at(home))?, realm }))
    }

    async fn join(&self, home: &Path, invitation: &str, node_name: &str) -> Result<(), Problem> {
        Home::at(home).check_vacant()?;
        joining::join(&Home::at(home), invitation, node_name).await
    }

    fn check_card(&self, card: &str) -> Result<(), Problem> {
        recovering::card(card).map(drop)
    }

    async fn recover(
        &self,
        home: &Path,
        left: &WhatIsLeft,
        phrases: Vec<Zeroizing<String>>,
        node_name: &str,
        agree: &(dyn for<'f> Fn(&'f FoundRealm) -> Result<(), Problem> + Sync),
    ) -> Result<(), Problem> {
        Home::at(home).check_vacant()?;
        recovering::recover(&Home::at(home), left, phrases, node_name, agree).await
    }

    fn phrase(&self, typed: &str) -> Result<Zeroizing<String>, Problem> {
        recovering::phrase(typed).map(|phrase| phrase.words())
    }

    fn is_running(&self, home: &Path) -> bool {
        Home::at(home).is_in_use()
    }

    async fn run(
        &self,
        home: &Path,
        options: RunOptions,
        ready: &(dyn Fn(Ready) + Sync),
    ) -> Result<(), Problem> {
        let started = Instant::now();
        logs::start(options.log_json);
        process::keep_files_private();
        let settings = run::Options {
            listen: options.listen,
            s3_listen: options.s3_listen,
            s3_domains: options.s3_domains,
            website_domains: options.website_domains,
            s3_port: options.s3_port,
            console_port: options.console_port,
            mesh_port: options.mesh_port,
            relay: options.relay,
            tunnel: TunnelWish { off: options.no_packets, by_hand: options.no_tun, device: None },
            proxies: ProxyWish {
                socks: options.socks,
                http: options.http_proxy,
                others: options.proxy_for_others,
            },
            phones: PhonesWish { listen: options.phone_listen, endpoint: options.phone_endpoint },
            names: names(options.dns, options.dns_port),
            no_port_mapping: options.no_port_mapping,
            door: DoorWish {
                listen: options.door_listen,
                https: options.door_ports.0,
                http: options.door_ports.1,
                hook: options.certificates_hook,
            },
            room: process::Room::within(process::raise_descriptors()),
        };
        let tell = |up: run::Ready| {
            ready(Ready {
                realm: up.realm,
                node: up.node,
                console: up.endpoints.console,
                setup_code: up.code.code.clone(),
                setup_link: up.code.link.clone(),
                fingerprint: up.endpoints.fingerprint.unwrap_or_default(),
                s3: up.endpoints.s3.unwrap_or_default(),
                s3_others: up.endpoints.s3_others,
                s3_credentials: up.endpoints.s3_credentials.unwrap_or_default(),
                relay: up.endpoints.relay,
                moved: up.moved,
                notes: up.notes,
                phrases_file: up.phrases_file,
                ready_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        };
        run::run(Home::at(home), settings, &tell).await
    }

    fn audit(&self, exported: &[u8]) -> Result<Audit, Problem> {
        control::audit_of(exported)
    }

    async fn check_stores(&self, wish: StoresToCheck) -> Result<StoresChecked, Problem> {
        control::check_stores(wish).await
    }

    fn receipt(&self, receipt: &[u8]) -> Result<Erasure, Problem> {
        erasing::receipt::check(receipt)
    }

    async fn tenant_move(
        &self,
        wish: TenantMove,
        told: &(dyn Fn(String) + Send + Sync),
    ) -> Result<TenantMoved, Problem> {
        Box::pin(tenant::carry_out(wish, told)).await
    }

    async fn tenant_stay(&self, folder: &Path) -> Result<(), Problem> {
        tenant::stay(folder).await
    }

    fn tenant_receipt(&self, receipt: &[u8], list: Option<&[u8]>) -> Result<TenantMoved, Problem> {
        tenant::receipt(receipt, list)
    }
}

fn names(dns: DnsArgs, port: u16) -> NamesWish {
    let DnsArgs { listen, tls, https, certificate, servers, system } = dns;
    let system = match system.unwrap_or_default() {
        DnsSystem::Gently => SystemWish::Gently,
        DnsSystem::Yes => SystemWish::Yes,
        DnsSystem::No => SystemWish::No,
    };
    NamesWish { listen, port, tls, https, certificate, servers, system }
}

//! The doors for people and their programs: S3, the console over HTTPS, the control socket.

mod serve;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use freehold_api::{BucketRules, Endpoints, NewBucket, Problem, ProblemKind};
use freehold_s3::{Buckets, BucketsError};
use freehold_wire::BucketId;
use tokio::net::UnixListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::access_keys::NodeKeys;
use crate::certificate;
use crate::control::{Answers, create_bucket, end_bucket};
use crate::credentials::{self, CredentialsError};
use crate::ports::{self, Listening};
use crate::problem::{certificate_problem, credentials_problem};
use crate::shared::Shared;
use crate::supervisor::{Health, Plane, Supervisor};

/// How many copies a bucket made by an S3 client has.
const DEFAULT_COPIES: u16 = 2;

/// Brings the fronts up and says where they are.
pub(super) async fn start(
    supervisor: &mut Supervisor,
    shared: &Arc<Shared>,
    options: &Options,
    moved: &mut Vec<String>,
) -> Result<Endpoints, Problem> {
    let api = freehold_api::router(Arc::new(Answers(Arc::clone(shared))), Arc::clone(&shared.sessions));
    start_control(&supervisor.plane("control socket"), shared, api.clone())?;
    let (console, fingerprint, house) =
        start_console(supervisor.plane("console"), shared, options, api, moved).await?;
    crate::net::onion::start(&supervisor.plane("onion door"), shared, house);
    let (s3, s3_others) = start_s3(supervisor.plane("S3"), shared, options, moved).await?;
    Ok(Endpoints {
        s3: Some(s3),
        s3_others,
        s3_credentials: Some(shared.home.s3_credentials().display().to_string()),
        console,
        fingerprint: Some(fingerprint),
        relay: None,
        names: Vec::new(),
    })
}

async fn listen(what: &str, ip: IpAddr, port: u16, flags: [&str; 2]) -> Result<Listening, Problem> {
    let [port_flag, listen_flag] = flags;
    ports::listen(what, ip, port).await.map_err(|e| {
        Problem::refused(
            format!("the {what} cannot listen on {ip}"),
            e.to_string(),
            Some(format!("freehold up {port_flag} PORT, or another {listen_flag} ADDRESS")),
        )
    })
}

/// Where a listener is found: on this machine first, then, if it listens everywhere, at each of the
/// machine's own addresses.
fn places(shared: &Shared, listening: SocketAddr) -> Vec<String> {
    let (ip, port) = (listening.ip(), listening.port());
    if !ip.is_unspecified() {
        let at = if ip.is_loopback() { format!("localhost:{port}") } else { listening.to_string() };
        return vec![at];
    }
    let at = shared.mesh.get().map(|mesh| mesh.addresses());
    let own = at.iter().flat_map(|at| at.direct().iter().map(SocketAddr::ip));
    let own = own.filter(|own| !own.is_loopback() && (own.is_ipv4() || ip.is_ipv6()));
    let own: BTreeSet<IpAddr> = own.collect();
    let own = own.into_iter().map(|own| SocketAddr::new(own, port).to_string());
    std::iter::once(format!("localhost:{port}")).chain(own).collect()
}

async fn start_s3(
    plane: Plane,
    shared: &Arc<Shared>,
    options: &Options,
    moved: &mut Vec<String>,
) -> Result<(String, Vec<String>), Problem> {
    let path = shared.home.s3_credentials();
    let unusable = |error: CredentialsError| credentials_problem(&error);
    let credentials = credentials::load_or_make(&path).map_err(unusable)?;
    let listening =
        listen("S3 endpoint", options.s3_listen, options.s3_port, ["--s3-port", "--s3-listen"]).await?;
    let address = format!("http://{}", listening.reachable());
    let others = places(shared, listening.address).into_iter().map(|at| format!("http://{at}"));
    let others: Vec<String> = others.filter(|at| *at != address && !at.contains("//localhost:")).collect();
    moved.extend(listening.moved);
    credentials::point_at(&path, &address).map_err(unusable)?;
    let (vault, cancel) = (Arc::new(shared.vault.clone()), plane.cancel().clone());
    let buckets = Arc::new(LogBuckets(Arc::clone(shared)));
    let keys = Arc::new(NodeKeys { shared: Arc::clone(shared), owner: credentials });
    let limits = freehold_s3::Limits { connections: options.room.s3, ..freehold_s3::Limits::default() };
    let hosts = freehold_s3::Hosts::new(&options.s3_domains, &options.website_domains);
    plane.report(Health::Up([std::slice::from_ref(&address), &others].concat().join(", ")));
    plane.spawn_vital(async move {
        freehold_s3::serve_within(listening.listener, vault, buckets, keys, cancel, (hosts, limits))
            .await
            .map_err(|e| e.to_string())
    });
    Ok((address, others))
}

/// Buckets as S3 clients make and end them.
struct LogBuckets(Arc<Shared>);

#[async_trait]
impl Buckets for LogBuckets {
    async fn create(&self, name: &str) -> Result<(), BucketsError> {
        let wish = NewBucket {
            name: name.to_owned(),
            copies: DEFAULT_COPIES,
            confirm: 1,
            rules: BucketRules::default(),
        };
        let made = self.0.to_the_end(|shared| async move { create_bucket(&shared, &wish).await });
        made.await.map(drop).map_err(|problem| match problem.kind {
            ProblemKind::Conflict => BucketsError::Exists,
            ProblemKind::Invalid => BucketsError::Name { why: problem.why },
            ProblemKind::Bug | ProblemKind::Unreachable => BucketsError::Failed { why: problem.to_string() },
            _ => BucketsError::Refused { why: problem.to_string() },
        })
    }

    async fn delete(&self, id: &BucketId) -> Result<(), BucketsError> {
        let id = *id;
        let ended = self.0.to_the_end(|shared| async move { end_bucket(&shared, id).await });
        ended.await.map_err(|problem| match problem.kind {
            ProblemKind::Conflict => BucketsError::NotEmpty,
            ProblemKind::Bug | ProblemKind::Unreachable => BucketsError::Failed { why: problem.to_string() },
            _ => BucketsError::Refused { why: problem.to_string() },
        })
    }
}

async fn start_console(
    plane: Plane,
    shared: &Arc<Shared>,
    options: &Options,
    api: Router,
    moved: &mut Vec<String>,
) -> Result<(Vec<String>, String, Console), Problem> {
    let names = ["localhost".to_owned(), "freehold.internal".to_owned()];
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST), options.listen];
    let identity = certificate::load_or_make(&shared.home.console_certificate(), &names, &addresses)
        .map_err(|e| certificate_problem(&e))?;
    let flags = ["--console-port", "--listen"];
    let listening = listen("console", options.listen, options.console_port, flags).await?;
    moved.extend(listening.moved);
    let at: Vec<String> =
        places(shared, listening.address).into_iter().map(|at| format!("https://{at}")).collect();
    let router = freehold_console::router(api, Arc::clone(&shared.sessions));
    plane.report(Health::Up(at.join(", ")));
    let acceptor = TlsAcceptor::from(identity.tls);
    let cancel = plane.cancel().clone();
    let sessions = Arc::clone(&shared.sessions);
    let house = serve::House { acceptor, router, sessions, connections: options.room.console };
    plane.spawn_vital(house.clone().serve(listening.listener, cancel));
    Ok((at, identity.fingerprint, Console(house)))
}

/// The console, for those who come by another way than its port.
pub(crate) struct Console(serve::House);

impl Console {
    /// Serves it at a Unix socket that a program of this machine leads others to, until cancelled; `name` is what they
    /// know it by.
    pub(crate) async fn serve(
        &self,
        at: &std::path::Path,
        name: &(dyn Fn() -> Option<Arc<str>> + Sync),
        cancel: CancellationToken,
    ) -> std::io::Result<()> {
        if let Some(folder) = at.parent() {
            // 0700, so nobody else gets in before the mode is set.
            freehold_disk::make_private_dir(folder)?;
        }
        match std::fs::remove_file(at) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(at)?;
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o600))?;
        self.0.serve_veiled(listener, name, cancel).await;
        Ok(())
    }
}

fn start_control(plane: &Plane, shared: &Shared, api: Router) -> Result<(), Problem> {
    let path = shared.home.control_socket();
    let failed = |e: std::io::Error| {
        Problem::refused(
            format!("the control socket {} cannot be made", path.display()),
            e.to_string(),
            Some("use a shorter --home (a socket's path has at most 107 bytes), on a local file system"),
        )
    };
    // The home is locked: a socket that is here was left by a node that is gone.
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    // The home is 0700, so nobody else gets in before the mode is set.
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    plane.report(Health::Up(path.display().to_string()));
    let cancel = plane.cancel().clone();
    plane.spawn_vital(serve::control(listener, api, cancel));
    Ok(())
}

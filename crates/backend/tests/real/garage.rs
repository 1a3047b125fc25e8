//! A cluster of three nodes of Garage, three copies of everything. Garage has no conditional
//! writes; nothing here needs them. `cargo xtask outside garage` says where the program is.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use freehold_backend::{Answer, Credentials, Settings};
use freehold_vault::DepotError;

use super::judge::{Backend, asked, content, lists_many, packs_anew, stores_and_gives_back};
use super::server::{Server, ports, until};

const SECRET: &str = "6c07ba5ba0ab5ea0a8ce9b2a1d3a2ee85a0d2a0d0bd6fa7e3b8fd3a4cd1c0f11";

struct Node {
    folder: std::path::PathBuf,
    port: u16,
}

impl Node {
    fn make(below: &Path, number: u16, base: u16) -> Self {
        let folder = below.join(format!("node{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        let port = base + number * 3;
        let (data, meta) = (folder.join("data"), folder.join("meta"));
        let text = format!(
            "metadata_dir = \"{}\"\ndata_dir = \"{}\"\ndb_engine = \"lmdb\"\nreplication_factor = 3\n\
             rpc_bind_addr = \"127.0.0.1:{port}\"\nrpc_public_addr = \"127.0.0.1:{port}\"\n\
             rpc_secret = \"{SECRET}\"\n[s3_api]\ns3_region = \"garage\"\napi_bind_addr = \"127.0.0.1:{}\"\n\
             root_domain = \".s3.localhost\"\n[admin]\napi_bind_addr = \"127.0.0.1:{}\"\n",
            meta.display(),
            data.display(),
            port + 1,
            port + 2,
        );
        freehold_disk::replace(&folder.join("garage.toml"), text.as_bytes(), 0o600).unwrap();
        Self { folder, port }
    }

    fn command(&self) -> Command {
        let program = std::env::var_os("FREEHOLD_TEST_GARAGE").expect("FREEHOLD_TEST_GARAGE is the program");
        let mut command = Command::new(program);
        command.arg("-c").arg(self.folder.join("garage.toml")).env("RUST_LOG", "garage=warn");
        command
    }

    fn start(&self) -> Server {
        Server::start(self.command().arg("server"), &self.folder.join("log"))
    }

    fn says(&self, arguments: &[&str]) -> Option<String> {
        let out = self.command().args(arguments).output().unwrap();
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Tries until the nodes have settled enough to do it.
    fn told(&self, arguments: &[&str]) -> String {
        let mut said = None;
        until(&format!("{arguments:?}"), Duration::from_mins(1), || {
            said = self.says(arguments);
            said.is_some()
        });
        said.unwrap()
    }
}

/// Joins the nodes, and makes a bucket and its key.
fn join(nodes: &[Node]) -> Credentials {
    let [first, others @ ..] = nodes else { panic!() };
    let mut ids = Vec::new();
    for node in nodes {
        until("a node has its id", Duration::from_secs(30), || node.says(&["node", "id", "-q"]).is_some());
        ids.push(node.says(&["node", "id", "-q"]).unwrap().trim().to_owned());
    }
    assert_eq!(others.len(), 2);
    for id in &ids[1..] {
        until("nodes connect", Duration::from_secs(30), || first.says(&["node", "connect", id]).is_some());
    }
    for (number, id) in ids.iter().enumerate() {
        let (zone, id) = (format!("z{number}"), id.split('@').next().unwrap());
        until("a node gets its role", Duration::from_secs(30), || {
            first.says(&["layout", "assign", "-z", &zone, "-c", "1G", id]).is_some()
        });
    }
    first.told(&["layout", "apply", "--version", "1"]);
    until("the nodes are ready", Duration::from_mins(1), || first.says(&["key", "list"]).is_some());
    let made = first.told(&["key", "create", "freehold"]);
    let find = |what: &str| {
        let line = made.lines().find(|line| line.trim_start().starts_with(what)).unwrap_or_default();
        line.split(':').nth(1).unwrap_or_default().trim().to_owned()
    };
    until("the bucket is there", Duration::from_mins(1), || {
        first.says(&["bucket", "create", "attic"]);
        first.says(&["bucket", "info", "attic"]).is_some()
    });
    let id = find("Key ID");
    first.told(&["bucket", "allow", "--read", "--write", "--owner", "attic", "--key", &id]);
    let text = format!("access_key_id={}\nsecret_access_key={}", id, find("Secret key"));
    Credentials::parse(&text).unwrap_or_else(|error| panic!("{error}: {made}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Garage: cargo xtask outside garage"]
async fn a_depot_on_three_nodes_of_garage() {
    let folder = tempfile::tempdir().unwrap();
    let base = ports(9);
    let nodes = [0, 1, 2].map(|number| Node::make(folder.path(), number, base));
    let [first, second, third] = nodes.each_ref().map(Node::start);
    let credentials = join(&nodes);
    let endpoint = |node: &Node| format!("http://127.0.0.1:{}", node.port + 1);
    let mut settings = Settings::new(&endpoint(&nodes[0]), "attic");
    settings.region = "garage".into();

    let found = asked(&settings, &credentials).await;
    println!("{found:#?}\nnotes: {:?}", found.notes().iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(found.refusal(), None);
    assert_ne!(found.conditional_create, Answer::Works, "Garage has learned something; mend the docs");

    let home = tempfile::tempdir().unwrap();
    credentials.write(home.path()).unwrap();
    stores_and_gives_back(home.path(), &settings).await;
    lists_many(home.path(), &settings).await;
    packs_anew(home.path(), &settings).await;

    // One of three away: all goes on. Two away: nothing is said to be stored, and nothing is lost.
    third.kill();
    let backend = Backend::open(home.path(), &settings).await;
    backend.put(600, &content(600, 3 << 20)).await.unwrap();
    assert!(backend.get(600).await.unwrap() == content(600, 3 << 20));
    second.kill();
    let put = backend.put(601, &content(601, 100)).await;
    assert!(matches!(put, Err(DepotError::Backend { .. })), "{put:?}");
    let second = nodes[1].start();
    until("a majority is back", Duration::from_secs(90), || {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                backend.put(601, &content(601, 100)).await.is_ok() && backend.get(1).await.is_ok()
            })
        })
    });
    assert!(backend.get(600).await.unwrap() == content(600, 3 << 20));
    backend.close().await;
    // Another of the nodes gives the same.
    settings.endpoint = endpoint(&nodes[1]);
    let backend = Backend::open(home.path(), &settings).await;
    assert!(backend.get(601).await.unwrap() == content(601, 100));
    let audit = backend.packed.audit(None).await.unwrap();
    assert!(audit.bad.is_empty() && audit.strange.is_empty(), "{audit:?}");
    println!("{:?}", backend.packed.state().await.unwrap());
    backend.close().await;
    drop((first, second));
}

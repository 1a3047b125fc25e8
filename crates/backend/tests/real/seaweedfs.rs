//! SeaweedFS, as it comes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use freehold_backend::{Answer, Credentials, ProbeError, Settings, connect, probe};
use freehold_vault::DepotError;
use freehold_wire::Millis;

use super::judge::{Backend, asked, content, lists_many, packs_anew, stores_and_gives_back};
use super::server::{Server, make_bucket, ports, tool, until};

const KEYS: &str = r#"{"identities":[{"name":"one","credentials":[{"accessKey":"KEY","secretKey":"sEcret"}],
    "actions":["Admin","Read","Write","List","Tagging"]}]}"#;

fn start(folder: &Path, port: u16) -> Server {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    freehold_disk::replace(&folder.join("keys.json"), KEYS.as_bytes(), 0o600).unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let pem = [("certificate.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())];
    for (name, pem) in pem {
        freehold_disk::replace(&folder.join(name), pem.as_bytes(), 0o600).unwrap();
    }
    let mut weed = Command::new(tool("weed"));
    weed.args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=20"])
        .arg(format!("-master.port={port}"))
        .arg(format!("-volume.port={}", port + 1))
        .arg(format!("-filer.port={}", port + 2))
        .arg(format!("-s3.port={}", port + 3))
        .arg(format!("-s3.port.https={}", port + 4))
        .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
        .arg(format!("-s3.cert.file={}", folder.join("certificate.pem").display()))
        .arg(format!("-s3.key.file={}", folder.join("key.pem").display()))
        .arg(format!("-s3.config={}", folder.join("keys.json").display()))
        .arg(format!("-dir={}", data.display()))
        .current_dir(folder);
    Server::start(&mut weed, &folder.join("log"))
}

fn files_below(folder: &Path, see: &mut impl FnMut(&Path)) {
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_dir() {
            files_below(&file.path(), see);
        } else {
            see(&file.path());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_depot_on_seaweedfs() {
    let folder = tempfile::tempdir().unwrap();
    let port = ports(6);
    let server = start(folder.path(), port);
    let mut settings = Settings::new(&format!("http://127.0.0.1:{}", port + 3), "attic");
    settings.prefix = "freehold/one".into();
    let credentials = Credentials::parse("access_key_id = KEY\nsecret_access_key = sEcret").unwrap();
    until("SeaweedFS takes a bucket", Duration::from_mins(1), || make_bucket(&settings, &credentials));

    let found = asked(&settings, &credentials).await;
    assert_eq!((found.refusal(), found.notes()), (None, vec![]), "{found:?}");
    assert_eq!((found.conditional_create, found.conditional_replace), (Answer::Works, Answer::Works));

    let wrong = Credentials::parse("access_key_id = KEY\nsecret_access_key = other").unwrap();
    let refused = probe(&*connect(&settings, &wrong).unwrap(), Millis(0)).await.unwrap_err();
    assert!(matches!(refused, ProbeError::NotLetIn(_)), "{refused:?}");

    // Over TLS with a certificate of one's own: not without being told of it.
    let mut secured = Settings::new(&format!("https://127.0.0.1:{}", port + 4), "attic");
    let refused = probe(&*connect(&secured, &credentials).unwrap(), Millis(0)).await.unwrap_err();
    assert!(matches!(refused, ProbeError::Unreachable(_)), "{refused:?}");
    secured.ca = Some(folder.path().join("certificate.pem"));
    assert_eq!(asked(&secured, &credentials).await.refusal(), None);

    let home = tempfile::tempdir().unwrap();
    credentials.write(home.path()).unwrap();
    stores_and_gives_back(home.path(), &settings).await;
    files_below(&folder.path().join("data"), &mut |path| {
        let bytes = std::fs::read(path).unwrap();
        let seen = bytes.windows(20).any(|window| window == b"plaintext of a test ");
        assert!(!seen, "{} has what was stored", path.display());
    });
    lists_many(home.path(), &settings).await;
    packs_anew(home.path(), &settings).await;

    // Killed, nothing is lost and nothing is said to be stored; back again, all is well.
    let backend = Backend::open(home.path(), &settings).await;
    server.kill();
    let put = backend.put(500, b"while it is away").await;
    assert!(matches!(put, Err(DepotError::Backend { .. })), "{put:?}");
    assert!(backend.packed.state().await.unwrap().last_error.is_some());
    assert!(matches!(backend.get(1).await, Err(DepotError::Backend { .. })));
    let server = start(folder.path(), port);
    until("SeaweedFS is back", Duration::from_mins(1), || {
        let read = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async { backend.get(1).await.ok() })
        });
        read == Some(content(1, 4096))
    });
    backend.put(500, b"while it is back").await.unwrap();
    backend.close().await;
    drop(server);
}

//! Somebody who has a machine's keys, and speaks to the one that keeps its backups without the program in between: every
//! word that there is, and some that there are not.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use freehold_disk::KeyStore;
use freehold_harness::{Host, Node};
use freehold_mesh::{
    Addresses, BlobSource, Config, Doorman, Gate, KnockError, Mesh, Proof, Served, Unavailable,
};
use freehold_passes::{Errand, Part, ShelfErrand, ShelfFile, ShelfOutcome, ShelfWhat, Sort, What};
use freehold_wire::{BlobName, Digest, GrantId, NodeId};

const SORTS: [Sort; 6] = [Sort::Config, Sort::Key, Sort::Snapshot, Sort::Index, Sort::Pack, Sort::Letter];

/// Has the thief come with a machine's keys to the one that runs on `at`, which is this test's program once more, on
/// the machine's own network.
pub(crate) fn comes(
    (host, taken): (&Host, &Node<'_>),
    (at, keeper): (&Host, &str),
    grant: Option<&str>,
) -> Result<()> {
    let mut command = host.command(std::env::current_exe()?);
    command.args(["--exact", "thief::destroys_what_it_can", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("THIEF_HOME", taken.home()).env("THIEF_AT", format!("{}:4433", at.address()));
    command.env("THIEF_KEEPER", keeper);
    if let Some(grant) = grant {
        command.env("THIEF_GRANT", grant);
    }
    let answer = Host::answer(&mut command)?.good()?;
    ensure!(answer.out.contains("1 passed"), "the thief did not come: {}", answer.out);
    Ok(())
}

struct Nobody;

impl Gate for Nobody {
    fn admits(&self, _: NodeId) -> bool {
        false
    }
}

#[async_trait]
impl BlobSource for Nobody {
    async fn open(&self, _: NodeId, _: BlobName, _: std::ops::Range<u64>) -> Result<Served, Unavailable> {
        Err(Unavailable::NotHere)
    }
}

#[async_trait]
impl Doorman for Nobody {
    fn admit(&self, _: &Proof) -> bool {
        false
    }

    async fn serve(&self, _: Proof, _: Bytes) -> Bytes {
        Bytes::new()
    }
}

/// The thief's way to the keeper.
struct Thief {
    mesh: Mesh,
    at: Addresses,
    keeper: NodeId,
    grant: Option<GrantId>,
}

impl Thief {
    async fn say(&self, of: NodeId, what: ShelfWhat, body: &[u8]) -> Result<(ShelfOutcome, Bytes)> {
        let errand = ShelfErrand { grant: self.grant, of, what }.to_bytes();
        let (answer, body) = self.bytes(errand, body).await?;
        Ok((ShelfOutcome::from_bytes(&answer)?, body))
    }

    async fn bytes(&self, question: Vec<u8>, body: &[u8]) -> Result<(Bytes, Bytes), KnockError> {
        let body = Bytes::copy_from_slice(body);
        // A keeper that was asked nonsense closes the connection.
        for _ in 0..50 {
            match self.mesh.errand(&self.at, self.keeper, question.clone().into(), body.clone()).await {
                Err(KnockError::Broke | KnockError::Unreachable) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                done => return done,
            }
        }
        Err(KnockError::Unreachable)
    }

    async fn list(&self, of: NodeId, sort: Sort) -> Result<Vec<ShelfFile>> {
        match self.say(of, ShelfWhat::List(sort, None), &[]).await?.0 {
            ShelfOutcome::Listed(files) => Ok(files.to_vec()),
            other => bail!("{other:?}"),
        }
    }

    /// Tries to have another content where one lies.
    async fn writes_over(&self, me: NodeId, sort: Sort, file: &ShelfFile) -> Result<()> {
        for len in [file.len, 1, file.len.saturating_add(7)] {
            let len = len.min(3 << 20);
            let body = vec![0x5a; usize::try_from(len)?];
            for (upload, at) in [(1, 0), (2, 1)] {
                let part = Part { sort, name: file.name, upload, at, len: len.saturating_add(at) };
                let (said, _) = self.say(me, ShelfWhat::Add(part), &body).await?;
                // That it is there already is no lie; that what came is kept would be one.
                let (_, there) = self.say(me, ShelfWhat::Read(sort, file.name, 0, 64), &[]).await?;
                ensure!(there.iter().any(|byte| *byte != 0x5a), "{said:?}");
            }
        }
        Ok(())
    }
}

fn secret(home: &Path) -> Result<Config> {
    let seed = KeyStore::open(&home.join("keys"))?.read("node")?.context("the machine has a key")?;
    Ok(Config::new(seed, vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))]))
}

#[test]
#[ignore = "it is told by its environment whom to rob"]
fn destroys_what_it_can() -> Result<()> {
    let home = std::env::var("THIEF_HOME")?;
    let at: Addresses = std::env::var("THIEF_AT")?.parse()?;
    let grant = std::env::var("THIEF_GRANT").ok().map(|grant| grant.parse()).transpose()?;
    let keeper = std::env::var("THIEF_KEEPER")?.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let nobody = Arc::new(Nobody);
        let config = secret(Path::new(&home))?;
        let (mesh, _events) =
            Mesh::start(config, Arc::clone(&nobody) as _, Arc::clone(&nobody) as _, nobody).await?;
        let me = mesh.node_id();
        let thief = Thief { mesh, at, keeper, grant };
        rob(&thief, me).await
    })
}

async fn rob(thief: &Thief, me: NodeId) -> Result<()> {
    let mut seen = 0;
    for sort in SORTS {
        let before = thief.list(me, sort).await?;
        for file in &before {
            thief.writes_over(me, sort, file).await?;
            seen += 1;
        }
        let after = thief.list(me, sort).await?;
        ensure!(before.iter().all(|file| after.contains(file)), "{sort:?}: {before:?} {after:?}");
    }
    ensure!(seen > 4, "there was nothing to rob");
    // On another machine's shelf it does not even add.
    let other = NodeId::from_bytes([7; 32]);
    let part = Part { sort: Sort::Pack, name: Digest::from_bytes([1; 32]), upload: 9, at: 0, len: 1 };
    let (said, _) = thief.say(other, ShelfWhat::Add(part), b"x").await?;
    ensure!(matches!(said, ShelfOutcome::Refused(_)), "{said:?}");
    // Words that other things kept are removed by, and words that are none.
    let pack = thief.list(me, Sort::Pack).await?.first().context("a pack")?.name;
    let name = BlobName::from_bytes(*pack.as_bytes());
    for grant in [thief.grant.unwrap_or(GrantId::from_bytes([3; 32])), GrantId::from_bytes(*me.as_bytes())] {
        for what in [What::Remove(name), What::Put(name), What::Finish(name, name, 1), What::Abort(name)] {
            drop(thief.bytes(Errand { grant, what }.to_bytes(), b"x").await);
        }
    }
    let whole =
        ShelfErrand { grant: thief.grant, of: me, what: ShelfWhat::Read(Sort::Pack, pack, 0, 1) }.to_bytes();
    for at in (0..whole.len()).step_by(3) {
        for to in [0x00, 0x05, 0x81, 0xff] {
            let mut bytes = whole.clone();
            bytes.splice(at..=at, [to]);
            drop(thief.bytes(bytes, b"x").await);
        }
    }
    ensure!(thief.list(me, Sort::Pack).await?.iter().any(|file| file.name == pack), "it is there");
    Ok(())
}

//! etcd, by itself on this machine, with its own defaults: every write is fsynced. It is asked over
//! gRPC, as its clients do; of the protocol there is only what is used.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use freehold_harness::{Host, until};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Store;

const AT: &str = "127.0.0.1:2379";

/// The server; it ends with this.
pub(super) struct Server(Child);

impl Server {
    pub(super) fn start(host: &Host) -> Result<Self> {
        let program = std::env::var_os("FREEHOLD_BENCH_ETCD").map_or_else(|| "etcd".into(), PathBuf::from);
        // Beside this process, not on the story's machine: whoever asks it is here.
        let mut command = Command::new(program);
        command.arg("--data-dir").arg(host.folder().join("etcd")).args(["--log-level", "error"]);
        let log = std::fs::File::create(host.folder().join("etcd.log"))?;
        let child = command.stdout(Stdio::null()).stderr(log).spawn().context("start etcd")?;
        let server = Self(child);
        until(30, "etcd answers", || Ok(std::net::TcpStream::connect(AT)?))?;
        Ok(server)
    }

    /// A client with a connection, on which questions share their way.
    pub(super) async fn client(&self) -> Result<Etcd> {
        let stream = TcpStream::connect(AT).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            if let Err(error) = connection.await {
                println!("etcd: {error}");
            }
        });
        Ok(Etcd { sender, _driver: driver })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(super) struct Etcd {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

/// A message of protocol buffers being written.
#[derive(Default)]
struct Message(BytesMut);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.put_u8(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
            value >>= 7;
        }
        self.0.put_u8(u8::try_from(value).unwrap_or_default());
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.put_slice(value);
        self
    }

    fn message(self, field: u64, inner: &Self) -> Self {
        self.bytes(field, &inner.0)
    }
}

/// The fields of a message: numbers, or bytes.
fn fields(mut rest: &[u8]) -> Result<Vec<(u64, u64, &[u8])>> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        let head = varint(&mut rest)?;
        let value = varint(&mut rest)?;
        let bytes = match head & 7 {
            0 => &[][..],
            2 => {
                let (bytes, after) = rest.split_at_checked(usize::try_from(value)?).context("it is cut")?;
                rest = after;
                bytes
            }
            other => bail!("a field of kind {other}"),
        };
        all.push((head >> 3, value, bytes));
    }
    Ok(all)
}

fn varint(rest: &mut &[u8]) -> Result<u64> {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let (byte, after) = rest.split_first().context("it is cut")?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift += 7;
        ensure!(shift < 64, "a number is too long");
    }
}

impl Etcd {
    async fn ask(&self, method: &str, message: Message) -> Result<Bytes> {
        let mut framed = BytesMut::with_capacity(message.0.len() + 5);
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.0.len())?);
        framed.put_slice(&message.0);
        let asked = Request::post(format!("http://{AT}/etcdserverpb.KV/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(framed.freeze()))?;
        let answer = self.sender.clone().send_request(asked).await?;
        let collected = answer.into_body().collect().await?;
        let status = collected.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
        ensure!(status.as_ref().is_some_and(|status| status == "0"), "{method}: status {status:?}");
        let body = collected.to_bytes();
        Ok(body.slice(5.min(body.len())..))
    }

    /// The revision at which a key was written last.
    async fn revision(&self, key: &str) -> Result<u64> {
        let answer = self.ask("Range", Message::default().bytes(1, key.as_bytes())).await?;
        let found =
            fields(&answer)?.into_iter().find(|(field, ..)| *field == 2).context("the key is there")?;
        let revision = fields(found.2)?.into_iter().find(|(field, ..)| *field == 3);
        revision.map(|(_, value, _)| value).context("a key has a revision")
    }
}

#[async_trait]
impl Store for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    async fn read(&self, key: &str) -> Result<()> {
        self.revision(key).await.map(drop)
    }

    async fn write(&self, key: &str, value: Vec<u8>) -> Result<()> {
        let put = Message::default().bytes(1, key.as_bytes()).bytes(2, &value);
        self.ask("Put", put).await.map(drop)
    }

    async fn scan(&self, from: &str, count: u64) -> Result<()> {
        // The end of all keys is a zero byte.
        let range = Message::default().bytes(1, from.as_bytes()).bytes(2, &[0]).number(3, count);
        self.ask("Range", range).await.map(drop)
    }

    async fn modify(&self, key: &str, value: Vec<u8>) -> Result<()> {
        loop {
            let revision = self.revision(key).await?;
            let compare = Message::default().number(2, 2).bytes(3, key.as_bytes()).number(6, revision);
            let put = Message::default().bytes(1, key.as_bytes()).bytes(2, &value);
            let txn =
                Message::default().message(1, &compare).message(2, &Message::default().message(2, &put));
            let answer = self.ask("Txn", txn).await?;
            if fields(&answer)?.iter().any(|(field, value, _)| *field == 2 && *value == 1) {
                return Ok(());
            }
        }
    }
}

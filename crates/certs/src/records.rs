//! Records of a zone that an authority is to find (DNS-01): put there by an update that is signed (RFC 2136, RFC
//! 8945), or by a program that knows the zone's keeper.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::{Message, MessageBuilder, Name, Rtype, Ttl};
use domain::rdata::Txt;
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientTransaction, Key};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// For so long others may remember a record.
const TTL: Ttl = Ttl::from_secs(60);

/// Why a record is not there, or not gone.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// Not a name of the DNS, or too long a text.
    #[error("{0:?} cannot be written as a record")]
    Form(String),
    /// The key's name or secret cannot be used.
    #[error("the key {0:?} for updates cannot be used; is its secret in base64, and its algorithm right?")]
    Key(String),
    /// The server is not reached, or breaks off.
    #[error("asking {server} for the update: {source}; does it listen there, on TCP?")]
    Reach {
        /// The server.
        server: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("the update took longer than {} s", .0.as_secs())]
    Late(Duration),
    /// The server does not do it.
    #[error("{server} refused the update: {said}; does it let this key change the zone?")]
    Refused {
        /// The server.
        server: SocketAddr,
        /// Its code.
        said: Rcode,
    },
    /// What came is not signed by the server.
    #[error("the answer of {0} is not its own; are key and clock right?")]
    Forged(SocketAddr),
    /// The program cannot be run.
    #[error("running {program}: {source}; may this user run it?")]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The program says no.
    #[error("{program} failed: {said}")]
    Program {
        /// The program.
        program: PathBuf,
        /// The end of what it wrote.
        said: String,
    },
}

/// Text records that are put into a zone for a while.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// Puts a text beside what is there.
    async fn add(&self, name: &str, text: &str) -> Result<(), RecordsError>;
    /// Takes that text out again.
    async fn remove(&self, name: &str, text: &str) -> Result<(), RecordsError>;
}

/// A program that is run with `add NAME TEXT` and `remove NAME TEXT`, without this process's environment.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The program.
    pub program: PathBuf,
    /// It is ended after this time.
    pub within: Duration,
}

impl Hook {
    async fn run(&self, what: &str, name: &str, text: &str) -> Result<(), RecordsError> {
        let run = tokio::process::Command::new(&self.program)
            .args([what, name, text])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ran = timeout(self.within, run).await.map_err(|_| RecordsError::Late(self.within))?;
        let ran = ran.map_err(|source| RecordsError::Run { program: self.program.clone(), source })?;
        if ran.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&ran.stderr);
        let said = said
            .lines()
            .last()
            .map_or_else(|| ran.status.to_string(), |line| line.chars().take(200).collect());
        Err(RecordsError::Program { program: self.program.clone(), said })
    }
}

#[async_trait]
impl Records for Hook {
    async fn add(&self, name: &str, text: &str) -> Result<(), RecordsError> {
        self.run("add", name, text).await
    }

    async fn remove(&self, name: &str, text: &str) -> Result<(), RecordsError> {
        self.run("remove", name, text).await
    }
}

/// The key that updates are signed with.
pub struct UpdateKey {
    /// Its name, as the server calls it.
    pub name: String,
    /// What it signs with.
    pub algorithm: UpdateAlgorithm,
    /// The secret.
    pub secret: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for UpdateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UpdateKey").field(&self.name).finish()
    }
}

/// What updates are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateAlgorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
}

/// A server that takes updates of a zone.
#[derive(Debug)]
pub struct Update {
    server: SocketAddr,
    zone: Name<Vec<u8>>,
    key: Key,
    within: Duration,
}

impl Update {
    /// The server that the zone's keeper named, and the key that it gave.
    ///
    /// # Errors
    /// [`RecordsError`]
    pub fn new(
        server: SocketAddr,
        zone: &str,
        key: &UpdateKey,
        within: Duration,
    ) -> Result<Self, RecordsError> {
        let unusable = || RecordsError::Key(key.name.clone());
        let algorithm = match key.algorithm {
            UpdateAlgorithm::HmacSha256 => Algorithm::Sha256,
            UpdateAlgorithm::HmacSha512 => Algorithm::Sha512,
        };
        let name = key.name.parse().map_err(|_| unusable())?;
        let key = Key::new(algorithm, &key.secret, name, None, None).map_err(|_| unusable())?;
        Ok(Self { server, zone: name_of(zone)?, key, within })
    }

    async fn change(&self, name: &str, text: &str, class: Class) -> Result<(), RecordsError> {
        let form = || RecordsError::Form(name.to_owned());
        let data = Txt::<Vec<u8>>::build_from_slice(text.as_bytes()).map_err(|_| form())?;
        let mut message = MessageBuilder::new_vec();
        let id = getrandom::u32().map_err(|error| RecordsError::Reach {
            server: self.server,
            source: std::io::Error::other(error),
        })?;
        message.header_mut().set_id((id & 0xffff) as u16);
        message.header_mut().set_opcode(Opcode::UPDATE);
        // RFC 2136, 2: the four parts are zone, prerequisites, updates, and what is beside.
        let mut zone = message.question();
        zone.push((&self.zone, Rtype::SOA)).map_err(|_| form())?;
        let mut updates = zone.answer().authority();
        // To take one record out its class is NONE, and its TTL 0 (2.5.4).
        let ttl = if class == Class::NONE { Ttl::ZERO } else { TTL };
        updates.push((name_of(name)?, class, ttl, data)).map_err(|_| form())?;
        let mut beside = updates.additional();
        let signed = ClientTransaction::request(&self.key, &mut beside, Time48::now()).map_err(|_| form())?;
        let asked = beside.finish();
        let answer = timeout(self.within, self.exchange(&asked)).await;
        let answer = answer.map_err(|_| RecordsError::Late(self.within))?;
        let answer = answer.map_err(|source| RecordsError::Reach { server: self.server, source })?;
        let forged = || RecordsError::Forged(self.server);
        let mut answer = Message::from_octets(answer).map_err(|_| forged())?;
        let said = answer.header().rcode();
        // Who does not know the key cannot sign its refusal.
        if said == Rcode::NOTAUTH || said == Rcode::REFUSED {
            return Err(RecordsError::Refused { server: self.server, said });
        }
        signed.answer(&mut answer, Time48::now()).map_err(|_| forged())?;
        match said {
            Rcode::NOERROR => Ok(()),
            said => Err(RecordsError::Refused { server: self.server, said }),
        }
    }

    async fn exchange(&self, asked: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.server).await?;
        let length = u16::try_from(asked.len()).map_err(std::io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), asked].concat()).await?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).await?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

fn name_of(text: &str) -> Result<Name<Vec<u8>>, RecordsError> {
    text.parse().map_err(|_| RecordsError::Form(text.to_owned()))
}

#[async_trait]
impl Records for Update {
    async fn add(&self, name: &str, text: &str) -> Result<(), RecordsError> {
        self.change(name, text, Class::IN).await
    }

    async fn remove(&self, name: &str, text: &str) -> Result<(), RecordsError> {
        self.change(name, text, Class::NONE).await
    }
}

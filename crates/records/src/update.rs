//! Updates of a zone that are signed (RFC 2136, RFC 8945).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::message_builder::AuthorityBuilder;
use domain::base::rdata::UnknownRecordData;
use domain::base::{Message, MessageBuilder, Name, Rtype, Ttl};
use domain::rdata::tsig::Time48;
use domain::rdata::{A, Aaaa, Txt};
use domain::tsig::{Algorithm, ClientTransaction, Key};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Data, Family, Places, Records, RecordsError, UpdateAlgorithm, UpdateKey};

/// For so long others may remember a record.
const TTL: Ttl = Ttl::from_secs(60);

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

    async fn change(
        &self,
        name: &str,
        unless: Option<Rtype>,
        changes: &[Change<'_>],
    ) -> Result<(), RecordsError> {
        let id = getrandom::u32().map_err(|error| RecordsError::Reach {
            server: self.server,
            source: std::io::Error::other(error),
        })?;
        let form = || RecordsError::Form(name.to_owned());
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_id((id & 0xffff) as u16);
        message.header_mut().set_opcode(Opcode::UPDATE);
        // RFC 2136, 2: the four parts are zone, prerequisites, updates, and what is beside.
        let mut zone = message.question();
        zone.push((&self.zone, Rtype::SOA)).map_err(|_| form())?;
        let owner = name_of(name)?;
        let mut before = zone.answer();
        if let Some(kind) = unless {
            // Not there: class NONE, and nothing in it (2.4.3).
            before
                .push((&owner, Class::NONE, Ttl::ZERO, nothing(kind).ok_or_else(form)?))
                .map_err(|_| form())?;
        }
        let mut updates = before.authority();
        for change in changes {
            change.push(&owner, &mut updates).ok_or_else(form)?;
        }
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
            Rcode::YXRRSET => Err(RecordsError::Alias(name.to_owned())),
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

/// One line of an update (RFC 2136, 2.5).
enum Change<'a> {
    Add(Data<'a>),
    Remove(Data<'a>),
    /// All of a type.
    Clear(Rtype),
}

impl Change<'_> {
    fn push(&self, owner: &Name<Vec<u8>>, updates: &mut AuthorityBuilder<Vec<u8>>) -> Option<()> {
        let (class, ttl, data) = match self {
            Self::Add(data) => (Class::IN, TTL, data),
            // To take one record out its class is NONE, and its TTL 0 (2.5.4).
            Self::Remove(data) => (Class::NONE, Ttl::ZERO, data),
            // To take all of a type out: class ANY, and nothing in it (2.5.2).
            Self::Clear(kind) => {
                return updates.push((owner, Class::ANY, Ttl::ZERO, nothing(*kind)?)).ok();
            }
        };
        match data {
            Data::A(address) => updates.push((owner, class, ttl, A::new(*address))),
            Data::Aaaa(address) => updates.push((owner, class, ttl, Aaaa::new(*address))),
            Data::Text(text) => {
                let text = Txt::<Vec<u8>>::build_from_slice(text.as_bytes()).ok()?;
                updates.push((owner, class, ttl, text))
            }
        }
        .ok()
    }
}

fn nothing(kind: Rtype) -> Option<UnknownRecordData<[u8; 0]>> {
    UnknownRecordData::from_octets(kind, []).ok()
}

const fn kind_of(family: Family) -> Rtype {
    match family {
        Family::V4 => Rtype::A,
        Family::V6 => Rtype::AAAA,
    }
}

fn name_of(text: &str) -> Result<Name<Vec<u8>>, RecordsError> {
    text.parse().map_err(|_| RecordsError::Form(text.to_owned()))
}

#[async_trait]
impl Records for Update {
    async fn add(&self, name: &str, text: &str) -> Result<(), RecordsError> {
        self.change(name, None, &[Change::Add(Data::Text(text))]).await
    }

    async fn remove(&self, name: &str, text: &str) -> Result<(), RecordsError> {
        self.change(name, None, &[Change::Remove(Data::Text(text))]).await
    }
}

#[async_trait]
impl Places for Update {
    async fn replace(&self, name: &str, address: IpAddr) -> Result<(), RecordsError> {
        // One update is done whole or not at all (RFC 2136, 3.7): nobody sees the name without an address.
        let kind = kind_of(Family::of(address));
        // Beside an alias an address would be left out without a word (3.4.2.2).
        self.change(name, Some(Rtype::CNAME), &[Change::Clear(kind), Change::Add(address.into())]).await
    }

    async fn clear(&self, name: &str, family: Family) -> Result<(), RecordsError> {
        self.change(name, None, &[Change::Clear(kind_of(family))]).await
    }
}

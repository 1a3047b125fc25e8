//! Access control lists: grants of one permission to one grantee.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::principal::{Account, Principal};

/// S3's bound.
const GRANTS_MAX: usize = 100;
const GROUP: &str = "http://acs.amazonaws.com/groups/";

/// What a grant permits. What it means differs between a bucket and an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Permission {
    /// List the bucket; read the object.
    Read,
    /// Write, overwrite and delete the bucket's objects.
    Write,
    /// Read the list.
    ReadAcp,
    /// Change the list.
    WriteAcp,
    /// All of these.
    FullControl,
}

impl Permission {
    /// All of them, the widest last.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::ReadAcp, Self::WriteAcp, Self::FullControl];

    /// As S3 spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::ReadAcp => "READ_ACP",
            Self::WriteAcp => "WRITE_ACP",
            Self::FullControl => "FULL_CONTROL",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The header that grants it.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Read => "x-amz-grant-read",
            Self::Write => "x-amz-grant-write",
            Self::ReadAcp => "x-amz-grant-read-acp",
            Self::WriteAcp => "x-amz-grant-write-acp",
            Self::FullControl => "x-amz-grant-full-control",
        }
    }
}

/// Who is granted something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    /// One principal.
    One(Principal),
    /// Everybody.
    AllUsers,
    /// Everybody whose request is signed with a key of this realm.
    AuthenticatedUsers,
    /// Who writes access logs; nobody does here.
    LogDelivery,
}

impl Grantee {
    /// The address that S3 names a group by; none of a single principal.
    pub fn uri(&self) -> Option<String> {
        let name = match self {
            Self::One(_) => return None,
            Self::AllUsers => "global/AllUsers",
            Self::AuthenticatedUsers => "global/AuthenticatedUsers",
            Self::LogDelivery => "s3/LogDelivery",
        };
        Some(format!("{GROUP}{name}"))
    }

    /// The group of that address.
    pub fn of_uri(uri: &str) -> Option<Self> {
        [Self::AllUsers, Self::AuthenticatedUsers, Self::LogDelivery]
            .into_iter()
            .find(|group| group.uri().as_deref() == Some(uri))
    }

    fn is_public(&self) -> bool {
        matches!(self, Self::AllUsers | Self::AuthenticatedUsers)
    }

    fn takes_in(&self, who: &Principal) -> bool {
        match self {
            Self::One(one) => one == who,
            Self::AllUsers => true,
            Self::AuthenticatedUsers => *who != Principal::Anonymous,
            Self::LogDelivery => false,
        }
    }
}

impl Serialize for Grantee {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(one) => to.collect_str(one),
            group => to.serialize_str(&group.uri().unwrap_or_default()),
        }
    }
}

impl<'de> Deserialize<'de> for Grantee {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match Self::of_uri(&text) {
            Some(group) => Ok(group),
            None => text.parse().map(Self::One).map_err(de::Error::custom),
        }
    }
}

/// One permission for one grantee.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Who.
    pub to: Grantee,
    /// What.
    pub may: Permission,
}

/// A list, and whose bucket or object it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acl {
    /// Whose it is.
    #[serde(serialize_with = "principal_text", deserialize_with = "principal_of_text")]
    pub owner: Principal,
    /// What is granted; the owner may always read and change the list.
    pub grants: Vec<Grant>,
}

fn principal_text<S: Serializer>(who: &Principal, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(who)
}

fn principal_of_text<'de, D: Deserializer<'de>>(from: D) -> Result<Principal, D::Error> {
    String::deserialize(from)?.parse().map_err(de::Error::custom)
}

/// A list that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// It has too many grants.
    #[error("a list has at most {GRANTS_MAX} grants")]
    TooMany,
    /// It is not one of ours.
    #[error("the stored list is not readable: {0}")]
    Unreadable(String),
    /// There is no canned list of that name.
    #[error("there is no canned list {0:?}")]
    Canned(String),
    /// A grant header says something else.
    #[error("a grant has the form id=\"...\" or uri=\"...\", not {0:?}")]
    Header(String),
    /// A grantee that nobody is.
    #[error("nobody here has the id {0:?}")]
    Id(String),
    /// A group that there is not.
    #[error("there is no group {0:?}")]
    Group(String),
    /// Addresses are not known here.
    #[error("nobody is known here by an e-mail address; name an id")]
    Email,
}

/// S3's ready-made lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canned {
    /// For the owner alone.
    Private,
    /// Everybody reads.
    PublicRead,
    /// Everybody reads and writes.
    PublicReadWrite,
    /// Everybody with a key of this realm reads.
    AuthenticatedRead,
    /// The bucket's owner reads the object.
    BucketOwnerRead,
    /// The bucket's owner has full control of the object.
    BucketOwnerFullControl,
    /// Access logs may be written.
    LogDeliveryWrite,
}

impl Canned {
    /// The one of that name.
    ///
    /// # Errors
    /// [`AclError::Canned`]
    pub fn named(name: &str) -> Result<Self, AclError> {
        Ok(match name {
            "private" => Self::Private,
            "public-read" => Self::PublicRead,
            "public-read-write" => Self::PublicReadWrite,
            "authenticated-read" => Self::AuthenticatedRead,
            "bucket-owner-read" => Self::BucketOwnerRead,
            "bucket-owner-full-control" => Self::BucketOwnerFullControl,
            "log-delivery-write" => Self::LogDeliveryWrite,
            _ => return Err(AclError::Canned(name.to_owned())),
        })
    }
}

impl Acl {
    /// For its owner alone.
    pub fn private(owner: Principal) -> Self {
        Self::canned(Canned::Private, owner, None)
    }

    /// A ready-made list; `bucket_owner` is named for an object.
    pub fn canned(canned: Canned, owner: Principal, bucket_owner: Option<&Principal>) -> Self {
        let grant = |to: Grantee, may: Permission| Grant { to, may };
        let everybody = || Grantee::AllUsers;
        let host = bucket_owner.filter(|host| **host != owner).cloned().map(Grantee::One);
        let mut grants = vec![grant(Grantee::One(owner.clone()), Permission::FullControl)];
        match canned {
            Canned::Private => {}
            Canned::PublicRead => grants.push(grant(everybody(), Permission::Read)),
            Canned::PublicReadWrite => {
                grants.push(grant(everybody(), Permission::Read));
                grants.push(grant(everybody(), Permission::Write));
            }
            Canned::AuthenticatedRead => {
                grants.push(grant(Grantee::AuthenticatedUsers, Permission::Read));
            }
            Canned::BucketOwnerRead => grants.extend(host.map(|host| grant(host, Permission::Read))),
            Canned::BucketOwnerFullControl => {
                grants.extend(host.map(|host| grant(host, Permission::FullControl)));
            }
            Canned::LogDeliveryWrite => {
                grants.push(grant(Grantee::LogDelivery, Permission::Write));
                grants.push(grant(Grantee::LogDelivery, Permission::ReadAcp));
            }
        }
        Self { owner, grants }
    }

    /// The grants of one grant header: `id="...", uri="..."`.
    ///
    /// # Errors
    /// [`AclError`]
    pub fn of_header(may: Permission, text: &str) -> Result<Vec<Grant>, AclError> {
        let wrong = || AclError::Header(text.to_owned());
        let mut grants = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (kind, value) = part.split_once('=').ok_or_else(wrong)?;
            let value = value.trim().trim_matches('"');
            let to = match kind.trim().to_ascii_lowercase().as_str() {
                "id" => Grantee::One(value.parse().map_err(|_| AclError::Id(value.to_owned()))?),
                "uri" => Grantee::of_uri(value).ok_or_else(|| AclError::Group(value.to_owned()))?,
                "emailaddress" => return Err(AclError::Email),
                _ => return Err(wrong()),
            };
            grants.push(Grant { to, may });
        }
        Ok(grants)
    }

    /// Refuses a list that is too long.
    ///
    /// # Errors
    /// [`AclError::TooMany`]
    pub fn check(&self) -> Result<(), AclError> {
        if self.grants.len() > GRANTS_MAX { Err(AclError::TooMany) } else { Ok(()) }
    }

    /// Whether it lets in anybody at all, or anybody with a key.
    pub fn is_public(&self) -> bool {
        self.grants.iter().any(|grant| grant.to.is_public())
    }

    /// Whether it grants anything to anybody but an account and its services.
    pub fn lets_in_others(&self, than: Account) -> bool {
        self.grants.iter().any(|grant| match &grant.to {
            Grantee::One(who) => who.account() != Some(than),
            group => group.is_public(),
        })
    }

    /// Whether it permits this to that principal.
    pub fn permits(&self, who: &Principal, wanted: Permission, ignore_public: bool) -> bool {
        let counts = |grant: &&Grant| !(ignore_public && grant.to.is_public());
        let covers = |grant: &Grant| grant.may == wanted || grant.may == Permission::FullControl;
        self.grants.iter().filter(counts).any(|grant| covers(grant) && grant.to.takes_in(who))
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What [`Self::to_bytes`] gave.
    ///
    /// # Errors
    /// [`AclError::Unreadable`]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AclError> {
        serde_json::from_slice(bytes).map_err(|e| AclError::Unreadable(e.to_string()))
    }
}

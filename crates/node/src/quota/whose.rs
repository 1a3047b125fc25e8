//! Whose a bucket is, and whom people mean.

use std::collections::BTreeMap;

use freehold_access::{Account, Principal};
use freehold_api::{Problem, QuotaWhose, UsageStatus};
use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_realm::body::QuotaOf;
use freehold_seal::DirectoryRow;
use freehold_wire::{BucketId, Name, PersonId, ServiceId};

use super::{DATABASE, Ledger, kept};
use crate::control;
use crate::people;
use crate::replica::Report;
use crate::scribe::Saying;
use crate::shared::Shared;

const NOT_SET: &str = "no quota was set";

/// Who owns which bucket; what is nobody's in particular is the realm owner's.
pub(super) struct Owners {
    buckets: BTreeMap<BucketId, Principal>,
    /// Services that have an id, since somebody bounded them.
    services: BTreeMap<ServiceId, Principal>,
}

impl Owners {
    pub(super) fn of(shared: &Shared) -> Self {
        let owner = |bucket: BucketId| {
            let said = shared.vault.owner(&bucket)?;
            Some((bucket, std::str::from_utf8(&said).ok()?.parse::<Principal>().ok()?))
        };
        let directory = shared.directory();
        let services = directory.services().filter_map(|(id, name)| Some((id, name.parse().ok()?))).collect();
        drop(directory);
        Self { buckets: shared.vault.buckets().into_keys().filter_map(owner).collect(), services }
    }

    /// The member whose bucket it is.
    pub(super) fn person_of(&self, bucket: &BucketId) -> Option<PersonId> {
        match self.buckets.get(bucket)?.account()? {
            Account::Person(person) => Some(person),
            Account::Realm => None,
        }
    }

    /// Whether what is in a bucket counts towards a quota.
    pub(super) fn counts(&self, bucket: &BucketId, of: QuotaOf) -> bool {
        match of {
            QuotaOf::Realm => true,
            QuotaOf::Person(person) => self.person_of(bucket) == Some(person),
            QuotaOf::Bucket(one) => one == *bucket,
            QuotaOf::Service(service) => {
                let service = self.services.get(&service);
                service.is_some() && service == self.buckets.get(bucket)
            }
        }
    }

    /// Services that have an id.
    pub(super) fn services(&self) -> impl Iterator<Item = ServiceId> {
        self.services.keys().copied()
    }

    /// What services keep that nobody has bounded yet.
    pub(super) fn unbounded(&self, shared: &Shared, report: &Report, ledger: &Ledger) -> Vec<UsageStatus> {
        let mut all: BTreeMap<&Principal, u64> = BTreeMap::new();
        let known = |principal: &&Principal| self.services.values().any(|service| service == *principal);
        for (bucket, owner) in &self.buckets {
            if matches!(owner, Principal::Service(..)) && !known(&owner) {
                *all.entry(owner).or_default() += kept(report, ledger, bucket);
            }
        }
        let row = |(service, used): (&Principal, u64)| UsageStatus {
            of: QuotaWhose::Service(service.to_string()),
            name: service_name(shared, service),
            id: None,
            limit: None,
            used,
        };
        all.into_iter().map(row).collect()
    }

    pub(super) fn whose(&self, shared: &Shared, of: QuotaOf) -> QuotaWhose {
        match of {
            QuotaOf::Realm => QuotaWhose::Realm,
            QuotaOf::Person(person) => QuotaWhose::Person(person.to_string()),
            QuotaOf::Service(service) => QuotaWhose::Service(
                self.services.get(&service).map_or_else(|| service.to_string(), ToString::to_string),
            ),
            QuotaOf::Bucket(bucket) => {
                let name = control::name_of_bucket(shared, &bucket);
                match name.strip_prefix(DATABASE) {
                    Some(name) => QuotaWhose::Database(name.to_owned()),
                    None => QuotaWhose::Bucket(name),
                }
            }
        }
    }

    /// What people call it.
    pub(super) fn name_of(&self, shared: &Shared, of: QuotaOf) -> String {
        match of {
            QuotaOf::Realm => shared.realm_name().unwrap_or_else(|| "the realm".to_owned()),
            QuotaOf::Person(person) => people::name_of(shared, person),
            QuotaOf::Service(service) => {
                let known = self.services.get(&service);
                known.map_or_else(|| service.short(), |service| service_name(shared, service))
            }
            QuotaOf::Bucket(bucket) => {
                let name = control::name_of_bucket(shared, &bucket);
                name.strip_prefix(DATABASE).map(str::to_owned).unwrap_or(name)
            }
        }
    }

    /// The same in a sentence.
    pub(super) fn said(&self, shared: &Shared, of: QuotaOf) -> String {
        let name = self.name_of(shared, of);
        match self.whose(shared, of) {
            QuotaWhose::Realm => "the realm".to_owned(),
            QuotaWhose::Person(_) => format!("the member {name}"),
            QuotaWhose::Service(_) => format!("the service {name}"),
            QuotaWhose::Bucket(_) => format!("the bucket {name}"),
            QuotaWhose::Database(_) => format!("the database {name}"),
        }
    }
}

/// The id under which metrics tell it.
pub(super) fn id_of(of: QuotaOf) -> Option<String> {
    match of {
        QuotaOf::Realm => None,
        QuotaOf::Person(id) => Some(id.to_string()),
        QuotaOf::Bucket(id) => Some(id.to_string()),
        QuotaOf::Service(id) => Some(id.to_string()),
    }
}

/// `backup`, or `ann/backup` if it acts for a member.
fn service_name(shared: &Shared, service: &Principal) -> String {
    match service {
        Principal::Service(Account::Person(person), name) => {
            format!("{}/{name}", people::name_of(shared, *person))
        }
        service => service.shown(),
    }
}

/// What the log is to bound.
pub(super) async fn meant(shared: &Shared, whose: &QuotaWhose) -> Result<QuotaOf, Problem> {
    match whose {
        QuotaWhose::Realm => Ok(QuotaOf::Realm),
        QuotaWhose::Person(typed) => Ok(QuotaOf::Person(people::named(shared, typed, NOT_SET)?)),
        QuotaWhose::Bucket(typed) => control::bucket_named(shared, typed).map(QuotaOf::Bucket),
        QuotaWhose::Database(name) => {
            control::bucket_named_anywhere(shared, &format!("{DATABASE}{name}")).map(QuotaOf::Bucket)
        }
        QuotaWhose::Service(typed) => service(shared, typed).await.map(QuotaOf::Service),
    }
}

/// The id of the service that somebody typed, which gets one if it has none.
async fn service(shared: &Shared, typed: &str) -> Result<ServiceId, Problem> {
    let owners = Owners::of(shared);
    let known = owners.buckets.values().chain(owners.services.values()).cloned();
    let known = known.chain(shared.access_keys.principals());
    let is_meant = |service: &Principal| {
        matches!(service, Principal::Service(..))
            && (service.to_string() == typed
                || service.shown() == typed
                || service_name(shared, service) == typed)
    };
    let mut all: Vec<Principal> = known.filter(is_meant).collect();
    all.sort();
    all.dedup();
    let [service] = all.as_slice() else {
        let why = match all.len() {
            0 => format!("no access key here is for a service {typed:?}, and it has no bucket"),
            several => format!("{typed:?} may be any of {several} services: type MEMBER/SERVICE"),
        };
        return Err(Problem::not_found(NOT_SET, why, Some("freehold key list")));
    };
    if let Some((id, _)) = owners.services.iter().find(|(_, known)| *known == service) {
        return Ok(*id);
    }
    if !shared.is_keeper() {
        return Err(Problem::refused(
            NOT_SET,
            "this node does not hold the realm's secrets, so nobody would believe which service it is",
            Some("set it on a node with the role secrets: freehold node list"),
        ));
    }
    let name = Name::new(service.to_string())
        .map_err(|error| Problem::invalid(NOT_SET, error.to_string(), None::<&str>))?;
    let id = ServiceId::from_bytes(*OsEntropy.secret().expose());
    shared.say(vec![Saying::Row(DirectoryRow::ServiceName(id, Some(name)))]).await?;
    Ok(id)
}

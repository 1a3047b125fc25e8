//! What services and rules of the network are called, how services are published, and what is said of names.

use freehold_seal::{DirectoryRow, FilterRow, KnownGrant, PhoneDoor, PublicAuthority, Published, RowKey};
use freehold_wire::{Digest, GrantId, Name, NodeId, PhoneId, RuleId, ServiceId};

use super::Directory;

impl Directory {
    /// What people call a service of the network.
    pub fn net_service_name(&self, service: ServiceId) -> Option<&str> {
        match self.row(RowKey::NetService(service))? {
            DirectoryRow::NetService(_, name) => name.as_ref().map(Name::as_str),
            _ => None,
        }
    }

    /// How a service of the network is published.
    pub fn published(&self, service: ServiceId) -> Option<&Published> {
        match self.row(RowKey::Published(service))? {
            DirectoryRow::Published(_, published) => published.as_ref(),
            _ => None,
        }
    }

    /// The same, and which node has said so.
    pub fn published_by(&self, service: ServiceId) -> Option<(NodeId, &Published)> {
        let (_, origin, _) = self.rows.get(&RowKey::Published(service))?;
        Some((*origin, self.published(service)?))
    }

    /// Who certifies names outside.
    pub fn public_authority(&self) -> Option<&PublicAuthority> {
        match self.row(RowKey::PublicAuthority)? {
            DirectoryRow::PublicAuthority(authority) => authority.as_ref(),
            _ => None,
        }
    }

    /// What is said of names, and about what: see [`freehold_seal::FilterKey`].
    pub fn filter_rows(&self) -> impl Iterator<Item = (&str, &FilterRow)> {
        let [none, all] = [[0; 32], [u8::MAX; 32]].map(|bytes| RowKey::Filter(Digest::from_bytes(bytes)));
        self.rows.range(none..=all).filter_map(|(_, (_, _, row))| match row {
            DirectoryRow::Filter(key, Some(row)) => Some((key.as_str(), row)),
            _ => None,
        })
    }

    /// What people call a rule of the network.
    pub fn net_rule_name(&self, rule: RuleId) -> Option<&str> {
        match self.row(RowKey::NetRule(rule))? {
            DirectoryRow::NetRule(_, name) => name.as_ref().map(Name::as_str),
            _ => None,
        }
    }

    /// What people call a phone.
    pub fn phone_name(&self, phone: PhoneId) -> Option<&str> {
        match self.row(RowKey::PhoneName(phone))? {
            DirectoryRow::PhoneName(_, name) => name.as_ref().map(Name::as_str),
            _ => None,
        }
    }

    /// What is known of a grant beside the log.
    pub fn known_grant(&self, grant: GrantId) -> Option<&KnownGrant> {
        match self.row(RowKey::Grant(grant))? {
            DirectoryRow::Grant(_, known) => known.as_ref(),
            _ => None,
        }
    }

    /// Where a gateway takes phones in.
    pub fn phone_door(&self, node: NodeId) -> Option<&PhoneDoor> {
        match self.row(RowKey::PhoneDoor(node))? {
            DirectoryRow::PhoneDoor(_, door) => door.as_ref(),
            _ => None,
        }
    }
}

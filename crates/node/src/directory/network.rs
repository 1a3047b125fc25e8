//! What services and rules of the network are called.

use freehold_seal::{DirectoryRow, RowKey};
use freehold_wire::{Name, RuleId, ServiceId};

use super::Directory;

impl Directory {
    /// What people call a service of the network.
    pub fn net_service_name(&self, service: ServiceId) -> Option<&str> {
        match self.row(RowKey::NetService(service))? {
            DirectoryRow::NetService(_, name) => name.as_ref().map(Name::as_str),
            _ => None,
        }
    }

    /// What people call a rule of the network.
    pub fn net_rule_name(&self, rule: RuleId) -> Option<&str> {
        match self.row(RowKey::NetRule(rule))? {
            DirectoryRow::NetRule(_, name) => name.as_ref().map(Name::as_str),
            _ => None,
        }
    }
}

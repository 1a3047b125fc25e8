//! Which name leads where. A table is made whole, and swapped whole: a request sees one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use freehold_wire::ServiceId;

use crate::live::Live;
use crate::service::Target;
use crate::{Host, Service};

/// The most services of one table.
pub const SERVICES_MAX: usize = 4096;

/// What is published, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    services: Vec<Service>,
}

/// What cannot be published like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// One name leads to two.
    #[error("{host} is published for two services; take it from one of them")]
    Twice {
        /// The name.
        host: Host,
    },
    /// One service is there twice.
    #[error("service {0} is published twice")]
    Same(ServiceId),
    /// It is nowhere.
    #[error("service {0} has no address; say where it listens")]
    Nowhere(ServiceId),
    /// More than a table holds.
    #[error("{0} services are more than {SERVICES_MAX}")]
    Full(usize),
}

impl Table {
    /// Checks what is to be published.
    ///
    /// # Errors
    /// [`TableError`]
    pub fn new(services: Vec<Service>) -> Result<Self, TableError> {
        if services.len() > SERVICES_MAX {
            return Err(TableError::Full(services.len()));
        }
        let (mut hosts, mut ids) = (BTreeMap::new(), BTreeSet::new());
        for service in &services {
            if !ids.insert(service.id) {
                return Err(TableError::Same(service.id));
            }
            let upstreams = match &service.target {
                Target::Web(web) => &web.upstreams,
                Target::Pass(pass) => &pass.upstreams,
            };
            if upstreams.is_empty() {
                return Err(TableError::Nowhere(service.id));
            }
            for host in &service.hosts {
                if hosts.insert(host, service.id).is_some_and(|other| other != service.id) {
                    return Err(TableError::Twice { host: host.clone() });
                }
            }
        }
        Ok(Self { services })
    }

    /// What is published.
    pub fn services(&self) -> &[Service] {
        &self.services
    }
}

/// A table in use.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    exact: BTreeMap<String, Arc<Live>>,
    wild: BTreeMap<String, Arc<Live>>,
    services: BTreeMap<ServiceId, Arc<Live>>,
    passes: bool,
}

impl Routes {
    /// Goes over to another table; what is counted, and who has asked how much, goes on.
    pub(crate) fn next(&self, table: Table) -> Self {
        let mut next = Self::default();
        for service in table.services {
            next.passes |= matches!(service.target, Target::Pass(_));
            let live = Arc::new(Live::after(self.services.get(&service.id).map(|live| &**live), service));
            for host in &live.service.hosts {
                let names = if host.is_wild() { &mut next.wild } else { &mut next.exact };
                names.insert(host.name().to_owned(), Arc::clone(&live));
            }
            next.services.insert(live.service.id, live);
        }
        next
    }

    /// The service of a name in lower case; a name by itself goes before one with `*.`.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Live>> {
        let wild = || self.wild.get(name.split_once('.')?.1);
        self.exact.get(name).or_else(wild)
    }

    /// A service by its id.
    pub(crate) fn service(&self, id: &ServiceId) -> Option<&Arc<Live>> {
        self.services.get(id)
    }

    /// Whether any service keeps its own TLS, so that the name has to be seen before TLS begins.
    pub(crate) const fn passes(&self) -> bool {
        self.passes
    }

    /// All services.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Live>> {
        self.services.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Access, Upstream, Web};

    fn service(n: u8, hosts: &[&str]) -> Service {
        Service {
            id: ServiceId::from_bytes([n; 32]),
            hosts: hosts.iter().map(|host| Host::parse(host).unwrap()).collect(),
            access: Access::Public,
            target: Target::Web(Box::new(Web::at(vec![Upstream::Unix("/x".into())]))),
        }
    }

    fn led(routes: &Routes, name: &str) -> Option<u8> {
        routes.find(name).map(|live| live.service.id.as_bytes()[0])
    }

    #[test]
    fn the_nearest_name_wins() {
        let table = Table::new(vec![service(1, &["a.b.c"]), service(2, &["*.b.c", "b.c"])]).unwrap();
        let routes = Routes::default().next(table);
        let found = ["a.b.c", "x.b.c", "b.c", "x.a.b.c", "c"].map(|name| led(&routes, name));
        assert_eq!(found, [Some(1), Some(2), Some(2), None, None]);
    }

    #[test]
    fn what_is_ambiguous_or_nowhere_is_refused() {
        assert!(matches!(
            Table::new(vec![service(1, &["a.b"]), service(2, &["a.b"])]),
            Err(TableError::Twice { .. })
        ));
        assert!(matches!(Table::new(vec![service(1, &[]), service(1, &[])]), Err(TableError::Same(_))));
        let mut nowhere = service(1, &["a.b"]);
        nowhere.target = Target::Web(Box::new(Web::at(vec![])));
        assert!(matches!(Table::new(vec![nowhere]), Err(TableError::Nowhere(_))));
    }

    #[test]
    fn what_was_counted_goes_on() {
        let table = || Table::new(vec![service(1, &["a.b"])]).unwrap();
        let routes = Routes::default().next(table());
        routes.find("a.b").unwrap().tally.answered(200, std::time::Duration::ZERO);
        let next = routes.next(table());
        assert_eq!(next.find("a.b").unwrap().tally.shown().classes[1], 1);
        assert_eq!(next.next(Table::default()).all().count(), 0);
    }
}

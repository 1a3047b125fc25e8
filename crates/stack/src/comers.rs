//! Who is behind what the stack opens to programs of this machine. All of it comes from one address of the
//! loopback, which this machine's own programs do not come from; whose it is each time can be asked here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// Where what came over the network comes from, as programs of this machine see it; with IPv6, which has only one
/// address of that kind, from the loopback itself.
pub const COMERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// By the stack's own end, and whether that is TCP's.
type Ends = BTreeMap<(SocketAddr, bool), IpAddr>;

/// Whose each end is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Comers(Arc<Mutex<Ends>>);

impl Comers {
    /// Notes whose an end is, until the note is dropped.
    pub(crate) fn note(&self, end: (SocketAddr, bool), whose: IpAddr) -> Note {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(end, whose);
        Note { all: self.clone(), end }
    }

    /// Whose an end is: nobody's where TCP and UDP have the same port for two.
    pub(crate) fn whose(&self, end: SocketAddr) -> Option<IpAddr> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (all.get(&(end, true)), all.get(&(end, false))) {
            (Some(one), Some(other)) if one != other => None,
            (one, other) => one.or(other).copied(),
        }
    }
}

/// An end that is noted.
#[derive(Debug)]
pub(crate) struct Note {
    all: Comers,
    end: (SocketAddr, bool),
}

impl Drop for Note {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_whose_an_end_is_for_as_long_as_it_is_there_and_in_doubt_it_is_nobodys() {
        let (all, [one, other]) = (Comers::default(), ["fd00::1", "fd00::2"].map(|at| at.parse().unwrap()));
        let end = SocketAddr::new(COMERS.into(), 4000);
        let first = all.note((end, true), one);
        assert_eq!(all.whose(end), Some(one));
        let second = all.note((end, false), other);
        assert_eq!(all.whose(end), None);
        drop(first);
        assert_eq!(all.whose(end), Some(other));
        drop(second);
        assert_eq!(all.whose(end), None);
    }
}

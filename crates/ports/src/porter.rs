//! Keeps the table of one port, and tells connections when they have to go.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{Places, Source, Table};

/// After a failed accept (out of file descriptors) there is no event to wait for.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Lets connections in at one port. Clones keep the same table.
#[derive(Clone)]
pub struct Porter(Arc<Mutex<State>>);

struct State {
    table: Table,
    out: BTreeMap<u64, CancellationToken>,
}

impl Porter {
    /// For a port that nobody has come to.
    pub fn new(places: Places) -> Self {
        Self(Arc::new(Mutex::new(State { table: Table::new(places), out: BTreeMap::new() })))
    }

    /// The next connection that gets a place. Those that get none are closed: an honest client comes
    /// again. May be dropped between two connections.
    pub async fn accept(&self, listener: &TcpListener) -> (TcpStream, Guest) {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => {
                    if let Some(guest) = self.admit(from.ip().into()) {
                        return (stream, guest);
                    }
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// A place for a connection from there, if there is one.
    pub fn admit(&self, source: Source) -> Option<Guest> {
        let mut state = self.state();
        let entered = state.table.enter(source, Instant::now())?;
        if let Some(out) = entered.instead_of.and_then(|place| state.out.remove(&place)) {
            out.cancel();
        }
        let out = CancellationToken::new();
        state.out.insert(entered.place, out.clone());
        let visit = Visit {
            porter: self.clone(),
            source,
            place: entered.place,
            out,
            under_way: Mutex::new(0),
            rested: Notify::new(),
        };
        Some(Guest(Arc::new(visit)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Porter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Porter").field(&self.state().table).finish()
    }
}

/// A connection that has a place, until the last clone is dropped.
#[derive(Clone)]
pub struct Guest(Arc<Visit>);

struct Visit {
    porter: Porter,
    source: Source,
    place: u64,
    out: CancellationToken,
    /// Requests, of which HTTP/2 has several at a time.
    under_way: Mutex<usize>,
    rested: Notify,
}

impl Guest {
    /// Its number, never used again.
    pub fn place(&self) -> u64 {
        self.0.place
    }

    /// Where it comes from.
    pub fn source(&self) -> Source {
        self.0.source
    }

    /// A request begins, and ends when what is returned is dropped.
    pub fn request(&self) -> Busy {
        let mut under_way = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        *under_way += 1;
        if *under_way == 1 {
            self.0.porter.state().table.work(self.0.place);
        }
        Busy(self.clone())
    }

    /// Something came that earns it another rest, but no place for sure.
    pub fn touch(&self) {
        let under_way = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if *under_way == 0 {
            self.0.porter.state().table.rest(self.0.place, Instant::now());
        }
    }

    /// Ends when the connection has to be closed: it has rested for too long, or made room.
    pub async fn has_to_go(&self) {
        loop {
            let until = self.0.porter.state().table.rests_until(self.0.place);
            if until.is_some_and(|until| until <= Instant::now()) {
                return;
            }
            let rest = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => self.0.rested.notified().await,
                }
            };
            tokio::select! {
                biased;
                () = self.0.out.cancelled() => return,
                () = rest => {}
            }
        }
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("place", &self.0.place)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut state = self.porter.state();
        state.table.leave(self.place);
        state.out.remove(&self.place);
    }
}

/// A request under way: its connection makes room for nobody.
#[derive(Debug)]
pub struct Busy(Guest);

impl Drop for Busy {
    fn drop(&mut self) {
        let visit = &self.0.0;
        let mut under_way = visit.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        *under_way = under_way.saturating_sub(1);
        if *under_way == 0 {
            visit.porter.state().table.rest(visit.place, Instant::now());
            visit.rested.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_resting_connection_goes_and_a_busy_one_stays() {
        let porter = Porter::new(Places { total: 2, each: 2, reserve: 0, rest: REST });
        let guest = porter.admit(Source::Here).unwrap();
        let (first, second) = (guest.request(), guest.request());
        drop(first);
        assert!(tokio::time::timeout(REST * 3, guest.has_to_go()).await.is_err(), "one is still under way");
        drop(second);
        let began = Instant::now();
        guest.has_to_go().await;
        assert!(began.elapsed() >= REST / 2);
    }

    #[tokio::test]
    async fn who_comes_pushes_out_who_rests_and_a_place_left_is_free() {
        let rest = Duration::from_mins(1);
        let porter = Porter::new(Places { total: 2, each: 1, reserve: 0, rest });
        let first = porter.admit(Source::Here).unwrap();
        let second = porter.admit(Source::Here).unwrap();
        first.has_to_go().await;
        drop(first);
        let busy = second.request();
        drop(second);
        assert!(porter.admit(Source::Here).is_none(), "the request holds the place");
        drop(busy);
        assert!(porter.admit(Source::Here).is_some());
        assert!(porter.state().table.is_empty() && porter.state().out.is_empty());
    }
}

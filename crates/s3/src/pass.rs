//! When a request is under way: once it is known that its asker may ask it. Until then its connection
//! rests, and makes room for others.

use std::sync::{Arc, Mutex, PoisonError};

use freehold_ports::{Busy, Guest};
use http::Extensions;

/// Goes with a request to where it is allowed.
#[derive(Clone)]
pub(crate) struct Pass(Arc<Inner>);

struct Inner {
    guest: Guest,
    busy: Mutex<Option<Busy>>,
}

impl Pass {
    pub(crate) fn of(guest: Guest) -> Self {
        Self(Arc::new(Inner { guest, busy: Mutex::new(None) }))
    }

    /// The request is allowed: from now on it makes room for nobody.
    pub(crate) fn let_in(extensions: &Extensions) {
        if let Some(Self(inner)) = extensions.get() {
            let mut busy = inner.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.get_or_insert_with(|| inner.guest.request());
        }
    }

    /// What keeps the connection from resting, for the answer to hold; none if nobody was let in.
    pub(crate) fn busy(&self) -> Option<Busy> {
        self.0.busy.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

//! Congestion control of lines. What travels inside them are whole flows that look after congestion
//! themselves: on a direct path a second control around theirs only costs. A relay's queue is shared with
//! others, and there Cubic holds back. Which of both a path needs is known only once it is there, and said
//! from outside.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use iroh::endpoint::{Connection, Controller, ControllerFactory, PathId, RttEstimator};
use noq::congestion::{Cubic, CubicConfig};

/// What may be under way on a direct path: 2.5 Gbit/s over 200 ms.
const OPEN: u64 = 64 << 20;

/// Makes a controller for each path.
#[derive(Debug, Default)]
pub(crate) struct Steering(Arc<CubicConfig>);

impl ControllerFactory for Steering {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let cubic = Cubic::new(Arc::clone(&self.0), now, mtu);
        Box::new(Steered { open: Arc::default(), cubic })
    }
}

/// Cubic, unless the path turned out to be a direct one.
#[derive(Debug, Clone)]
struct Steered {
    /// Shared by all clones: what is told to one holds for the path.
    open: Arc<AtomicBool>,
    cubic: Cubic,
}

/// Says what kind of path this is.
pub(crate) fn steer(connection: &Connection, path: PathId, direct: bool) {
    let controller = connection.congestion_state(path).map(Controller::into_any);
    if let Some(steered) = controller.and_then(|any| any.downcast::<Steered>().ok()) {
        steered.open.store(direct, Ordering::Relaxed);
    }
}

impl Controller for Steered {
    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        pn: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        // A window that nobody asks for is not worth a cube root for each packet.
        if !self.open.load(Ordering::Relaxed) {
            self.cubic.on_ack(now, sent, bytes, pn, app_limited, rtt);
        }
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        is_ecn: bool,
        lost_bytes: u64,
        largest_lost_pn: u64,
    ) {
        let (persistent, ecn) = (is_persistent_congestion, is_ecn);
        self.cubic.on_congestion_event(now, sent, persistent, ecn, lost_bytes, largest_lost_pn);
    }

    fn on_spurious_congestion_event(&mut self) {
        self.cubic.on_spurious_congestion_event();
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.open.load(Ordering::Relaxed) { OPEN } else { self.cubic.window() }
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_said_of_a_path_holds_for_its_clones_and_for_no_other() {
        let now = Instant::now();
        let factory = Arc::new(Steering::default());
        let one = Arc::clone(&factory).build(now, 1200);
        let other = factory.build(now, 1200);
        let narrow = one.window();
        assert!(narrow < 1 << 16, "a path is not known to be direct");
        let told = one.clone_box().into_any().downcast::<Steered>().unwrap();
        told.open.store(true, Ordering::Relaxed);
        assert_eq!((one.window(), other.window()), (OPEN, narrow));
        told.open.store(false, Ordering::Relaxed);
        assert_eq!(one.window(), narrow);
    }

    #[test]
    fn losses_close_the_window_of_a_relayed_path_only() {
        let now = Instant::now();
        let mut one = Arc::new(Steering::default()).build(now, 1200);
        let wide = one.window();
        one.on_congestion_event(now + Duration::from_secs(1), now, false, false, 1200, 7);
        let less = one.window();
        assert!(less < wide);
        let told = one.clone_box().into_any().downcast::<Steered>().unwrap();
        told.open.store(true, Ordering::Relaxed);
        one.on_congestion_event(
            now + Duration::from_secs(2),
            now + Duration::from_secs(1),
            true,
            false,
            1200,
            9,
        );
        assert_eq!(one.window(), OPEN);
    }
}

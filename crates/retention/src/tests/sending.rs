use std::collections::BTreeSet;

use freehold_wire::Millis;
use proptest::prelude::*;

use crate::{Heard, Message, Step};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const BEGIN: u64 = 1_700_000_000_000;

fn set(alarms: &[&str]) -> BTreeSet<String> {
    alarms.iter().map(|alarm| (*alarm).to_owned()).collect()
}

fn at(ms: u64) -> Millis {
    Millis(BEGIN + ms)
}

/// Looks, and sends what there is to send.
fn look(heard: &mut Heard, standing: &BTreeSet<String>, now: Millis) -> Option<Message> {
    heard.saw(standing, now);
    let Step::Send(message) = heard.next(standing, now) else { return None };
    heard.arrived(&message, now);
    Some(message)
}

#[test]
fn an_alarm_is_told_once_again_after_a_day_and_when_it_is_over() {
    let (mut heard, disk) = (Heard::default(), set(&["disk"]));
    assert_eq!(heard.next(&set(&[]), at(0)), Step::Rest(None));
    assert_eq!(look(&mut heard, &disk, at(0)).map(|sent| sent.begun), Some(vec!["disk".to_owned()]));
    assert_eq!(look(&mut heard, &disk, at(23 * HOUR)), None);
    let again = look(&mut heard, &disk, at(24 * HOUR));
    assert_eq!(again.map(|sent| (sent.begun, sent.standing)), Some((vec![], vec!["disk".to_owned()])));
    let gone = 25 * HOUR;
    assert_eq!(look(&mut heard, &set(&[]), at(gone)), None, "it may flicker");
    assert_eq!(look(&mut heard, &disk, at(gone + SECOND)), None, "it did");
    assert_eq!(look(&mut heard, &set(&[]), at(gone + 2 * SECOND)), None);
    let over = look(&mut heard, &set(&[]), at(gone + 12 * SECOND));
    assert_eq!(over.map(|sent| sent.over), Some(vec!["disk".to_owned()]));
    assert_eq!(heard.next(&set(&[]), at(gone + 100 * HOUR)), Step::Rest(None));
}

#[test]
fn what_came_and_went_while_a_channel_was_down_is_not_told() {
    let (mut heard, disk) = (Heard::default(), set(&["disk"]));
    assert!(matches!(heard.next(&disk, at(0)), Step::Send(_)));
    heard.failed(at(0));
    assert_eq!(heard.next(&disk, at(SECOND)), Step::Wait(at(15 * SECOND)));
    assert_eq!(look(&mut heard, &set(&[]), at(HOUR)), None);
}

#[test]
fn pauses_grow_up_to_an_hour() {
    let (mut heard, disk) = (Heard::default(), set(&["disk"]));
    let mut pauses = Vec::new();
    for _ in 0..10 {
        heard.failed(at(0));
        let Step::Wait(until) = heard.next(&disk, at(0)) else { panic!("it waits") };
        pauses.push(until.since(at(0)).0 / SECOND);
    }
    assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
}

#[derive(Debug, Clone)]
enum Event {
    Rises(u8),
    Ends(u8),
    Passes(u64),
    /// The clock is put back.
    Back(u64),
    Fails,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..8_u8).prop_map(Event::Rises),
        3 => (0..8_u8).prop_map(Event::Ends),
        3 => (0..3 * HOUR).prop_map(Event::Passes),
        3 => (0..30 * SECOND).prop_map(Event::Passes),
        1 => (0..3 * HOUR).prop_map(Event::Back),
        2 => Just(Event::Fails),
    ]
}

proptest! {
    /// Whatever happens: never a flood, never twice the same, and in the end the channel knows what stands.
    #[test]
    fn what_stands_is_told_in_the_end_and_never_too_often(
        events in prop::collection::vec(event(), 0..200), back in any::<bool>(),
    ) {
        let (mut heard, mut standing, mut now) = (Heard::default(), BTreeSet::new(), at(10 * HOUR));
        let (mut arrived, mut knows) = (Vec::<Millis>::new(), BTreeSet::<String>::new());
        let mut fails = false;
        let settle = [Event::Passes(2 * HOUR), Event::Passes(20 * SECOND), Event::Passes(2 * HOUR)];
        for event in events.into_iter().chain(settle.iter().cloned()) {
            match event {
                Event::Rises(which) => { standing.insert(which.to_string()); }
                Event::Ends(which) => { standing.remove(&which.to_string()); }
                Event::Passes(ms) => now = now.plus(Millis(ms)),
                Event::Back(ms) => if back { now = Millis(now.0 - ms.min(now.0)) },
                Event::Fails => fails = true,
            }
            heard.saw(&standing, now);
            match heard.next(&standing, now) {
                Step::Rest(until) => prop_assert!(until.is_none_or(|until| until > now)),
                Step::Wait(until) => prop_assert!(until > now && until <= now.plus(Millis(HOUR))),
                Step::Send(_) if std::mem::take(&mut fails) => heard.failed(now),
                Step::Send(message) => {
                    prop_assert!(message.begun.iter().all(|alarm| knows.insert(alarm.clone())), "told twice");
                    prop_assert!(message.standing.iter().all(|alarm| knows.contains(alarm)));
                    prop_assert!(message.over.iter().all(|alarm| knows.remove(alarm)), "never told");
                    prop_assert!(message.over.iter().all(|alarm| !standing.contains(alarm)));
                    heard.arrived(&message, now);
                    arrived.push(now);
                    if !back {
                        let hour = arrived.iter().filter(|at| at.plus(Millis(HOUR)) > now).count();
                        prop_assert!(hour <= 6, "a flood");
                    }
                }
            }
            prop_assert!(heard.sent.len() <= 6);
        }
        prop_assert_eq!(&knows, &standing);
        prop_assert!(heard.told.len() <= 8);
    }
}

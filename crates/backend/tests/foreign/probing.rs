//! What a probe finds out of a store that lies.

use freehold_backend::{Answer, Found, Note, ProbeError, Refusal, probe};
use freehold_wire::Millis;

use super::liar::{Liar, Lie};

async fn asked(lie: Lie) -> Result<Found, ProbeError> {
    let liar = Liar::new();
    liar.tell(lie);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let found = probe(&*liar, Millis(u64::try_from(now).unwrap())).await;
    if lie != Lie::KeepsDeleted {
        assert!(liar.names().await.is_empty(), "{lie:?} left something");
    }
    found
}

#[tokio::test]
async fn a_good_store_has_nothing_to_be_said_of_it() {
    let found = asked(Lie::None).await.unwrap();
    assert_eq!((found.refusal(), found.notes()), (None, vec![]));
    assert_eq!((found.conditional_create, found.conditional_replace), (Answer::Works, Answer::Works));
    assert!(found.clock_off.unwrap().abs() < 60_000);
}

#[tokio::test]
async fn a_store_that_lies_about_what_is_needed_is_refused() {
    for (lie, why) in [
        (Lie::StoresNothing, Refusal::Forgets),
        (Lie::StoresHalf, Refusal::Forgets),
        (Lie::StoresOther, Refusal::Forgets),
        (Lie::GivesFlipped, Refusal::Forgets),
        (Lie::GivesLess, Refusal::Forgets),
        (Lie::IgnoresRanges, Refusal::NoRanges),
        (Lie::ListsStale, Refusal::Listing),
        (Lie::KeepsDeleted, Refusal::KeepsDeleted),
    ] {
        assert_eq!(asked(lie).await.unwrap().refusal(), Some(why), "{lie:?}");
    }
}

#[tokio::test]
async fn a_store_that_ignores_conditions_will_do_and_is_told_of() {
    let found = asked(Lie::IgnoresConditions).await.unwrap();
    assert_eq!(found.refusal(), None);
    assert_eq!(found.conditional_create, Answer::Ignored);
    assert_eq!(found.notes(), [Note::NoConditions { ignored: true }]);
    assert!(found.notes()[0].to_string().contains("ignores conditional writes; nothing here needs them"));
    let found = asked(Lie::GivesOld).await.unwrap();
    assert_eq!((found.refusal(), found.notes()), (None, vec![Note::Stale]));
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_is_an_error_with_a_remedy() {
    let down = asked(Lie::Down).await.unwrap_err();
    assert!(matches!(down, ProbeError::Unreachable(_)) && down.remedy().contains("endpoint"), "{down:?}");
    let full = asked(Lie::Full).await.unwrap_err();
    assert!(matches!(full, ProbeError::Full(_)), "{full:?}");
}

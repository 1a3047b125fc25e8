use super::*;

const DAY: u64 = 24 * 3_600_000;

fn day(number: u64) -> Millis {
    Millis(1_800_000_000_000 + number * DAY)
}

fn found(what: &str) -> Vec<Finding> {
    vec![Finding { severe: false, what: "odd".to_owned() }, Finding { severe: true, what: what.to_owned() }]
}

#[test]
fn damage_stands_until_its_own_part_is_good() {
    let mut upkeep = Upkeep::default();
    assert_eq!(upkeep.next_check(day(0), day(0)), (0, day(1)));
    upkeep.checked(day(1), Some(0), Ok(Vec::new()));
    assert_eq!(upkeep.next_check(day(0), day(2)), (1, day(8)));
    upkeep.checked(day(8), Some(1), Ok(found("a pack is another one")));
    assert_eq!(
        upkeep.damage().map(|damage| damage.named.as_slice()),
        Some(&["a pack is another one".to_owned()][..])
    );
    assert_eq!(upkeep.next_check(day(0), day(8)), (1, day(9)), "it is looked at again");
    upkeep.checked(day(9), Some(2), Ok(Vec::new()));
    assert!(upkeep.damage().is_some(), "another part is good");
    upkeep.checked(day(9), Some(1), Ok(Vec::new()));
    assert!(upkeep.damage().is_none());
    upkeep.checked(day(10), Some(3), Ok(found("again")));
    upkeep.checked(day(11), None, Ok(Vec::new()));
    assert!(
        upkeep.damage().is_none() && upkeep.parts() == [Some(day(11)); PARTS],
        "a person had all of it read"
    );
}

#[test]
fn what_could_not_be_checked_is_not_read() {
    let mut upkeep = Upkeep::default();
    upkeep.checked(day(1), Some(0), Err("the disk does not answer".to_owned()));
    assert_eq!((upkeep.parts(), upkeep.damage()), ([None; PARTS], None));
    assert_eq!(
        upkeep.checked.as_ref().and_then(|checked| checked.why.as_deref()),
        Some("the disk does not answer")
    );
}

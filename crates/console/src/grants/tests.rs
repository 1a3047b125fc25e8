use super::*;

fn grant(fields: &serde_json::Value) -> GrantStatus {
    let mut all = serde_json::json!({ "id": "90a1", "name": "jones-room", "side": "lends", "realm": "5d",
        "realm_name": "jones", "resource": "storage", "from_ms": 1_000, "until_ms": 9_000_000_000_u64,
        "standing": "holds", "services": [], "machines": [] });
    if let (Some(all), Some(fields)) = (all.as_object_mut(), fields.as_object()) {
        all.extend(fields.clone());
    }
    serde_json::from_value(all).expect("a grant")
}

fn room(phase: &str) -> serde_json::Value {
    serde_json::json!({ "bytes": 1000, "egress": 4000, "wind_down_days": 30, "phase": phase, "kept": 1, "objects": 1,
        "sent": 5000, "homes": ["attic"], "receipts": [] })
}

#[test]
fn a_bar_shows_little_and_never_more_than_all() {
    assert_eq!(
        [(0, 10), (1, 1_000_000), (5, 10), (11, 10), (3, 0)].map(|(n, of)| Bar::new("", n, of).wide),
        [0, 8, 500, 1000, 8]
    );
    assert_eq!(Bar::new("", u64::MAX, u64::MAX).tone, "wait");
    assert_eq!(Bar::new("", 1, 2).said, "1 byte of 2 bytes");
}

#[test]
fn a_grant_is_over_when_nothing_of_it_is_left() {
    let winds_down = grant(&serde_json::json!({ "standing": "ended", "room": room("winding-down") }));
    assert!(!is_over(&winds_down));
    assert_eq!(mark(&winds_down).word, "Winding down");
    let over = grant(&serde_json::json!({ "standing": "ended", "room": room("over") }));
    assert!(is_over(&over) && bars(&over).is_empty());
    assert!(is_over(&grant(&serde_json::json!({ "standing": "lapsed", "resource": "services" }))));
    assert!(!is_over(&grant(&serde_json::json!({ "room": room("open") }))));
    assert_eq!(bars(&grant(&serde_json::json!({ "room": room("open") }))).len(), 2);
}

use std::collections::BTreeMap;

use super::*;
use crate::{ClientKey, Leads, Target};

fn wish(number: u64, names: &[&str]) -> Wish {
    let clients = names.iter().map(|name| (name.parse().unwrap(), ClientKey::from([7; 32]))).collect();
    let ports = vec![Leads { port: 22, to: Target::Tcp("127.0.0.1:22".parse().unwrap()) }];
    Wish { number, on: true, ports, clients }
}

#[test]
fn only_who_is_new_is_told_to_a_running_tor() {
    let now = wish(1, &["ann"]);
    assert!(adds_alone(&now, &wish(2, &["ann"])));
    assert!(adds_alone(&now, &wish(2, &["ann", "bob"])));
    assert!(!adds_alone(&now, &wish(2, &["bob"])), "ann is to be out");
    assert!(!adds_alone(&now, &wish(2, &[])));
    assert!(!adds_alone(&now, &Wish { on: false, ..now.clone() }));
    assert!(!adds_alone(&now, &Wish { ports: Vec::new(), ..now.clone() }));
    let other: BTreeMap<_, _> = [("ann".parse().unwrap(), ClientKey::from([8; 32]))].into();
    assert!(!adds_alone(&now, &Wish { clients: other, ..now.clone() }), "ann's old key is to be out");
}

#[test]
fn what_hinders_is_told_until_it_is_over() {
    let mut seen = Seen::default();
    let way = |percent, warning: Option<&str>| Word::Way { percent, warning: warning.map(str::to_owned) };
    seen.hear(way(10, Some("Connection refused")));
    let refused = || Some(Trouble::Network("Connection refused".into()));
    assert_eq!(seen.doing(), Doing::Starting { percent: 10, trouble: refused() });
    seen.hear(Word::Clock { seconds: 30 });
    assert_eq!(
        seen.doing(),
        Doing::Starting { percent: 10, trouble: refused() },
        "half a minute does no harm"
    );
    seen.hear(Word::Clock { seconds: 7200 });
    let clock = Trouble::Clock { seconds: 7200 };
    assert_eq!(seen.doing(), Doing::Starting { percent: 10, trouble: Some(clock.clone()) });
    assert!(clock.to_string().contains("120 min") && clock.next().is_some());
    seen.hear(way(100, None));
    seen.hear(Word::Announced);
    assert_eq!(seen.doing(), Doing::Up { trouble: None });
    seen.hear(Word::Reached(false));
    assert!(matches!(seen.doing(), Doing::Up { trouble: Some(Trouble::Network(_)) }));
    seen.hear(Word::Reached(true));
    assert_eq!(seen.doing(), Doing::Up { trouble: None });
}

/// Without keys an onion service is open to everybody.
#[tokio::test]
async fn no_tor_runs_while_nobody_is_let_in() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::at(home.path().join("onion"));
    let (wanted, (told, mut standing)) =
        (watch::Sender::new(wish(4, &[])), watch::channel(Standing::default()));
    let cancel = CancellationToken::new();
    let kept = keep(&folder, wanted.subscribe(), &told, &cancel);
    let look = async {
        let waits = Standing { number: 4, address: None, doing: Doing::Waiting };
        standing.wait_for(|now| *now == waits).await.unwrap();
        assert!(!folder.torrc().exists(), "nothing was even written for one");
        wanted.send_replace(Wish { on: false, number: 5, ..wish(5, &["ann"]) });
        standing.wait_for(|now| now.number == 5 && now.doing == Doing::Off).await.unwrap();
        cancel.cancel();
    };
    tokio::join!(kept, look);
}

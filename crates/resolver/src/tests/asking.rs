//! Others: late, lying, failing, gone.

use std::time::{Duration, Instant};

use freehold_names::{Rcode, Why, kind};

use super::house::{
    House, Mood, Other, address, alias, ask, domain, everyone, ok, question, until, v4, zone,
};
use crate::{Setting, Upstream};

fn example(last: u8) -> Vec<freehold_names::Row> {
    vec![zone("example"), v4("a.example", [192, 0, 2, last]), v4("b.example", [192, 0, 2, last])]
}

fn of(others: &[&Other]) -> Setting {
    let servers = others.iter().map(|other| other.server()).collect();
    Setting { upstreams: vec![Upstream { servers, ..Upstream::default() }], ..Setting::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_hangs_another_is_asked_and_then_first() {
    let (first, second) = (Other::start(&example(1)).await, Other::start(&example(2)).await);
    first.feel(Mood::Hangs);
    let house = House::with(of(&[&first, &second])).await;
    let began = Instant::now();
    assert_eq!(address(house.plain, "a.example").await.pair(), ok([192, 0, 2, 2]));
    assert!(began.elapsed() < Duration::from_secs(3), "nobody waits for who hangs");
    let (asked, began) = (first.count(), Instant::now());
    assert_eq!(address(house.plain, "b.example").await.pair(), ok([192, 0, 2, 2]));
    assert!(
        began.elapsed() < Duration::from_millis(350),
        "who hung is not asked first: {:?}",
        began.elapsed()
    );
    assert_eq!(first.count(), asked);
    let states = house.handle.servers();
    assert!(states[0][0].problem.is_some() && states[0][1].problem.is_none());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_or_lies_is_not_believed() {
    for mood in [Mood::Fails, Mood::Lies] {
        let (first, second) = (Other::start(&example(1)).await, Other::start(&example(2)).await);
        first.feel(mood);
        let house = House::with(of(&[&first, &second])).await;
        assert_eq!(address(house.plain, "a.example").await.pair(), ok([192, 0, 2, 2]), "{mood:?}");
        house.end().await;
    }
    let only = Other::start(&example(1)).await;
    only.feel(Mood::Forged);
    let house = House::with(of(&[&only])).await;
    assert_eq!(
        address(house.plain, "a.example").await.pair(),
        ok([192, 0, 2, 1]),
        "the forged one came first"
    );
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_is_asked_for_over_tcp() {
    let other = Other::start(&example(1)).await;
    other.feel(Mood::Cuts);
    let house = House::with(of(&[&other])).await;
    assert_eq!(address(house.plain, "a.example").await.pair(), ok([192, 0, 2, 1]));
    assert_eq!(address(house.plain, "b.example").await.pair(), ok([192, 0, 2, 1]), "on the same connection");
    assert_eq!(other.count(), 4);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_the_same_at_once_makes_one_question() {
    let other = Other::start(&example(1)).await;
    let house = House::with(of(&[&other])).await;
    let all = (0..40).map(|_| address(house.plain, "a.example"));
    for said in futures::future::join_all(all).await {
        assert_eq!(said.pair(), ok([192, 0, 2, 1]));
    }
    // On a busy machine a datagram may be sent again.
    assert!(other.count() < 4, "asked {} times", other.count());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_and_known_for_seconds() {
    let other = Other::start(&example(1)).await;
    other.feel(Mood::Fails);
    let house = House::with(of(&[&other])).await;
    for _ in 0..3 {
        let said = address(house.plain, "a.example").await;
        assert_eq!((said.code, said.why), (Rcode::FAILED, Some(Why::Unreachable as u16)));
    }
    assert_eq!(other.count(), 1, "and not asked again at once");
    house.handle.change(Setting::default()).await.unwrap();
    assert_eq!(address(house.plain, "a.example").await.code, Rcode::FAILED, "there is nobody to ask");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_time_is_over_is_better_than_none() {
    let rows = vec![
        zone("example"),
        freehold_names::Row::Record {
            name: domain("a.example"),
            ttl: 1,
            data: freehold_names::Data::V4([192, 0, 2, 1].into()),
        },
    ];
    let other = Other::start(&rows).await;
    let house = House::with(of(&[&other])).await;
    assert_eq!(address(house.plain, "a.example").await.why, None);
    other.feel(Mood::Hangs);
    until("it is over", async || address(house.plain, "a.example").await.why == Some(Why::Stale as u16))
        .await;
    let said = address(house.plain, "a.example").await;
    assert_eq!((said.pair(), said.why), (ok([192, 0, 2, 1]), Some(Why::Stale as u16)));
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_groups_have_servers_of_their_own() {
    let (all, firm) =
        (Other::start(&example(1)).await, Other::start(&[zone("corp"), v4("a.corp", [10, 9, 9, 9])]).await);
    let third = Other::start(&example(3)).await;
    let mut setting = Setting {
        upstreams: vec![all.upstream(), Upstream { inside: true, ..firm.upstream() }, third.upstream()],
        forwards: vec![(domain("corp"), 1)],
        ..Setting::default()
    };
    let house = House::with(setting.clone()).await;
    assert_eq!(address(house.plain, "a.corp").await.pair(), ok([10, 9, 9, 9]));
    assert_eq!(address(house.plain, "a.example").await.pair(), ok([192, 0, 2, 1]));
    assert_eq!((all.count(), firm.count()), (1, 1), "each was asked for its own names alone");
    setting.groups = vec![freehold_names::Group { upstream: 2, ..everyone() }];
    house.handle.change(setting.clone()).await.unwrap();
    assert_eq!(
        address(house.plain, "a.example").await.pair(),
        ok([192, 0, 2, 3]),
        "not what others told others"
    );
    setting.upstreams[2] = all.upstream();
    house.handle.change(setting).await.unwrap();
    assert_eq!(
        address(house.plain, "a.example").await.pair(),
        ok([192, 0, 2, 1]),
        "nor what was known before"
    );
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_answers_by_its_strict_name() {
    let other = Other::start(&[
        zone("com"),
        v4("forcesafesearch.google.com", [192, 0, 2, 9]),
        v4("www.google.com", [192, 0, 2, 1]),
        alias("strict.bing.com", "x.com"),
    ])
    .await;
    let mut setting = of(&[&other]);
    setting.groups =
        vec![freehold_names::Group { safe: freehold_names::safe::Engines::GOOGLE, ..everyone() }];
    let house = House::with(setting).await;
    assert_eq!(address(house.plain, "www.google.com").await.pair(), ok([192, 0, 2, 9]));
    let other_kind = ask(house.plain, &question("www.google.com", kind::HTTPS, None)).await;
    assert_eq!(other_kind.code, Rcode::GOOD);
    assert_eq!(other.count(), 1, "nothing but the address of the strict name is asked for");
    house.end().await;
}

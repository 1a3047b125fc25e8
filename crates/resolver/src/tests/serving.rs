//! Who is answered what.

use std::net::Ipv4Addr;
use std::sync::Arc;

use freehold_names::tally::Counts;
use freehold_names::{Group, Member, Rcode, Shape, Why, kind};
use tokio::net::{TcpStream, UdpSocket};

use super::house::{
    House, LONG, Other, Said, address, alias, ask, ask_raw, ask_tcp, at, domain, everyone, ok, question,
    read_tcp, v4, zone,
};
use crate::{Listen, Roots, Setting, Speaks, Statistics, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn own_names_are_answered_here_and_go_nowhere() {
    let other = Other::start(&[zone("example"), v4("a.example", [192, 0, 2, 1])]).await;
    let rows = vec![
        zone("home.internal"),
        v4("nas.home.internal", [10, 0, 0, 2]),
        alias("www.home.internal", "a.example"),
    ];
    let house = House::with(Setting { rows, upstreams: vec![other.upstream()], ..Setting::default() }).await;
    assert_eq!(address(house.plain, "nas.home.internal").await.pair(), ok([10, 0, 0, 2]));
    assert_eq!(address(house.plain, "no.home.internal").await.code, Rcode::NO_NAME);
    assert_eq!(other.count(), 0);
    assert_eq!(
        address(house.plain, "www.home.internal").await.pair(),
        ok([192, 0, 2, 1]),
        "an alias outside"
    );
    assert_eq!(address(house.plain, "a.example").await.pair(), ok([192, 0, 2, 1]));
    assert_eq!(other.count(), 1, "known from the alias");
    assert_eq!(address(house.plain, "no.example").await.code, Rcode::NO_NAME);
    let counts = house.handle.counts(None);
    assert_eq!(counts, [(0, Counts { local: 3, cached: 1, asked: 1, ..Counts::default() })]);
    assert!(house.handle.frequent(false, 9).is_empty(), "nobody said that names are to be kept");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_to_be_served_is_refused_in_no_more_bytes_than_it_sent() {
    let other = Other::start(&[zone("example"), v4("a.example", [192, 0, 2, 1])]).await;
    let house = House::with(Setting { upstreams: vec![other.upstream()], ..Setting::default() }).await;
    assert_eq!(address(house.plain, "a.example").await.pair(), ok([192, 0, 2, 1]));
    let stranger = UdpSocket::bind("127.0.0.9:0").await.unwrap();
    let mut room = vec![0; 4096];
    for name in ["a.example", "b.example"] {
        let packet = question(name, kind::A, None);
        stranger.send_to(&packet, house.plain).await.unwrap();
        let len = tokio::time::timeout(LONG, stranger.recv(&mut room)).await.unwrap().unwrap();
        assert_eq!(Said::of(&room[..len]).code, Rcode::REFUSED);
        assert!(len <= packet.len());
    }
    assert_eq!(other.count(), 1);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_question_for_others_is_not_given_to_them() {
    let other = Other::start(&[zone("example")]).await;
    let house = House::with(Setting { upstreams: vec![other.upstream()], ..Setting::default() }).await;
    let mut chaos = question("version.bind", 16, None);
    *chaos.last_mut().unwrap() = 3;
    let mut unwanted = question("a.example", kind::A, None);
    unwanted[2] = 0;
    for packet in [chaos, unwanted, question("example", 252, None), question("example", 251, None)] {
        assert_eq!(ask(house.plain, &packet).await.code, Rcode::REFUSED);
    }
    let mut update = question("example", 6, None);
    update[2] = 0x28;
    let said = ask_raw(house.plain, &update).await;
    assert_eq!(said[3] & 0xf, 4, "not implemented");
    assert_eq!(other.count(), 0);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_cut_and_whole_over_tcp() {
    let rows: Vec<_> = std::iter::once(zone("big.internal"))
        .chain((0..120).map(|n| v4("a.big.internal", [10, 0, 0, n])))
        .collect();
    let house = House::with(Setting { rows, ..Setting::default() }).await;
    for (size, most) in [(None, 512), (Some(600), 600), (Some(4096), 1232)] {
        let said = ask(house.plain, &question("a.big.internal", kind::A, size)).await;
        assert!(said.cut && said.addresses.is_empty() && said.len <= most, "{said:?}");
    }
    let mut stream = TcpStream::connect(house.plain).await.unwrap();
    ask_tcp(&mut stream, &question("a.big.internal", kind::A, None)).await;
    assert_eq!(Said::of(&read_tcp(&mut stream).await).addresses.len(), 120);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_connection_a_quick_answer_does_not_wait_for_a_slow_one() {
    let slow = Other::start(&[zone("slow")]).await;
    slow.feel(super::house::Mood::Hangs);
    let rows = vec![zone("home.internal"), v4("nas.home.internal", [10, 0, 0, 2])];
    let house = House::with(Setting { rows, upstreams: vec![slow.upstream()], ..Setting::default() }).await;
    let mut stream = TcpStream::connect(house.plain).await.unwrap();
    let mut first = question("a.slow", kind::A, None);
    first[1] = 1;
    ask_tcp(&mut stream, &first).await;
    let mut second = question("nas.home.internal", kind::A, None);
    second[1] = 2;
    ask_tcp(&mut stream, &second).await;
    let answer = read_tcp(&mut stream).await;
    assert_eq!((answer[1], Said::of(&answer).pair()), (2, ok([10, 0, 0, 2])));
    let answer = read_tcp(&mut stream).await;
    assert_eq!((answer[1], Said::of(&answer).code), (1, Rcode::FAILED));
    // What is no question ends the connection.
    ask_tcp(&mut stream, &[0; 5]).await;
    let closed = tokio::time::timeout(LONG, tokio::io::AsyncReadExt::read_u16(&mut stream)).await.unwrap();
    assert!(closed.is_err());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_is_by_who_asks_and_changes_whole() {
    let other = Other::start(&[
        zone("example"),
        v4("ads.example", [192, 0, 2, 1]),
        alias("hidden.example", "ads.example"),
        v4("ok.example", [192, 0, 2, 2]),
    ])
    .await;
    let child = Group {
        members: vec![Member::Network(Ipv4Addr::new(127, 0, 0, 5).into(), 32)],
        block: vec![(Shape::Under, domain("ads.example"))],
        ..Group::default()
    };
    let mut setting = Setting {
        groups: vec![child, everyone()],
        upstreams: vec![other.upstream()],
        statistics: Statistics::Names,
        ..Setting::default()
    };
    let house = House::with(setting.clone()).await;
    let from = async |source: &str, name: &str| {
        let socket = UdpSocket::bind((source, 0)).await.unwrap();
        socket.send_to(&question(name, kind::A, Some(1232)), house.plain).await.unwrap();
        let mut room = vec![0; 4096];
        let len = tokio::time::timeout(LONG, socket.recv(&mut room)).await.unwrap().unwrap();
        Said::of(&room[..len])
    };
    assert_eq!(from("127.0.0.1", "ads.example").await.pair(), ok([192, 0, 2, 1]));
    let blocked = from("127.0.0.5", "ads.example").await;
    assert_eq!((blocked.pair(), blocked.why), (ok([0, 0, 0, 0]), Some(Why::Filtered as u16)));
    assert_eq!(from("127.0.0.5", "hidden.example").await.pair(), ok([0, 0, 0, 0]), "behind another name");
    assert_eq!(from("127.0.0.1", "hidden.example").await.pair(), ok([192, 0, 2, 1]));
    assert_eq!(from("127.0.0.5", "ok.example").await.pair(), ok([192, 0, 2, 2]));
    assert_eq!(house.handle.counts(Some(0)).first().unwrap().1.blocked, 2);
    assert_eq!(house.handle.frequent(true, 1), [(domain("ads.example"), 1)]);

    let (before, now) = (other.count(), *house.now.lock().unwrap());
    setting.groups[0].paused_until = Some(now.plus(freehold_wire::Millis(60_000)));
    setting.statistics = Statistics::Numbers;
    house.handle.change(setting).await.unwrap();
    assert_eq!(from("127.0.0.5", "ads.example").await.pair(), ok([192, 0, 2, 1]), "paused");
    assert_eq!(other.count(), before, "others need not be asked again");
    assert!(house.handle.frequent(true, 9).is_empty(), "names are forgotten at once");
    *house.now.lock().unwrap() = now.plus(freehold_wire::Millis(60_000));
    assert_eq!(from("127.0.0.5", "ads.example").await.pair(), ok([0, 0, 0, 0]), "over");
    house.end().await;
}

/// A website's name that leads to a machine of the house would have browsers speak to it as that website.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_the_internet_do_not_lead_into_the_house() {
    let rows = [zone("example"), v4("evil.example", [192, 168, 1, 1]), v4("ok.example", [192, 0, 2, 1])];
    let other = Other::start(&rows).await;
    let upstreams = vec![other.upstream()];
    let house = House::with(Setting { upstreams, groups: vec![everyone()], ..Setting::default() }).await;
    for _ in 0..2 {
        let held = address(house.plain, "evil.example").await;
        assert_eq!((held.pair(), held.why), (ok([0, 0, 0, 0]), Some(Why::Filtered as u16)));
        assert_eq!(address(house.plain, "ok.example").await.pair(), ok([192, 0, 2, 1]));
    }

    // Somebody says that this one is meant so.
    let allowing = Group { allow: vec![(Shape::Under, domain("evil.example"))], ..everyone() };
    let setting = |groups, upstream| Setting { groups, upstreams: vec![upstream], ..Setting::default() };
    house.handle.change(setting(vec![allowing], other.upstream())).await.unwrap();
    assert_eq!(address(house.plain, "evil.example").await.pair(), ok([192, 168, 1, 1]));
    // Or that these servers know the house.
    let inside = Upstream { inside: true, ..other.upstream() };
    house.handle.change(setting(Vec::new(), inside)).await.unwrap();
    assert_eq!(address(house.plain, "evil.example").await.pair(), ok([192, 168, 1, 1]));
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_comes_and_goes_while_others_are_served() {
    let rows = vec![zone("home.internal"), v4("nas.home.internal", [10, 0, 0, 2])];
    let house = House::with(Setting { rows, ..Setting::default() }).await;
    let listen = Listen { device: Some("lo".to_owned()), ..Listen::at(at("127.0.0.3:0"), Speaks::Plain) };
    let more = house.handle.serve(&listen).await.unwrap();
    assert!(house.handle.bound().contains(&more));
    assert_eq!(address(more.address, "nas.home.internal").await.pair(), ok([10, 0, 0, 2]));
    let elsewhere = Listen { device: Some("not-there0".to_owned()), ..listen.clone() };
    let refused = house.handle.serve(&elsewhere).await.unwrap_err();
    assert!(matches!(&refused, crate::StartError::Listen { .. }), "{refused}");
    house.handle.leave(&listen);
    assert!(!house.handle.bound().contains(&more));
    super::house::until("it is given up", async || TcpStream::connect(more.address).await.is_err()).await;
    assert_eq!(address(house.plain, "nas.home.internal").await.pair(), ok([10, 0, 0, 2]));
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_one_of_many_addresses_is_answered_by_that_one() {
    let rows = vec![zone("home.internal"), v4("nas.home.internal", [10, 0, 0, 2])];
    let listen = ["0.0.0.0:0", "[::]:0"].map(|text| Listen::at(at(text), Speaks::Plain));
    let (setting, folder) = (Setting { rows, ..Setting::default() }, Arc::new(tempfile::tempdir().unwrap()));
    let house = House::listening(setting, folder, listen.into(), None, Roots::default()).await;
    let ports: Vec<u16> = house.handle.bound().iter().map(|bound| bound.address.port()).collect();
    for (from, to, port) in [
        ("127.0.0.1", "127.0.0.77", ports[0]),
        ("127.0.0.5", "127.0.0.1", ports[0]),
        ("::1", "::1", ports[1]),
    ] {
        let socket = UdpSocket::bind((from, 0)).await.unwrap();
        // A connected socket hears nobody else.
        socket.connect((to, port)).await.unwrap();
        for _ in 0..3 {
            socket.send(&question("nas.home.internal", kind::A, None)).await.unwrap();
            let mut room = vec![0; 512];
            let len = tokio::time::timeout(LONG, socket.recv(&mut room)).await.unwrap().unwrap();
            assert_eq!(Said::of(&room[..len]).pair(), ok([10, 0, 0, 2]), "{to}");
        }
    }
    house.end().await;
}

/// Settings are swapped while everybody asks: each question has one answer, of one setting or the other.
#[tokio::test(flavor = "multi_thread")]
async fn no_question_is_lost_while_settings_change() {
    let with = |last: u8| Setting {
        rows: vec![zone("home.internal"), v4("nas.home.internal", [10, 0, 0, last])],
        ..Setting::default()
    };
    let house = House::with(with(1)).await;
    let plain = house.plain;
    let asking = async {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..300 {
            let said = address(plain, "nas.home.internal").await;
            assert_eq!(said.code, Rcode::GOOD);
            seen.insert(said.addresses);
        }
        seen
    };
    let changing = async {
        for turn in 0..60u8 {
            house.handle.change(with(1 + turn % 2)).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (seen, ()) = tokio::join!(asking, changing);
    assert!(seen.iter().all(|addresses| addresses.len() == 1), "{seen:?}");
    house.end().await;
}

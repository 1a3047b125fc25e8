use super::*;

const WEB: [Ports; 1] = [Ports::one(Proto::Tcp, 8080)];

fn why(wish: &Publishing, ports: &[Ports]) -> String {
    published(None, wish, ports).map(|_| ()).unwrap_err().why
}

fn strings<const N: usize>(all: [&str; N]) -> Vec<String> {
    all.map(str::to_owned).into()
}

#[test]
fn what_is_not_said_stays() {
    let wish = Publishing {
        hosts: Some(strings(["Wiki.Example.org", "wiki.example.org"])),
        rate: Some(50),
        body_max: Some(1 << 30),
        answers: Some(strings(["X-Frame-Options: DENY", "Server"])),
        sign_on: Some("http://127.0.0.1:9091/".to_owned()),
        ..Publishing::default()
    };
    let first = published(None, &wish, &WEB).unwrap();
    assert_eq!(first.hosts.iter().map(Text::as_str).collect::<Vec<_>>(), ["wiki.example.org"]);
    assert_eq!(
        (first.port, first.rate, first.copied.len(), first.answers.len()),
        (8080, Some((50, 200)), 4, 2)
    );
    assert_eq!(published(Some(&first), &Publishing::default(), &[]).unwrap(), first);
    let less = Publishing { rate: Some(0), sign_on: Some(String::new()), ..Publishing::default() };
    let second = published(Some(&first), &less, &[Ports::one(Proto::Tcp, 80), Ports::one(Proto::Tcp, 443)]);
    let second = second.unwrap();
    assert_eq!(
        (second.rate, second.sign_on, second.port),
        (None, None, 8080),
        "the door's ports are not its own"
    );
    assert_eq!(second.hosts, first.hosts);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let usual = Publishing::default();
    assert!(why(&usual, &[Ports::one(Proto::Udp, 53)]).contains("speaks TCP"));
    assert!(why(&usual, &[WEB[0], Ports::one(Proto::Tcp, 9000)]).contains("one port"));
    assert!(why(&usual, &[]).contains("its program listens"));
    assert_eq!(published(None, &usual, &[Ports::one(Proto::Tcp, 80)]).unwrap().port, 80);
    for host in ["localhost", "192.0.2.1", "a b.example", "x.*.example.org", ""] {
        let wish = Publishing { hosts: Some(strings([host])), ..Publishing::default() };
        assert!(published(None, &wish, &WEB).is_err(), "{host:?}");
    }
    for header in ["", "X Y: 1", "X-Y: \u{1}"] {
        let wish = Publishing { answers: Some(strings([header])), ..Publishing::default() };
        assert!(published(None, &wish, &WEB).is_err(), "{header:?}");
    }
}

#[test]
fn a_sign_on_is_the_same_one_for_every_machine_that_asks() {
    let machine = |id| NodeId::from_bytes([id; 32]);
    let refused = |url: &str, ends, homes: &[NodeId], gateways: &[NodeId]| {
        let wish = Publishing { sign_on: Some(url.to_owned()), ends: Some(ends), ..Publishing::default() };
        let set = ServiceSet {
            service: freehold_wire::ServiceId::from_bytes([1; 32]),
            homes: Bounded::from_vec(homes.to_vec()).unwrap(),
            ports: Bounded::new(),
            preset: freehold_realm::body::Preset::Realm,
            grants: Bounded::new(),
            gateways: Bounded::from_vec(gateways.to_vec()).unwrap(),
            sign_on: true,
        };
        check(&published(None, &wish, &WEB).unwrap(), &set).err().map(|problem| problem.why)
    };
    let (one, both) = ([machine(1)], [machine(1), machine(2)]);
    let (here, there) = ("http://127.0.0.1:9091/verify", "http://auth.smith.internal/verify");
    assert_eq!(refused(here, TlsEnds::Gateway, &one, &one), None);
    assert!(refused(here, TlsEnds::Gateway, &both, &one).unwrap().contains("another program"));
    assert_eq!(refused(there, TlsEnds::Gateway, &both, &one), None);
    // The gateway passes on, and asks nobody.
    assert_eq!(refused(here, TlsEnds::Home, &one, &both[1..]), None);
    // Past the sign-on.
    assert!(refused(there, TlsEnds::Gateway, &one, &both[1..]).unwrap().contains("past the"));
}

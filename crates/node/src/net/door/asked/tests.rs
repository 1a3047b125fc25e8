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

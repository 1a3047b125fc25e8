//! Zones whose signatures are right, wrong, old, gone, or never were, as a second implementation makes
//! them (`signed.py`).

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use freehold_resolver::{Setting, Upstream};

use crate::house::House;

struct Signed {
    server: Child,
    upstream: Upstream,
}

impl Signed {
    fn start() -> anyhow::Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/signed.py");
        let mut command = Command::new(freehold_harness::python("python")?);
        let mut server = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(server.stdout.take().expect("piped")).lines();
        let mut line = || said.next().unwrap_or(Ok(String::new()));
        let (port, anchor) = (line()?, line()?);
        let servers = vec![format!("127.0.0.1:{port}").parse()?];
        Ok(Self {
            server,
            upstream: Upstream {
                servers,
                validate: true,
                anchors: Some(anchor + "\n"),
                ..Upstream::default()
            },
        })
    }
}

impl Drop for Signed {
    fn drop(&mut self) {
        // Its input ends, and it does.
        drop(self.server.stdin.take());
        drop(self.server.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_rightly_is_said_to_be_and_what_wrongly_is_not_given() -> anyhow::Result<()> {
    let signed = Signed::start()?;
    let setting = Setting { upstreams: vec![signed.upstream.clone()], ..Setting::default() };
    let house = House::start(setting.clone()).await?;
    let verified =
        |said: &str| said.lines().any(|line| line.starts_with(";; flags:") && line.contains(" ad"));

    for (asked, answer) in [
        ("a.good", "192.0.2.1"),
        ("www.good", "192.0.2.1"),
        ("x.wild.good", "192.0.2.7"),
        ("-t TXT deep.er.good", "hello"),
    ] {
        let said = house.dig(asked);
        assert!(said.contains("NOERROR") && said.contains(answer) && verified(&said), "{said}");
        assert!(!said.contains("RRSIG"), "nobody asked for signatures: {said}");
        let again = house.dig(asked);
        assert!(again.contains(answer) && verified(&again), "from the cache: {again}");
    }
    let chain = house.dig("+noall +answer www.good");
    assert!(
        chain.lines().next().is_some_and(|line| line.contains("CNAME")),
        "the alias comes first: {chain}"
    );
    for (asked, status) in [("no.good", "NXDOMAIN"), ("-t MX a.good", "NOERROR"), ("-t A er.good", "NOERROR")]
    {
        let said = house.dig(asked);
        assert!(said.contains(status) && said.contains("SOA") && verified(&said), "{said}");
    }
    let whole = house.dig("+dnssec a.good");
    assert!(whole.contains("RRSIG") && verified(&whole), "{whole}");
    let proof = house.dig("+dnssec no.good");
    assert!(proof.contains("NSEC") && verified(&proof), "{proof}");

    // A zone that has never been signed, as its parent proves.
    for asked in ["a.plain", "to.plain"] {
        let plain = house.dig(asked);
        assert!(plain.contains("NOERROR") && plain.contains("192.0.2.") && !verified(&plain), "{plain}");
    }
    assert!(house.dig("no.plain").contains("NXDOMAIN"));

    for asked in ["a.forged", "a.expired", "a.stripped", "no.stripped"] {
        let said = house.dig(asked);
        assert!(said.contains("SERVFAIL") && said.contains("EDE: 6 (DNSSEC Bogus)"), "{said}");
        assert!(!said.contains("ANSWER SECTION"), "{said}");
    }
    let checked_elsewhere = house.dig("+cdflag a.forged");
    assert!(
        checked_elsewhere.contains("203.0.113.66") && !verified(&checked_elsewhere),
        "{checked_elsewhere}"
    );

    // The option is one: without it what was forged is given, and nothing is said to be verified.
    let upstreams = vec![Upstream { validate: false, ..signed.upstream.clone() }];
    house.handle.change(Setting { upstreams, ..setting }).await?;
    let said = house.dig("a.forged");
    assert!(said.contains("203.0.113.66") && !verified(&said), "{said}");
    assert!(!verified(&house.dig("a.good")));
    assert!(house.handle.shutdown().await);
    Ok(())
}

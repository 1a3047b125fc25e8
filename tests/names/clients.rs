//! dig and kdig over UDP, TCP, TLS and HTTPS; curl where a browser would come by.

use std::process::Command;

use freehold_names::{Data, Domain, Group, Member, Row, Shape};
use freehold_resolver::{Setting, Speaks};

use crate::house::{House, NAME};

fn setting() -> anyhow::Result<Setting> {
    let apex: Domain = "home.internal".parse()?;
    let record =
        |name: &str, data| Ok::<_, anyhow::Error>(Row::Record { name: name.parse()?, ttl: 60, data });
    let mut rows = vec![
        Row::Zone { apex: apex.clone(), server: apex, serial: 1 },
        record("nas.home.internal", Data::V4([10, 0, 0, 2].into()))?,
        record("nas.home.internal", Data::V6("fd00::2".parse()?))?,
        record("www.home.internal", Data::Alias("nas.home.internal".parse()?))?,
        record("1.0.0.10.in-addr.arpa", Data::Pointer("nas.home.internal".parse()?))?,
    ];
    for number in 0..120 {
        rows.push(record("big.home.internal", Data::V4([10, 0, 1, number].into()))?);
    }
    let block = vec![(Shape::Under, "ads.example".parse()?)];
    let groups = vec![Group { members: vec![Member::Everyone], block, ..Group::default() }];
    Ok(Setting { rows, groups, ..Setting::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_and_kdig_are_answered_over_everything() -> anyhow::Result<()> {
    let house = House::start(setting()?).await?;
    let (plain, tls, https) = (house.port(Speaks::Plain), house.port(Speaks::Tls), house.port(Speaks::Https));
    assert_eq!(house.dig("+short www.home.internal"), "nas.home.internal.\n10.0.0.2\n");
    assert_eq!(house.dig("+short -t AAAA nas.home.internal"), "fd00::2\n");
    assert_eq!(house.dig("+short -x 10.0.0.1"), "nas.home.internal.\n");
    assert!(house.dig("no.home.internal").contains("status: NXDOMAIN"));
    let blocked = house.dig("x.ads.example");
    assert!(blocked.contains("0.0.0.0") && blocked.contains("EDE: 17 (Filtered)"), "{blocked}");
    assert_eq!(house.dig("+short +tcp +keepopen big.home.internal").lines().count(), 120);
    let cut = house.dig("big.home.internal");
    assert!(cut.contains("Truncated, retrying in TCP mode") && cut.contains("ANSWER: 120"), "{cut}");
    assert!(house.dig("+noedns nas.home.internal").contains("10.0.0.2"));
    assert!(house.dig("+ednsopt=100:aabb +cookie nas.home.internal").contains("10.0.0.2"));

    for (port, how) in [
        (plain, "+notcp"),
        (plain, "+tcp"),
        (tls, "+tls-ca=CA +tls-hostname=HOST"),
        (https, "+https +tls-ca=CA +tls-hostname=HOST"),
        (https, "+https-get +tls-ca=CA +tls-hostname=HOST"),
    ] {
        let said = house.ask("kdig", port, &format!("{} nas.home.internal", how.replace("HOST", NAME)));
        assert!(said.contains("NOERROR") && said.contains("10.0.0.2"), "{how}: {said}");
        assert_eq!(said.contains("TLS session"), how.contains("tls-ca"), "{how}: {said}");
        if how.contains("tls-ca") {
            assert!(said.contains("PADDING") || said.contains("468 B"), "padded: {said}");
        }
    }
    assert!(house.handle.shutdown().await);
    Ok(())
}

/// What curl is told: the status, and how long it may keep the answer.
fn curl(house: &House, arguments: &[&str], path: &str) -> String {
    let port = house.port(Speaks::Https);
    let mut command = Command::new("curl");
    command.args(["--silent", "--output", "/dev/null", "--cacert", &house.ca()]);
    command.args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")]);
    command.args(["--write-out", "%{http_code} %{http_version} %{content_type} %header{cache-control}"]);
    let ended = command.args(arguments).arg(format!("https://{NAME}:{port}{path}")).output().expect("curl");
    String::from_utf8_lossy(&ended.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_question_over_https_is_told_so() -> anyhow::Result<()> {
    let house = House::start(setting()?).await?;
    // `nas.home.internal`, type A, as RFC 8484 writes it.
    let question = "/dns-query?dns=AAABAAABAAAAAAAAA25hcwRob21lCGludGVybmFsAAABAAE";
    let told = "application/dns-message max-age=60";
    assert_eq!(curl(&house, &["--http2"], question), format!("200 2 {told}"));
    assert_eq!(curl(&house, &["--http1.1"], question), format!("200 1.1 {told}"));
    let refused = "text/plain; charset=utf-8";
    for (arguments, path, status) in [
        (&[][..], "/", "404"),
        (&[], "/dns-query", "400"),
        (&[], "/dns-query?dns=AAA", "400"),
        (&["--request", "DELETE"], question, "405"),
        (&["--data", "x=y"], "/dns-query", "415"),
        (&["--data", "xy", "--header", "content-type: application/dns-message"], "/dns-query", "400"),
    ] {
        assert_eq!(curl(&house, arguments, path), format!("{status} 2 {refused}"), "{path}");
    }
    let long = house.folder.path().join("long");
    freehold_disk::replace(&long, &[0; 9000], 0o600)?;
    let (body, form) = (format!("@{}", long.display()), "content-type: application/dns-message");
    let said = curl(&house, &["--data-binary", &body, "--header", form], "/dns-query");
    assert!(said.starts_with("413"), "{said}");
    assert!(house.handle.shutdown().await);
    Ok(())
}

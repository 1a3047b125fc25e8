//! The door: what runs on a machine is reached by HTTPS, inside by its name in the realm, outside by names of the
//! internet, as far as the log lets whoever comes.

mod around;
mod lent;
mod outside;
mod world;
mod zone;

use std::net::IpAddr;

use anyhow::{Result, ensure};
use freehold_api::NetService;
use freehold_harness::{Node, Story, eventually, story, until};

use crate::around::{Client, INSIDE, address, authority, certified, curl, house, service, shown};

fn at(service: &NetService) -> Result<IpAddr> {
    Ok(service.address.parse()?)
}

/// What a browser shows of a page.
fn browse(story: &Story, node: &Node<'_>, host: &str, at: IpAddr) -> Result<String> {
    let host_folder = node.host();
    let pin = host_folder.run(
        "sh",
        &[
            "-c",
            &format!(
                "openssl s_client -connect '[{at}]:443' -servername {host} </dev/null 2>/dev/null | \
                 openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64"
            ),
        ],
    )?;
    let pin = format!("--ignore-certificate-errors-spki-list={}", pin.good()?.out.trim());
    let profile = format!("--user-data-dir={}", story.folder().join("browser").display());
    let map = format!("--host-resolver-rules=MAP {host} [{at}]");
    let url = format!("https://{host}/");
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &pin,
        &profile,
        &map,
        "--dump-dom",
        &url,
    ];
    Ok(host_folder.run("chromium", &arguments)?.good()?.out)
}

#[test]
fn a_website_of_the_realm_is_reached_by_its_name_and_by_those_who_may() -> Result<()> {
    story("a_website_of_the_realm_is_reached", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        let _website = house(&mut one, &mut other, &mut laptop, &[])?;
        one.cli(&["net", "service", "add", "wiki", "--node", "bob", "--port", "tcp/8080", "--web"])?
            .good()?;
        let ca = authority(&one)?;
        certified(&other, "wiki", INSIDE)?;
        let at = at(&service(&one, "wiki")?)?;
        let pad = IpAddr::V6(address(&one, "pad")?);
        let ask = |arguments: &[&str], path: &str| curl(&carol, (INSIDE, at), &ca, arguments, path);
        until(30, "the laptop reaches it", || ask(&[], "/")?.is_for("wiki", pad))?;
        let form = ask(&["--http2", "-d", "twelve bytes"], "/")?;
        ensure!(form.text.contains("wiki took 12"), "{form:?}");

        // Without TLS it is led there; the program's own port is open to nobody.
        let plain =
            ask(&["-o", "/dev/null", "-w", "\n%{redirect_url} %{http_code}"], &format!("http://{INSIDE}/x"))?;
        ensure!(plain.answer.out.contains(&format!("https://{INSIDE}/x 308")), "{plain:?}");
        let direct = carol.run("curl", &["-gsS", "-m", "2", &format!("http://[{at}]:8080/")])?;
        ensure!(direct.code != Some(0), "{direct:?}");
        // Nobody else's name is answered, and the authority certifies none.
        ensure!(curl(&carol, ("other.example", at), &ca, &[], "/")?.status == 0, "a name that is not there");
        let page = browse(story, &laptop, INSIDE, at)?;
        ensure!(page.contains("user-agent: Mozilla/5.0"), "{page}");
        eventually(30, "the answers are counted", || {
            Ok(shown(&other, "wiki")?.counted.is_some_and(|counted| counted.answers >= 3))
        })?;
        let metrics = other.cli(&["metrics"])?.good()?.out;
        ensure!(metrics.contains("freehold_door_answers{service="), "{metrics}");

        limits(&one, &ask)?;
        cut_off(&one, &carol, (&ca.to_string_lossy(), &at.to_string()))?;
        ensure!(ask(&[], "/")?.status == 0, "a suspended laptop reaches nothing");
        one.cli(&["node", "lift", "pad"])?.good()?;
        until(60, "it is reached again", || ask(&[], "/")?.is_for("wiki", pad))?;
        one.cli(&["net", "service", "end", "wiki"])?.good()?;
        eventually(30, "what has ended is not there", || Ok(ask(&[], "/")?.status == 0))
    })
}

/// A change counts at once, without anything being started again.
fn limits(one: &Node<'_>, ask: &dyn Fn(&[&str], &str) -> Result<around::Seen>) -> Result<()> {
    let set = |arguments: &[&str]| one.cli(&[&["net", "service", "set", "wiki"], arguments].concat())?.good();
    set(&["--limit-body", "10B", "--answer-header", "X-Frame-Options: DENY"])?;
    until(20, "large bodies are refused", || {
        let seen = ask(&["-d", "twelve bytes"], "/")?;
        ensure!(seen.status == 413, "{seen:?}");
        Ok(())
    })?;
    ensure!(ask(&["-D", "-"], "/")?.text.to_lowercase().contains("x-frame-options: deny"));
    // The sign-on is another page of the same machine.
    set(&["--limit-body", "none", "--sign-on", "http://127.0.0.1:8080/verify"])?;
    until(20, "nobody gets in without signing on", || {
        let seen = ask(&["-H", "Remote-User: root"], "/")?;
        ensure!(seen.status == 401, "{seen:?}");
        Ok(())
    })?;
    let seen = ask(&["-H", "Cookie: word=open", "-H", "Remote-User: root"], "/")?;
    ensure!(seen.text.contains("remote-user: ada\n") && !seen.text.contains("root"), "{seen:?}");
    set(&["--sign-on", "none"])?;
    until(20, "everybody gets in again", || {
        let seen = ask(&[], "/")?;
        ensure!(seen.status == 200, "{seen:?}");
        Ok(())
    })
}

/// What is under way ends with the right to it.
fn cut_off(one: &Node<'_>, carol: &freehold_harness::Host, (ca, at): (&str, &str)) -> Result<()> {
    let mut socket = Client::start(carol, &["socket", ca, at, "443", INSIDE])?;
    ensure!(socket.line()?.as_deref() == Some("hi"), "the WebSocket answers");
    one.cli(&["--yes", "node", "suspend", "pad"])?.good()?;
    let begun = std::time::Instant::now();
    while let Some(line) = socket.line()? {
        if line == "cut" {
            break;
        }
        ensure!(begun.elapsed().as_secs() < 30, "it goes on");
    }
    Ok(())
}

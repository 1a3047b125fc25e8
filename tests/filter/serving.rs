//! How names are served: sealed, to whom, and where.

use anyhow::{Context, Result, ensure};
use freehold_harness::{eventually, story};
use std::io::Write as _;

use super::{answers, dig, house, in_net, own};

/// Phones and browsers ask over TLS and HTTPS.
#[test]
fn the_house_asks_over_tls_and_https_as_well() -> Result<()> {
    story("the_house_asks_over_tls_and_https", |story| {
        let (alice, carol, bob) = (story.host("alice")?, story.host("carol")?, story.host("bob")?);
        let (mut server, mut laptop) = (alice.node()?, carol.node()?);
        let at = alice.address().to_string();
        let (tls, https) = (format!("{at}:853"), format!("{at}:8443"));
        house(&mut server, &mut laptop, &["--dns-tls", &tls, "--dns-https", &https])?;
        let address = in_net(&server, "nas")?.address;
        let server_at = format!("@{at}");
        for how in [["+tls", "+short"], ["+https", "-p8443"], ["+tcp", "+short"]] {
            let asked =
                [&[server_at.as_str()], &how[..], &["+short", "-t", "AAAA", "nas.smith.internal"]].concat();
            eventually(30, &format!("{how:?}"), || {
                Ok(bob.run("kdig", &asked)?.good()?.out.trim() == address)
            })?;
        }
        // A certificate of ones own, with the name that phones want.
        server.stop()?;
        let (pem, key) = (alice.folder().join("dns.pem"), alice.folder().join("key.pem"));
        let (pem, key) = (pem.to_str().context("a path")?, key.to_str().context("a path")?);
        let make =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        let of = ["-subj", "/CN=dns.smith.example", "-addext", "subjectAltName=DNS:dns.smith.example"];
        alice.run("openssl", &[&make[..], &of, &["-keyout", key, "-out", pem]].concat())?.good()?;
        let both = std::fs::read(pem)?.into_iter().chain(std::fs::read(key)?).collect::<Vec<u8>>();
        let own = alice.folder().join("both.pem");
        std::fs::File::create(&own)?.write_all(&both)?;
        alice.run("chmod", &["600", own.to_str().context("a path")?])?.good()?;
        server.start(&["up", "--dns-tls", &tls, "--dns-certificate", own.to_str().context("a path")?])?;
        let (authority, name) = (format!("+tls-ca={pem}"), "+tls-hostname=dns.smith.example");
        let checked =
            [server_at.as_str(), "+tls", &authority, name, "+short", "-t", "AAAA", "nas.smith.internal"];
        eventually(30, "with that certificate", || {
            Ok(bob.run("kdig", &checked)?.good()?.out.trim() == address)
        })
    })
}

/// The address in the network answers who comes through the tunnel, and nobody who only stands beside the machine.
#[test]
fn the_address_in_the_network_is_asked_through_the_tunnel_alone() -> Result<()> {
    story("the_address_in_the_network_is_asked_through_the_tunnel", |story| {
        let (alice, carol, bob) = (story.host("alice")?, story.host("carol")?, story.host("bob")?);
        let (mut server, mut laptop) = (alice.node()?, carol.node()?);
        house(&mut server, &mut laptop, &[])?;
        let nas = in_net(&server, "nas")?.address;
        let at = format!("[{nas}]:53");
        let ask = |host: &freehold_harness::Host| {
            host.run(
                "dig",
                &[&format!("@{nas}"), "+short", "+tries=1", "+time=2", "AAAA", "nas.smith.internal"],
            )
        };
        eventually(40, "through the tunnel", || Ok(ask(&carol)?.good()?.out.trim() == nas))?;
        eventually(30, "by its own machine", || Ok(ask(&alice)?.good()?.out.trim() == nas))?;
        eventually(30, "it says so", || Ok(server.status()?.endpoints.names.contains(&at)))?;

        // A neighbour knows the address, and the machine's network card.
        let card = alice.run("cat", &["/sys/class/net/eth0/address"])?.good()?.out.trim().to_owned();
        for line in [
            "link set eth0 up",
            "-6 addr add fd99::9/64 dev eth0 nodad",
            &format!("-6 route add {nas}/128 dev eth0"),
            &format!("-6 neigh replace {nas} lladdr {card} dev eth0"),
        ] {
            bob.run("ip", &line.split(' ').collect::<Vec<_>>())?.good()?;
        }
        let back = ["-6", "route", "add", "fd99::/64", "dev", "eth0"];
        alice.run("ip", &back)?.good()?;
        ensure!(ask(&bob)?.good().is_err(), "a neighbour is answered past the tunnel's rules");
        Ok(())
    })
}

/// An address that is not there yet is no reason to stop a node, and is served once it is there.
#[test]
fn an_address_that_comes_later_is_served_then() -> Result<()> {
    story("an_address_that_comes_later_is_served_then", |story| {
        let alice = story.host("alice")?;
        let mut server = alice.node()?;
        let ready = server.up(&["--name", "smith", "--dns", "192.168.77.1:53", "--dns", "127.0.0.1:5300"])?;
        ensure!(ready.0.to_string().contains("192.168.77.1"), "{ready:?}");
        let plane = || -> Result<String> { Ok(format!("{:?}", server.status()?.planes)) };
        eventually(30, "it is told", || Ok(plane()?.contains("192.168.77.1")))?;
        let here = own(&server)?;
        server.cli(&["net", "filter", "record", "set", "printer.home", "192.168.7.9"])?.good()?;
        answers(&alice, &here, "printer.home", "192.168.7.9")?;
        alice.run("ip", &["addr", "add", "192.168.77.1/24", "dev", "eth0"])?.good()?;
        eventually(
            30,
            "it is served",
            || Ok(dig(&alice, "192.168.77.1:53", "printer.home")? == "192.168.7.9"),
        )
    })
}

//! Who is on the wire, has a phone of their own, or only garbage; and a gateway that is lost.

use std::process::Stdio;

use anyhow::{Result, ensure};
use freehold_harness::{Host, eventually, story, until};

use super::phone::Phone;
use super::{DOOR, Running, add, address_of, house, listed};

/// Passes datagrams on between whoever sends to it and the gateway, each three times; and once more from a socket
/// of its own, as somebody does who has recorded them.
const WIRE: &str = r#"
import select, socket, sys
here, there = int(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))
front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); front.bind(("0.0.0.0", here))
back, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
phone = None
while True:
    for ready in select.select([front, back], [], [])[0]:
        data, who = ready.recvfrom(65535)
        if ready is front:
            phone = who
            for _ in range(3): back.sendto(data, there)
            other.sendto(data, there)
        elif phone:
            for _ in range(3): front.sendto(data, phone)
"#;

/// Sends what is no packet, of all kinds and lengths.
const GARBAGE: &str = r#"
import os, socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(20000):
    head = bytes([number % 6, 0, 0, 0])
    length = (0, 28, 60, 88, 144, 144, 1396)[number % 7]
    out.sendto((head + os.urandom(length)) if length else b"", (sys.argv[1], int(sys.argv[2])))
"#;

fn python(host: &Host, program: &str, arguments: &[&str]) -> Result<Running> {
    let mut command = host.command("python3");
    command.args(["-c", program]).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running(command.spawn()?))
}

#[test]
fn nobody_is_another_phone_and_the_gateway_comes_back() -> Result<()> {
    story("nobody_is_another_phone", |story| {
        let (attic, vps, wire) = (story.host("attic")?, story.host("vps")?, story.host("wire")?);
        let (far, near) = (story.host("far")?, story.host("near")?);
        let (mut one, mut gateway) = (attic.node()?, vps.node()?);
        house(&mut one, &mut gateway)?;
        let (ann, eve) = (story.folder().join("ann.conf"), story.folder().join("eve.conf"));
        let told = add(&one, "ann's phone", &ann, &[])?;
        add(&one, "eve's phone", &eve, &[])?;
        let attic_at = address_of(&one, "attic")?;

        // Ann's packets pass somebody who repeats each of them.
        let config = std::fs::read_to_string(&ann)?;
        let door = format!("{}:{DOOR}", vps.address());
        ensure!(config.contains(&door), "{config}");
        let _wire = python(&wire, WIRE, &["7000", &vps.address().to_string(), &DOOR.to_string()])?;
        let phone = Phone::up(&far, &config.replace(&door, &format!("{}:7000", wire.address())))?;
        eventually(30, "ann's phone is in", || phone.pings(&attic_at))?;
        let mut twice = false;
        until(30, "all of twenty arrive", || {
            let pinged = far.run("ping", &["-c", "20", "-i", "0.05", "-W", "2", &attic_at])?.good()?.out;
            twice |= pinged.contains("DUP");
            ensure!(pinged.contains("20 received"), "{pinged}");
            Ok(())
        })?;
        ensure!(!twice, "what was repeated on the wire arrived twice");
        let service = ["net", "service", "add", "door", "--node", "attic", "--port", "udp/7"];
        one.cli(&service)?.good()?;

        // Eve's own phone is in, and is not believed to be Ann's, or the gateway.
        let evil = Phone::up(&near, &std::fs::read_to_string(&eve)?)?;
        eventually(30, "eve's phone is in", || evil.pings(&attic_at))?;
        for forged in [&told.address, &told.dns] {
            let at = format!("{forged}/128");
            near.run("ip", &["addr", "add", &at, "dev", evil.device(), "nodad"])?.good()?;
            let from = near.run("ping", &["-c", "3", "-i", "0.2", "-W", "1", "-I", forged, &attic_at])?;
            ensure!(from.code != Some(0) && from.out.contains(" 0 received"), "{}{}", from.out, from.err);
            near.run("ip", &["addr", "del", &at, "dev", evil.device()])?.good()?;
        }
        ensure!(!evil.pings(&told.address)?, "a phone reached another one");
        eventually(20, "eve's own packets arrive", || evil.pings(&attic_at))?;

        // Garbage does nothing to those who are in, nor do repeated packets move a phone.
        let mut garbage = python(&near, GARBAGE, &[&vps.address().to_string(), &DOOR.to_string()])?;
        // What fills the kernel's room for the socket is lost with it, and no more than that.
        eventually(30, "ann's phone is in all the while", || phone.pings(&attic_at))?;
        garbage.0.wait()?;
        until(30, "all of ten arrive", || {
            let pinged = far.run("ping", &["-c", "10", "-i", "0.05", "-W", "5", &attic_at])?.good()?.out;
            ensure!(pinged.contains("10 received"), "{pinged}");
            Ok(())
        })?;
        let seen = listed(&gateway, "ann's phone")?.seen.map(|seen| seen.from).unwrap_or_default();
        ensure!(
            seen.starts_with(&format!("{}:", wire.address())),
            "a repeated packet moved the phone to {seen}"
        );
        ensure!(!gateway.log()?.contains("panicked"));

        // The gateway loses its power.
        gateway.kill()?;
        ensure!(!phone.pings(&attic_at)?);
        let endpoint = format!("{}:{DOOR}", vps.address());
        gateway.up(&["--phone-listen", &format!("0.0.0.0:{DOOR}"), "--phone-endpoint", &endpoint])?;
        for phone in [&phone, &evil] {
            eventually(60, "the phones are in again", || phone.pings(&attic_at))?;
        }
        ensure!(listed(&gateway, "ann's phone")?.refused.is_none());
        Ok(())
    })
}

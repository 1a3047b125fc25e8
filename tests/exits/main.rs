//! Exits and networks behind machines, as real programs on real machines meet them.

mod behind;
mod street;

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use freehold_api::PlaneState;
use freehold_harness::{Host, Node, Translation, eventually, story, until};

use self::street::{
    PORT, Running, WORLD, WORLD6, answer, choose, gone, in_net, ip, left, online, seen, seen_as, v4, ways,
    world,
};

/// How soon a suspension cuts what is under way, once it is said.
const CUT_WITHIN: Duration = Duration::from_secs(2);

/// Refused, and by whom it is said why; not merely without an answer.
fn refused(host: &Host, at: &str) -> Result<()> {
    let url =
        if at.contains(':') { format!("http://[{at}]:{PORT}/") } else { format!("http://{at}:{PORT}/") };
    let told = host.run("curl", &["-sS", "-g", "-m", "20", &url])?;
    ensure!(told.code != Some(0), "{} reaches {at}", host.name());
    // As curl says that it could not connect; it says another thing when it has waited in vain.
    ensure!(told.code == Some(7), "nobody says that {at} is not reached: {told:?}");
    Ok(())
}

#[test]
fn a_laptop_goes_out_through_an_exit_and_nowhere_else() -> Result<()> {
    story("a_laptop_goes_out_through_an_exit", |story| {
        let (internet, _internet) = world(story)?;
        let (alice, house) = (story.host("alice")?, story.host("house")?);
        let router = story.router_that(Translation::PortRestricted)?;
        router.way_out(internet.address())?;
        let carol = story.host_behind(&router, "carol")?;
        let exit6 = online(&alice, &internet)?;
        let house6 = street::street6(&house)?;
        let (_house, _exit) = (answer(&house)?, answer(&alice)?);
        let own =
            until(20, "the laptop is online by itself", || seen(&carol, WORLD)?.context("nobody answers"))?;
        ensure!(own != alice.address().to_string(), "{own}");

        let (mut one, mut pad) = (alice.node()?, carol.node()?);
        one.up(&["--name", "The Smiths"])?;
        let me = one.status()?.this_node;
        one.cli(&["node", "rename", &me, "alice"])?.good()?;
        pad.join(&one.invite(&["--laptop", "--device"])?, "pad")?;
        until(30, "the laptop knows alice", || in_net(&pad, "alice"))?;

        // Nobody is an exit who does not say so, nor is anybody one's own.
        pad.cli(&["net", "use", "--exit", "alice"])?.refused(1, &["alice is no exit"])?;
        pad.cli(&["net", "use", "--exit", "pad"])?.refused(2, &["is this machine"])?;
        one.cli(&["net", "node", "alice", "--exit", "yes"])?.good()?;
        eventually(30, "the laptop hears of the exit", || Ok(in_net(&pad, "alice")?.exit))?;
        let before = left(&carol)?;
        choose(&pad, "--exit alice --dry-run")?;
        ensure!(left(&carol)? == before && seen(&carol, WORLD)?.as_ref() == Some(&own), "it was only asked");

        // IPv6 goes; IPv4 goes nowhere before there is an address for it, and that is said.
        let used = choose(&pad, "--exit alice")?;
        ensure!(
            used.exit.as_deref() == Some("alice")
                && used.notes.iter().any(|note| note.contains("--ipv4 auto"))
        );
        seen_as(&carol, WORLD6, &exit6)?;
        ensure!(seen(&carol, WORLD)?.is_none(), "IPv4 leaks");
        v4(&one, &pad, "pad")?;
        v4(&one, &one, "alice")?;
        seen_as(&carol, WORLD, &alice.address().to_string())?;
        until(30, "both say so", || {
            let (pad, one) = (ways(&pad)?, ways(&one)?);
            ensure!(pad.0 == PlaneState::Running && one.1.contains("an exit"), "{pad:?} {one:?}");
            Ok(())
        })?;
        let said = pad.cli(&["net", "status"])?.good()?.out;
        ensure!(said.contains("goes to the internet through alice"), "{said}");

        // Not into the exit's house, whichever addresses it has, nor to the exit by those.
        for at in [house.address().to_string(), house6, exit6.clone(), alice.address().to_string()] {
            refused(&carol, &at)?;
        }
        kept_from_others(&one, &carol, &house)?;
        cut_by_a_suspension(&one, &pad, &carol)?;
        nothing_leaks(&mut one, &mut pad, (&alice, &carol), &own)
    })
}

/// What the exit passes on is the laptop's alone, and nothing comes in by it.
fn kept_from_others(one: &Node<'_>, carol: &Host, house: &Host) -> Result<()> {
    let pad = in_net(one, "pad")?;
    let v4 = pad.ipv4.context("it has an address")?;
    // A neighbour of the exit's sends to the laptop, and through the exit to the internet.
    ip(house, &format!("route add {v4} via {}", one.host().address()))?;
    let _answers = answer(carol)?;
    ensure!(seen(house, &v4)?.is_none(), "a neighbour of the exit reaches the laptop");
    ip(house, &format!("route add {WORLD} via {}", one.host().address()))?;
    ensure!(seen(house, WORLD)?.is_none(), "the exit passes on for its neighbours");
    Ok(())
}

/// A transfer is under way through the exit; it ends with the right to it.
fn cut_by_a_suspension(one: &Node<'_>, pad: &Node<'_>, carol: &Host) -> Result<()> {
    let file = carol.folder().join("stream");
    let came = || std::fs::metadata(&file).map_or(0, |about| about.len());
    let mut curl = carol.command("curl");
    curl.args(["-sS", "-N", "-o"]).arg(&file).arg(format!("http://{WORLD}:{PORT}/stream"));
    let _curl = Running(curl.stderr(Stdio::null()).spawn()?);
    eventually(20, "it has begun", || Ok(came() > 4 << 20))?;
    one.cli(&["--yes", "node", "suspend", "pad"])?.good()?;
    let said = Instant::now();
    let (mut size, mut last) = (came(), said);
    // For longer than it may take, so that the last byte is known.
    eventually(15, "no more bytes come", || {
        if came() > size {
            (size, last) = (came(), Instant::now());
        }
        Ok(last.elapsed() > Duration::from_secs(3))
    })?;
    let took = last.duration_since(said);
    ensure!(took < CUT_WITHIN, "bytes came for {took:?} after the suspension");
    ensure!(seen(carol, WORLD)?.is_none(), "a suspended laptop goes out");
    one.cli(&["node", "lift", "pad"])?.good()?;
    seen_as(carol, WORLD, &one.host().address().to_string())?;
    until(30, "it is well again", || {
        let (state, said) = ways(pad)?;
        ensure!(state == PlaneState::Running, "{said}");
        Ok(())
    })
}

/// Whatever dies, nothing goes another way that was not chosen; and there is a way back.
fn nothing_leaks(
    one: &mut Node<'_>,
    pad: &mut Node<'_>,
    (alice, carol): (&Host, &Host),
    own: &str,
) -> Result<()> {
    one.kill()?;
    ensure!(seen(carol, WORLD)?.is_none(), "it leaks when the exit dies");
    until(60, "it is said", || {
        let (state, said) = ways(pad)?;
        ensure!(state == PlaneState::Degraded && said.contains("nothing goes to the internet"), "{said}");
        Ok(())
    })?;
    ensure!(seen(carol, WORLD)?.is_none(), "it leaks once it is said");
    pad.kill()?;
    ensure!(seen(carol, WORLD)?.is_none() && seen(carol, WORLD6)?.is_none(), "it leaks when the daemon dies");
    pad.resume()?;
    ensure!(seen(carol, WORLD)?.is_none(), "it leaks after a start");
    // Somebody may want it so.
    let used = choose(pad, "--leak yes")?;
    ensure!(used.leak && used.exit.is_some(), "{used:?}");
    seen_as(carol, WORLD, own)?;
    choose(pad, "--leak no")?;
    ensure!(seen(carol, WORLD)?.is_none(), "it was taken back");
    choose(pad, "--exit none")?;
    seen_as(carol, WORLD, own)?;
    pad.kill()?;
    ensure!(left(carol)?.is_empty(), "{:?}", left(carol)?);

    // The exit was killed while it passed packets on.
    one.resume()?;
    eventually(30, "it is an exit again", || Ok(ways(one)?.1.contains("an exit")))?;
    ensure!(left(alice)?.iter().any(|left| left.ends_with("forwarding")), "{:?}", left(alice)?);
    one.kill()?;
    one.start(&["up", "--no-tun"])?;
    gone(alice)?;
    one.stop()
}

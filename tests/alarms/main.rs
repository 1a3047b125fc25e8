//! Alarms are sent to where people look: when they begin and when they are over, once each, also to a place that was away for
//! a while, and by a node that was killed in between; and nowhere else.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use freehold_api::AlarmChannel;
use freehold_harness::{Host, Node, Posted, Webhook, story, until};

/// Twenty times what is seen on a machine that does nothing else.
const PATIENCE: u64 = 200;
/// What each message about the phrases has in it.
const PHRASES: &str = "guardian phrases";

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A node whose guardian phrases still lie on the machine, which is an alarm for as long as they do; and where they lie.
fn set_up(host: &Host) -> Result<(Node<'_>, Webhook<'_>, PathBuf)> {
    let mut node = host.node()?;
    node.up(&["--name", "smith"])?;
    let phrases = host.folder().join("guardians");
    ensure!(phrases.exists(), "{}", phrases.display());
    Ok((node, Webhook::start(host)?, phrases))
}

/// Messages with a line of this kind about the phrases.
fn about_phrases(hook: &Webhook<'_>, kind: &str) -> Result<Vec<Posted>> {
    let is_it = |line: &str| line.starts_with(kind) && line.contains(PHRASES);
    Ok(hook.posted()?.into_iter().filter(|posted| posted.text.lines().any(is_it)).collect())
}

fn comes(hook: &Webhook<'_>, kind: &str, times: usize) -> Result<Posted> {
    until(PATIENCE, &format!("{times} of {kind} about the phrases"), || {
        let mut came = about_phrases(hook, kind)?;
        ensure!(came.len() == times, "{:?}", hook.posted()?);
        came.pop().context("at least one")
    })
}

#[test]
fn an_alarm_is_sent_once_and_so_is_its_end() -> Result<()> {
    story("an_alarm_is_sent_once_and_so_is_its_end", |story| {
        let host = story.host("laptop")?;
        let (mut node, hook, phrases) = set_up(&host)?;
        node.cli(&["alarm", "add", "phone", "--webhook", "http://ntfy.example/t"])?
            .refused(2, &["without HTTPS"])?;
        let file = host.folder().join("topic");
        std::io::Write::write_all(&mut std::fs::File::create(&file)?, hook.address("smith").as_bytes())?;
        node.cli(&["alarm", "add", "phone", "--webhook-file", &text(&file)])?.good()?;
        node.cli(&["alarm", "test", "phone"])?.good()?;
        let posted = hook.posted()?;
        ensure!(posted.iter().any(|one| one.title.contains("a test") && one.path == "/smith"), "{posted:?}");
        let begun = comes(&hook, "ALARM", 1)?;
        ensure!(begun.priority == "high" && begun.text.contains("next: "), "{begun:?}");

        // Whoever kills the node: it is told no second time, and what ended meanwhile is told.
        node.kill()?;
        let elsewhere = host.folder().join("safe");
        std::fs::rename(&phrases, &elsewhere)?;
        node.resume()?;
        let over = comes(&hook, "OVER", 1)?;
        ensure!(over.priority == "default", "{over:?}");
        ensure!(about_phrases(&hook, "ALARM")?.len() == 1, "{:?}", hook.posted()?);

        // Told again when it begins again.
        std::fs::rename(&elsewhere, &phrases)?;
        comes(&hook, "ALARM", 2)?;
        node.cli(&["alarm", "remove", "phone"])?.good()?;
        let none: Vec<AlarmChannel> = node.ask(&["alarm", "list"])?;
        ensure!(none.is_empty(), "{none:?}");
        node.destroy()
    })
}

#[test]
fn a_place_that_is_away_is_an_alarm_and_hears_what_stands_once_it_is_back() -> Result<()> {
    story("a_place_that_is_away_is_an_alarm_and_hears_what_stands_once_it_is_back", |story| {
        let host = story.host("laptop")?;
        let (mut node, mut hook, _) = set_up(&host)?;
        hook.stop()?;
        node.cli(&["alarm", "add", "phone", "--webhook", &hook.address("smith")])?.good()?;
        let said = node.cli(&["alarm", "test", "phone"])?.failed(&["did not arrive"])?;
        ensure!(!said.err.contains("/smith"), "an address may be a secret: {}", said.err);
        node.alarmed(&["alarms do not arrive at phone", "freehold alarm test phone"])?;
        hook.resume()?;
        node.cli(&["alarm", "test", "phone"])?.good()?;
        until(10, "it is no alarm any more", || {
            let all: Vec<AlarmChannel> = node.ask(&["alarm", "list"])?;
            ensure!(all.iter().all(|channel| channel.failed == 0 && channel.why.is_none()), "{all:?}");
            Ok(())
        })?;
        comes(&hook, "ALARM", 1)?;

        let astray = hook.address("leads-to/another");
        node.cli(&["alarm", "add", "astray", "--webhook", &astray])?.good()?;
        node.cli(&["alarm", "test", "astray"])?.failed(&["leads elsewhere"])?;
        let posted = hook.posted()?;
        ensure!(posted.iter().all(|one| one.path != "/another"), "it was followed: {posted:?}");
        node.destroy()
    })
}

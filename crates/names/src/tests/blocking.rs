//! The set of blocked names against a plain one, and lists line by line.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{SEED, domain, small_name};
use crate::domain::suffixes;
use crate::lists::{Counts, Line, Reader, Rule, Syntax, Unfit};
use crate::{Blocked, Domain, Refused, Shape, Suffixes};

fn said(rule: Rule<'_>) -> String {
    let name = Domain::from_wire(rule.name).unwrap();
    let shape = if rule.shape == Shape::Under { "*." } else { "" };
    format!("{}{shape}{name}", if rule.except { "@" } else { "" })
}

fn line(syntax: Syntax, text: &str) -> (Line, String) {
    let mut rules = Vec::new();
    let line = syntax.line(text.as_bytes(), &mut |rule| rules.push(said(rule)));
    (line, rules.join(" "))
}

#[test]
fn lines_of_hosts_files() {
    for (text, what, rules) in [
        ("", Line::Empty, ""),
        ("# 0.0.0.0 a.b", Line::Empty, ""),
        ("0.0.0.0 Ads.Example.com", Line::Taken, "ads.example.com"),
        ("127.0.0.1\ta.example  b.example # both", Line::Taken, "a.example b.example"),
        (":: a.example", Line::Taken, "a.example"),
        ("127.0.0.1 localhost localhost.localdomain", Line::Empty, ""),
        ("255.255.255.255 broadcasthost", Line::Empty, ""),
        ("fe80::1%lo0 localhost", Line::Empty, ""),
        ("::1 ip6-localhost ip6-loopback", Line::Empty, ""),
        ("0.0.0.0 0.0.0.0", Line::Empty, ""),
        ("203.0.113.9 bank.example", Line::Skipped, ""),
        ("0.0.0.0 com", Line::Skipped, ""),
        ("0.0.0.0 a..b", Line::Skipped, ""),
        ("0.0.0.0 10.1.2.3", Line::Skipped, ""),
        ("0.0.0.0 b\u{fc}cher.example", Line::Skipped, ""),
        ("ads.example", Line::Skipped, ""),
        ("<html>", Line::Skipped, ""),
    ] {
        assert_eq!(line(Syntax::Hosts, text), (what, rules.to_owned()), "{text}");
    }
}

#[test]
fn lines_of_lists_of_names() {
    for (text, what, rules) in [
        ("ads.example.com", Line::Taken, "*.ads.example.com"),
        ("*.ads.example.com", Line::Taken, "*.ads.example.com"),
        (".ads.example.com # why", Line::Taken, "*.ads.example.com"),
        ("ads.example.com.\r", Line::Taken, "*.ads.example.com"),
        ("_x.ads-1.example", Line::Taken, "*._x.ads-1.example"),
        ("# ads.example", Line::Empty, ""),
        ("! ads.example", Line::Empty, ""),
        ("com", Line::Skipped, ""),
        ("*", Line::Skipped, ""),
        ("ads.example/path", Line::Skipped, ""),
        ("two words.example", Line::Skipped, ""),
        ("192.0.2.1", Line::Skipped, ""),
    ] {
        assert_eq!(line(Syntax::Domains, text), (what, rules.to_owned()), "{text}");
    }
}

#[test]
fn lines_of_ad_blockers() {
    for (text, what, rules) in [
        ("[Adblock Plus 2.0]", Line::Empty, ""),
        ("! Title: x", Line::Empty, ""),
        ("# a comment", Line::Empty, ""),
        ("||ads.example.com^", Line::Taken, "*.ads.example.com"),
        ("||ads.example.com^|", Line::Taken, "*.ads.example.com"),
        ("||ads.example.com^$important", Line::Taken, "*.ads.example.com"),
        ("||ads.example.com^$all,popup", Line::Taken, "*.ads.example.com"),
        ("|ads.example.com^", Line::Taken, "ads.example.com"),
        ("ads.example.com", Line::Taken, "ads.example.com"),
        ("@@||good.example.com^", Line::Taken, "@*.good.example.com"),
        ("@@|good.example.com^|", Line::Taken, "@good.example.com"),
        ("0.0.0.0 a.example b.example", Line::Taken, "a.example b.example"),
        ("||ads.example.com", Line::Skipped, ""),
        ("||ads.example.com^$third-party", Line::Skipped, ""),
        ("||ads.example.com^$client=1.2.3.4", Line::Skipped, ""),
        ("||ads.example.com^$dnsrewrite=1.2.3.4", Line::Skipped, ""),
        ("||ads.example.com^$badfilter", Line::Skipped, ""),
        ("||ads.example.com/path^", Line::Skipped, ""),
        ("||*.example.com^", Line::Skipped, ""),
        ("||ads.*^", Line::Skipped, ""),
        ("||com^", Line::Skipped, ""),
        ("/ads[0-9]+/", Line::Skipped, ""),
        ("example.com##.banner", Line::Skipped, ""),
        ("##.banner", Line::Skipped, ""),
        ("#@#.banner", Line::Skipped, ""),
        ("|https://ads.example.com^", Line::Skipped, ""),
        ("-ads-", Line::Skipped, ""),
    ] {
        assert_eq!(line(Syntax::Adblock, text), (what, rules.to_owned()), "{text}");
    }
}

#[test]
fn the_syntax_of_a_list_is_seen_in_it() {
    for (text, syntax) in [
        ("# x\n127.0.0.1 localhost\n0.0.0.0 a.example\n0.0.0.0 b.example\n", Syntax::Hosts),
        ("# x\na.example\nb.example\n", Syntax::Domains),
        ("! x\n||a.example^\nc.example\n@@||b.example^\n", Syntax::Adblock),
    ] {
        assert_eq!(Syntax::guess(text.as_bytes()), syntax, "{text}");
    }
}

#[test]
fn a_list_that_was_cut_off_does_not_take_the_place_of_the_whole() {
    let counts = |rules| Counts { rules, ..Counts::default() };
    assert_eq!(counts(10).fit(None), Ok(()));
    assert_eq!(counts(50).fit(Some(&counts(100))), Ok(()));
    assert_eq!(counts(49).fit(Some(&counts(100))), Err(Unfit::Shrunk { before: 100, now: 49 }));
    assert_eq!(counts(0).fit(None), Err(Unfit::Empty));
    let mut reader = Reader::new(Syntax::Domains, 10);
    assert_eq!(reader.feed(b"a.example\nb.example", &mut |_| ()), Err(Unfit::TooLong(10)));
}

#[test]
fn a_line_without_end_takes_no_room_and_hides_no_other() {
    let mut reader = Reader::new(Syntax::Domains, 1 << 20);
    let mut rules = Vec::new();
    for _ in 0..100 {
        reader.feed(&[b'a'; 1000], &mut |rule| rules.push(said(rule))).unwrap();
    }
    reader.feed(b"\nads.example", &mut |rule| rules.push(said(rule))).unwrap();
    let counts = reader.finish(&mut |rule| rules.push(said(rule)));
    assert_eq!(rules, ["*.ads.example"]);
    assert_eq!((counts.lines, counts.rules, counts.skipped), (2, 1, 1));
}

#[test]
fn too_many_names_are_refused_and_those_before_hold() {
    let mut builder = Blocked::builder(&SEED).at_most(100);
    let name = |n: u32| domain(&format!("n{n}.example"));
    for n in 0..100 {
        builder.push(0, Shape::Exact, name(n).as_wire()).unwrap();
    }
    assert_eq!(builder.push(0, Shape::Exact, name(100).as_wire()), Err(Refused::Full));
    assert_eq!(builder.push(1, Shape::Under, name(99).as_wire()), Ok(()), "no new name");
    assert_eq!(builder.push(32, Shape::Exact, name(1).as_wire()), Err(Refused::NoList));
    assert_eq!(builder.push(0, Shape::Under, &[0]), Err(Refused::NoName));
    let deep = domain(&["x"; 33].join("."));
    assert_eq!(builder.push(0, Shape::Exact, deep.as_wire()), Err(Refused::NoName));
    let blocked = builder.finish();
    for n in 0..101 {
        let hit = blocked.hit(&Suffixes::of(name(n).as_wire(), &SEED), 1);
        assert_eq!(hit.is_some(), n < 100);
    }
}

#[test]
fn a_deep_name_is_blocked_by_what_it_ends_in() {
    let mut builder = Blocked::builder(&SEED);
    let deep = domain(&["x"; 32].join("."));
    builder.push(0, Shape::Under, deep.as_wire()).unwrap();
    let blocked = builder.finish();
    for (labels, hit) in [(31, false), (32, true), (33, true), (127, true)] {
        let name = domain(&vec!["x"; labels].join("."));
        assert_eq!(blocked.hit(&Suffixes::of(name.as_wire(), &SEED), 1).is_some(), hit, "{labels}");
    }
}

#[test]
fn many_names_are_all_there_and_no_others() {
    let mut builder = Blocked::builder(&SEED);
    let name = |n: u32| domain(&format!("n{n}.x{}.example", n % 7));
    for n in 0..20_000 {
        builder.push(u8::try_from(n % 3).unwrap(), Shape::Under, name(n).as_wire()).unwrap();
    }
    let blocked = builder.finish();
    assert_eq!(blocked.len(), 20_000);
    assert!(blocked.bytes() < 20_000 * 15);
    for n in 0..40_000 {
        let hit = blocked.hit(&Suffixes::of(name(n).as_wire(), &SEED), !0);
        assert_eq!(hit.map(|hit| hit.lists), (n < 20_000).then_some(1 << (n % 3)));
    }
}

type Pushed = (bool, u8, bool, Domain);

fn pushed() -> impl Strategy<Value = Vec<Pushed>> {
    prop::collection::vec((any::<bool>(), 0u8..4, any::<bool>(), small_name()), 0..20)
}

fn built(rules: &[Pushed]) -> Blocked {
    let mut builder = Blocked::builder(&SEED).with_room(rules.len());
    for (except, list, under, name) in rules {
        let shape = if *under { Shape::Under } else { Shape::Exact };
        let rule = Rule { shape, except: *except, name: name.as_wire() };
        assert_eq!(rule.push(*list, &mut builder).is_ok(), name.depth() > 0);
    }
    builder.finish()
}

proptest! {
    #[test]
    fn a_name_is_blocked_by_the_rules_and_by_nothing_else(rules in pushed(), name in small_name(), lists in 0u32..16) {
        let covers = |excepts: bool| {
            let mut found: BTreeMap<usize, u32> = BTreeMap::new();
            for (except, list, under, own) in &rules {
                let covered = if *under { name.is_within(own) } else { name == *own };
                if *except == excepts && own.depth() > 0 && covered && lists & (1 << list) != 0 {
                    *found.entry(own.depth()).or_default() |= 1 << list;
                }
            }
            found.into_iter().next()
        };
        let wanted = covers(false).filter(|_| covers(true).is_none());
        let blocked = built(&rules);
        let hit = blocked.hit(&Suffixes::of(name.as_wire(), &SEED), lists);
        prop_assert_eq!(hit.map(|hit| (hit.depth, hit.lists)), wanted);
        let mut turned = rules.clone();
        turned.reverse();
        prop_assert_eq!(built(&turned).hit(&Suffixes::of(name.as_wire(), &SEED), lists), hit);
    }

    /// Whatever a list says, its rules are names of two labels or more that stand in it, and the pieces
    /// in which it comes change nothing.
    #[test]
    fn a_list_says_the_same_in_any_pieces(
        text in "([|@ .#!^$*0-9a-c\u{fc}\r-]{0,12}\n?|\\|\\|[ab]\\.[ab]\\^\n|0\\.0\\.0\\.0 [ab]\\.c\n){0,8}",
        cut in 1usize..9,
        syntax in prop::sample::select(vec![Syntax::Hosts, Syntax::Domains, Syntax::Adblock]),
    ) {
        let mut wholes = Vec::new();
        for pieces in [text.len().max(1), cut] {
            let mut rules = Vec::new();
            let mut reader = Reader::new(syntax, 1 << 20);
            for piece in text.as_bytes().chunks(pieces) {
                reader.feed(piece, &mut |rule| rules.push(said(rule))).unwrap();
            }
            let counts = reader.finish(&mut |rule| rules.push(said(rule)));
            prop_assert_eq!(counts.rules, rules.len() as u64);
            for rule in &rules {
                let name = rule.trim_start_matches(['@', '*']).trim_start_matches('.');
                prop_assert!(text.to_ascii_lowercase().contains(name));
                prop_assert!(suffixes(domain(name).as_wire()).count() > 2);
            }
            wholes.push((rules, counts));
        }
        prop_assert_eq!(&wholes[0], &wholes[1]);
    }
}

//! The probe of what a resolver reads from outside: questions, answers of others, lists. The first
//! byte says which.

use freehold_names::answer::{self, Room, Sink};
use freehold_names::lists::{Reader, Rule, Syntax};
use freehold_names::{
    Blocked, Cache, Domain, Found, Key, Message, NAME_MAX, Owned, Policy, Question, Rcode, Suffixes, Why,
    Zones, reserved, reverse,
};
use freehold_wire::Millis;

const SEED: [u8; 16] = [7; 16];

/// Whatever comes is a question or refused, is kept whole or not at all, is a rule or nothing; and what
/// is written is in form.
pub fn names(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 4 {
        0 => question(data),
        1 => reply(data),
        2 => list(data),
        _ => name(data),
    }
}

/// Every record lies within, and every name in it can be written out or is refused.
fn in_form(packet: &[u8]) {
    let message = Message::parse(packet).expect("an answer of ours is one");
    for record in message.records() {
        let record = record.expect("a record of ours is whole");
        assert!(message.expand(record.start, &mut [0; NAME_MAX]).is_some(), "a name of ours is whole");
    }
}

fn question(packet: &[u8]) {
    let mut out = Vec::new();
    let question = match Question::parse(packet) {
        Ok(question) => question,
        Err(unread) => {
            let answered = answer::refuse(packet, unread, &mut out);
            assert_eq!(answered, !out.is_empty());
            return;
        }
    };
    let room = Room::datagram(&question);
    answer::blocked(&question, Sink::NoName, 60, &mut out);
    answer::finish(&question, room, Some(Why::Blocked), &mut out);
    in_form(&out);
    assert!(out.len() <= question.datagram().max(packet.len() + 17), "longer than the client takes");
    answer::blocked(&question, Sink::Nowhere, 60, &mut out);
    answer::finish(&question, Room::sealed(), None, &mut out);
    in_form(&out);
    if Zones::of(&reserved(&[])).answer(&question, &mut out) != Owned::NotOurs {
        answer::finish(&question, room, None, &mut out);
        in_form(&out);
    }
}

/// An answer of others to the question that it says it answers.
fn reply(packet: &[u8]) {
    let Some(message) = Message::parse(packet) else { return };
    for record in message.records().map_while(Result::ok) {
        let mut name = [0; NAME_MAX];
        if let Some(name) = message.target(&record, &mut name) {
            assert!(Domain::from_wire(name).is_some(), "a name that is none");
        }
    }
    let policy = Policy::of(&[], &[], &SEED);
    let blocked = Blocked::builder(&SEED).finish();
    let now = freehold_names::LocalTime::at(Millis(0), 0);
    assert_eq!(policy.hidden(None, packet, &blocked, now), None);
    freehold_names::leads_inside(packet);

    let mut asked = vec![0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    asked.extend(message.name());
    asked.extend(message.kind().to_be_bytes());
    asked.extend(message.class().to_be_bytes());
    let Ok(question) = Question::parse(&asked) else { return };
    let (mut cache, mut out) = (Cache::new(1 << 18, SEED), Vec::new());
    let key = Key::of(&question, 0);
    let kept = cache.keep(&key, Millis(0), packet);
    assert_eq!(cache.find(&key, Millis(0), &mut out) != Found::Miss, kept);
    if kept {
        answer::adopt(&question, &mut out);
        let all = Message::parse(&out).map(|message| message.records().all(|record| record.is_ok()));
        assert_eq!(all, Some(true), "kept, and not whole");
        answer::finish(&question, Room::datagram(&question), None, &mut out);
        assert!(out.len() <= 512);
    }
    answer::begin(&question, Rcode::GOOD, false, &mut out);
    answer::append(&question, packet, &mut out);
    in_form(&out);
}

/// A list in pieces of the length that its first byte says.
fn list(data: &[u8]) {
    let Some((cut, list)) = data.split_first() else { return };
    for syntax in [Syntax::Hosts, Syntax::Domains, Syntax::Adblock] {
        let mut builder = Blocked::builder(&SEED).at_most(100);
        let (mut rules, mut pushed) = (0, 0);
        let mut take = |rule: Rule<'_>| {
            rules += 1;
            let name = Domain::from_wire(rule.name).expect("a rule names a name");
            assert!(name.depth() >= 2, "a rule for a whole country");
            assert_eq!(Suffixes::of(rule.name, &SEED).name(), rule.name, "not in lower case");
            pushed += usize::from(rule.push(3, &mut builder).is_ok());
        };
        let mut reader = Reader::new(syntax, 1 << 20);
        for piece in list.chunks(usize::from(*cut).max(1)) {
            reader.feed(piece, &mut take).expect("a short list");
        }
        let counts = reader.finish(&mut take);
        assert_eq!(counts.rules, rules);
        assert!(builder.finish().len() <= pushed.min(100));
    }
    let _: Syntax = Syntax::guess(list);
}

/// A name as bytes, and as text.
fn name(data: &[u8]) {
    if let Some(name) = Domain::from_wire(data) {
        assert_eq!(name.to_string().parse().as_ref(), Ok(&name), "written and read another");
        if let Some(address) = reverse::address_of(data) {
            assert_eq!(reverse::name_of(address), name, "two names of one address");
        }
    }
    if let Ok(Ok(name)) = std::str::from_utf8(data).map(str::parse::<Domain>) {
        assert_eq!(Domain::from_wire(name.as_wire()).as_ref(), Some(&name));
    }
}

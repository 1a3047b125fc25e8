//! A million blocked names: how much memory they take, how long they take to load, and how many
//! questions a second one thread decides; prints rows for docs/benchmarks.md.
//!
//! `cargo run --release -p freehold-names --example million`

#![expect(clippy::print_stdout, reason = "it measures and prints")]

use std::fmt::Write as _;
use std::hint::black_box;

use freehold_names::answer::{self, Room, Sink};
use freehold_names::lists::{Reader, Syntax};
use freehold_names::{
    Blocked, Cache, Decision, Domain, Found, Group, Key, LocalTime, Member, Owned, Policy, PolicyParty,
    Question, Rcode, Row, Suffixes, Why, Zones, decide, kind, reserved,
};
use freehold_wire::Millis;

type Failure = Box<dyn std::error::Error>;

const NAMES: u32 = 1_000_000;
const QUESTIONS: u32 = 4_000_000;
const SEED: [u8; 16] = *b"drawn at a start";

/// Resident bytes of this process.
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Numbers that look drawn.
fn mixed(n: u32) -> u32 {
    let n = n.wrapping_mul(2_654_435_761);
    n ^ (n >> 15)
}

/// Names of the lengths that lists have.
fn name(n: u32) -> String {
    let (one, two) = (mixed(n), mixed(n ^ 0x5555));
    match n % 3 {
        0 => format!("{one:x}.com"),
        1 => format!("track{:x}.ads{}.net", one & 0xf_ffff, two % 5000),
        _ => format!("s{:x}.metrics.shop{:x}.example", n, two & 0xff_ffff),
    }
}

fn question(id: u16, name: &str, sort: u16) -> Result<Vec<u8>, Failure> {
    let name: Domain = name.parse()?;
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    packet.extend(name.as_wire());
    packet.extend(sort.to_be_bytes());
    packet.extend([0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    Ok(packet)
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0)
}

/// How long this thread has run so far, in nanoseconds, whatever else the machine does.
fn run_time() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(status.split(' ').next().ok_or("no time")?.parse()?)
}

fn rate(what: &str, count: u32, start: u64) -> Result<(), Failure> {
    let micros = u32::try_from((run_time()? - start) / 1000)?;
    let nanos = f64::from(micros) * 1000.0 / f64::from(count);
    println!("| {what} | {nanos:.0} ns | {:.2} million |", 1e3 / nanos);
    Ok(())
}

/// All that stands between a packet and its answer.
struct Resolver {
    zones: Zones,
    blocked: Blocked,
    policy: Policy,
    cache: Cache,
}

impl Resolver {
    /// Whether the question is answered without asking anybody.
    fn answer(&mut self, packet: &[u8], now: LocalTime, out: &mut Vec<u8>) -> bool {
        let question = match Question::parse(packet) {
            Ok(question) => question,
            Err(unread) => return answer::refuse(packet, unread, out),
        };
        let room = Room::datagram(&question);
        if self.zones.answer(&question, out) != Owned::NotOurs {
            answer::finish(&question, room, None, out);
            return true;
        }
        let name = Suffixes::of(question.name, &SEED);
        let decision = decide(&self.policy, &PolicyParty::default(), &name, &self.blocked, now);
        if let Decision::Ask(upstream) = decision {
            let found = self.cache.find(&Key::of(&question, upstream), now.now, out);
            if !matches!(found, Found::Fresh { .. }) {
                return false;
            }
            answer::adopt(&question, out);
            answer::finish(&question, room, None, out);
        } else {
            answer::blocked(&question, Sink::Nowhere, 60, out);
            answer::finish(&question, room, Some(Why::Blocked), out);
        }
        true
    }
}

fn load(list: &str) -> Result<Blocked, Failure> {
    let mut builder = Blocked::builder(&SEED);
    let mut refused = 0u64;
    let mut reader = Reader::new(Syntax::Adblock, 1 << 30);
    let mut take = |rule: freehold_names::lists::Rule<'_>| {
        refused += u64::from(rule.push(0, &mut builder).is_err());
    };
    for piece in list.as_bytes().chunks(1 << 16) {
        reader.feed(piece, &mut take)?;
    }
    let counts = reader.finish(&mut take);
    println!("rules {}, skipped {}, refused {refused}", counts.rules, counts.skipped);
    Ok(builder.finish())
}

fn measure(resolver: &mut Resolver, what: &str, packets: &[Vec<u8>], answered: bool) -> Result<(), Failure> {
    let now = LocalTime::at(Millis(1_800_000_000_000), 0);
    let mut out = Vec::with_capacity(4096);
    let mut all = true;
    let start = run_time()?;
    for packet in packets.iter().cycle().take(usize::try_from(QUESTIONS)?) {
        all &= resolver.answer(black_box(packet), now, &mut out) == answered;
        black_box(&out);
    }
    rate(what, QUESTIONS, start)?;
    if all { Ok(()) } else { Err(format!("{what}: not as it should be").into()) }
}

fn main() -> Result<(), Failure> {
    let mut list = String::new();
    for n in 0..NAMES {
        writeln!(list, "||{}^", name(n))?;
    }
    let before = resident()?;
    let start = run_time()?;
    let blocked = load(&list)?;
    let took = (run_time()? - start) / 1_000_000;
    let bytes = u64::try_from(blocked.bytes())?;
    println!("names {}, list {}, loaded in {took} ms", blocked.len(), mib(u64::try_from(list.len())?));
    println!("set {}, {:.1} bytes a name", mib(bytes), f64::from(u32::try_from(bytes)?) / f64::from(NAMES));
    println!("resident {} more than before", mib(resident()?.saturating_sub(before)));
    drop(list);

    let mut rows = reserved(&[]);
    rows.push(Row::Zone { apex: "home.internal".parse()?, server: "nas.home.internal".parse()?, serial: 1 });
    for n in 0..100u8 {
        let data = freehold_names::Data::V4([100, 64, 0, n].into());
        rows.push(Row::Record { name: format!("host{n}.home.internal").parse()?, ttl: 60, data });
    }
    let group = Group { members: vec![Member::Everyone], lists: !0, ..Group::default() };
    let policy = Policy::of(&[group], &[], &SEED);
    let cache = Cache::new(8 << 20, SEED);
    let mut resolver = Resolver { zones: Zones::of(&rows), blocked, policy, cache };

    let now = Millis(1_800_000_000_000);
    let mut known = Vec::new();
    for n in 0..20_000 {
        let packet = question(7, &format!("www.site{n}.example.org"), kind::A)?;
        let asked = Question::parse(&packet)?;
        let mut reply = Vec::new();
        answer::begin(&asked, Rcode::GOOD, false, &mut reply);
        if let Some(count) = reply.get_mut(7) {
            *count = 1;
        }
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1]);
        if !resolver.cache.keep(&Key::of(&asked, 0), now, &reply) {
            return Err("not kept".into());
        }
        known.push(packet);
    }
    println!("cache {} answers in {}", resolver.cache.len(), mib(u64::try_from(resolver.cache.bytes())?));
    println!("resident in all {}", mib(resident()?));

    // In no order that the processor could foresee, over the whole table.
    let some = |blocked: bool| {
        (0..200_000u32).map(move |n| name(mixed(n) % NAMES + if blocked { 0 } else { 2 * NAMES }))
    };
    let hit: Vec<Vec<u8>> = some(true).map(|name| question(1, &name, kind::A)).collect::<Result<_, _>>()?;
    let miss: Vec<Vec<u8>> =
        some(false).map(|name| question(1, &format!("x{name}"), kind::A)).collect::<Result<_, _>>()?;
    let own: Vec<Vec<u8>> = (0..100)
        .map(|n| question(1, &format!("host{n}.home.internal"), kind::A))
        .collect::<Result<_, _>>()?;

    println!("| one thread | time of a processor | a second |");
    let wires: Vec<Domain> = some(false).map(|name| format!("x{name}").parse()).collect::<Result<_, _>>()?;
    let start = run_time()?;
    let mut found = 0u32;
    for wire in wires.iter().cycle().take(usize::try_from(QUESTIONS)?) {
        let name = Suffixes::of(black_box(wire.as_wire()), &SEED);
        found += u32::from(resolver.blocked.hit(&name, !0).is_some());
    }
    rate("look up alone, not blocked", QUESTIONS, start)?;
    println!("false hits {found}");
    measure(&mut resolver, "packet to answer, blocked", &hit, true)?;
    measure(&mut resolver, "packet to answer, cached", &known, true)?;
    measure(&mut resolver, "packet to answer, own zone", &own, true)?;
    measure(&mut resolver, "packet to \"ask others\"", &miss, false)
}

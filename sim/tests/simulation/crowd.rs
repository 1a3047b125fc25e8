//! A thousand machines.

use freehold_realm::body::{Ports, Proto, RuleFrom, RuleSet, RuleTo, Suspend, Target};
use freehold_sim::{Choose as _, Crowd, Seeded, Spread};
use freehold_wire::{Bounded, Millis, RuleId};

const MACHINES: u32 = 1000;
/// "In seconds": what people take for at once.
const SOON: Millis = Millis::from_secs(5);

fn told(what: &str, spread: &Spread) {
    let [half, most, all] = [50, 99, 100].map(|part| spread.after(part).0);
    println!(
        "| {what} | {} | {half} ms | {most} ms | {all} ms | {} | {} KiB |",
        spread.times.len(),
        spread.messages,
        spread.bytes / 1024
    );
    assert!(spread.after(100) <= SOON, "{what}: {all} ms");
}

#[test]
fn a_thousand_machines_hear_of_everything_in_seconds() {
    let mut choose = Seeded::new(1);
    let mut crowd = Crowd::new(MACHINES, &mut choose);
    let mut connections = crowd.connections();
    connections.sort_unstable();
    println!("connections: {} to {}, half {}", connections[0], connections[999], connections[500]);
    println!("| what | machines | half after | 99 of 100 | all | messages | bytes |");

    let rule = RuleSet {
        rule: RuleId::from_bytes([7; 32]),
        from: Bounded::from_vec(vec![RuleFrom::Node(crowd.id(3).unwrap())]).unwrap(),
        to: Bounded::from_vec(vec![RuleTo::All]).unwrap(),
        ports: Bounded::from_vec(vec![Ports::one(Proto::Tcp, 22)]).unwrap(),
        until: None,
    };
    told("a rule, said at a laptop", &crowd.say(7, rule.into(), &mut choose).unwrap());
    told("a machine joins", &crowd.join(17, &mut choose).unwrap());
    let suspend = Suspend { target: Target::Node(crowd.id(20).unwrap()), last: Bounded::new() };
    told("a suspension", &crowd.say(0, suspend.into(), &mut choose).unwrap());

    // A third are off, gateways among them, and are missed by nobody.
    let mut off = Vec::new();
    for at in 0..MACHINES as usize {
        if at != 7 && choose.below(3) == 0 {
            crowd.leave(at, &mut choose);
            off.push(at);
        }
    }
    let lift = freehold_realm::body::Lift { target: Target::Node(crowd.id(20).unwrap()) };
    told("a third are off", &crowd.say(7, lift.into(), &mut choose).unwrap());
    for at in off.into_iter().take(20) {
        let took = crowd.back(at, &mut choose).unwrap();
        assert!(took <= SOON, "{at} was back after {} ms", took.0);
    }
}

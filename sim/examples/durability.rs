//! The tables of docs/durability.md: `cargo xtask durability`. How many worlds there are is the one argument.
#![expect(clippy::print_stdout, reason = "what it prints is the result")]

use std::num::NonZero;
use std::thread;

use freehold_sim::Seeded;
use freehold_sim::durability::{Care, Fates, Odds, RULES, Rule, Tally, households};

const WORLDS: u64 = 12;
/// Those of [`RULES`] that are looked at more closely.
const CLOSER: [usize; 12] = [2, 6, 7, 9, 10, 11, 12, 13, 15, 16, 18, 19];

/// What became of these worlds, under each of these rules: every rule meets the same.
fn some(odds: &Odds, seeds: impl Iterator<Item = u64>, asked: &[(Rule, Care)]) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); asked.len()];
    for seed in seeds {
        let fates = Fates::new(odds, &mut Seeded::new(seed));
        for ((rule, care), tally) in asked.iter().zip(&mut tallies) {
            *tally = tally.plus(households(odds, &fates, rule, *care));
        }
    }
    tallies
}

/// The same of all worlds, shared out between the processors.
fn worlds(odds: &Odds, count: u64, asked: &[(Rule, Care)]) -> Vec<Tally> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let seeds = |worker| (0..count).skip(worker).step_by(workers);
        let all: Vec<_> =
            (0..workers).map(|worker| scope.spawn(move || some(odds, seeds(worker), asked))).collect();
        let parts = all.into_iter().filter_map(|worker| worker.join().ok());
        parts.fold(vec![Tally::default(); asked.len()], |all, part| {
            all.into_iter().zip(part).map(|(one, other)| one.plus(other)).collect()
        })
    })
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(WORLDS);
    let odds = Odds::ORDINARY;
    let all = |care| RULES.map(|rule| (rule, care));
    let closer = |care| -> Vec<(Rule, Care)> {
        CLOSER.iter().filter_map(|at| RULES.get(*at)).map(|rule| (*rule, care)).collect()
    };
    let kept = worlds(&odds, count, &all(Care::Ahead));
    let last = count.saturating_sub(1);
    println!(
        "{count} worlds of {} realms, seeds 0 to {last}; every rule meets the same worlds.\n",
        odds.realms
    );
    println!(
        "| rule | room | lost something | objects lost, of a million | not readable, days a year \
         | copied again, times a year |\n|---|---|---|---|---|---|"
    );
    for (rule, tally) in RULES.iter().zip(&kept) {
        println!("{}", tally.row(rule, odds.days));
    }
    println!(
        "\n| rule | nothing is done | repair once copies are missing | repair ahead of an end |\n|---|---|---|---|"
    );
    let told = [Care::None, Care::Repair, Care::Ahead].map(|care| worlds(&odds, count, &closer(care)));
    table(&told);
    println!(
        "\n| rule | 5 of 100 defect, each on a day of its own | 20 of 100 | 20 of 100, all on one day |\n|---|---|---|---|"
    );
    let worse = [(5, false), (20, false), (20, true)].map(|(of, at_once)| odds.defecting(of, at_once));
    table(&worse.map(|odds| worlds(&odds, count, &closer(Care::Ahead))));
}

/// Households that lost something, a column for each of these.
fn table(columns: &[Vec<Tally>]) {
    for (at, rule) in CLOSER.iter().enumerate().filter_map(|(at, of)| Some((at, RULES.get(*of)?))) {
        let cells: Vec<String> =
            columns.iter().filter_map(|all| all.get(at)).map(Tally::losers_told).collect();
        println!("| {} | {} |", rule.name, cells.join(" | "));
    }
}

//! Pools: what several realms give to all others together, and what they have of it.

use freehold_api::{PoolBalance, PoolDecide, PoolLending, PoolMember, PoolProposal, PoolStatus, ProblemKind};

use crate::fault::Fault;
use crate::grants::Bar;
use crate::routes::Console;
use crate::words::{Mark, bytes, day};

/// Those of which this node has papers; none on a node that keeps none.
pub(crate) async fn all(console: &Console) -> Result<Vec<PoolStatus>, Fault> {
    match console.client.pools().await {
        Err(problem) if problem.kind == ProblemKind::Unreachable => Ok(Vec::new()),
        other => Ok(other?),
    }
}

pub(crate) fn mark(pool: &PoolStatus) -> Mark {
    let is_mine = pool.proposals.iter().any(|proposal| proposal.is_mine_to_sign);
    match (pool.begun, is_mine) {
        (_, true) => Mark { tone: "wait", word: "Waits for you" },
        (false, false) => Mark { tone: "quiet", word: "Not begun" },
        (true, false) if needs_a_look(pool) => Mark { tone: "bad", word: "Needs a look" },
        (true, false) => Mark { tone: "good", word: "Holds" },
    }
}

fn needs_a_look(pool: &PoolStatus) -> bool {
    pool.members.iter().any(|member| member.said_two_things)
        || pool.lending.iter().any(|share| share.granted == Some(0) && share.trouble.is_some())
}

/// What a member gives, of what it said it would, and what it has, of what it may.
pub(crate) fn balance(member: &PoolMember) -> [Bar; 2] {
    let share = &member.share;
    // All of what was agreed is as it should be.
    let bar = |what, used, of| Bar { tone: "good", ..Bar::new(what, used, of) };
    [bar("Lends", member.shared_out, share.gives), bar("Borrows", member.has, share.uses)]
}

/// What lies where, as the members say; nothing before one has.
pub(crate) fn lies(member: &PoolMember) -> Option<String> {
    let PoolBalance { keeps, keeps_as_told, uses_now, .. } = member.balance?;
    // What is said at different times differs a little.
    let alike = keeps.abs_diff(keeps_as_told) <= keeps / 10;
    let told = if alike { String::new() } else { format!(" (the others say {})", bytes(keeps_as_told)) };
    Some(format!("Keeps {} for the others{told}, and has {} with them", bytes(keeps), bytes(uses_now)))
}

/// Where it stands, and whether it stays.
pub(crate) fn about(member: &PoolMember) -> String {
    let place = Some(member.share.place.as_str()).filter(|place| !place.is_empty()).map(str::to_owned);
    let leaves = member.leaves_ms.map(|until| format!("leaves, and is bound until {}", day(until)));
    let two = member.said_two_things.then(|| "has signed two things that exclude each other".to_owned());
    place.into_iter().chain(leaves).chain(two).collect::<Vec<_>>().join("; ")
}

/// How far it is lent, where this realm has part in it.
pub(crate) fn lent(share: &PoolLending) -> String {
    match (share.granted, &share.trouble) {
        (None, _) => String::new(),
        (Some(0), Some(why)) => format!("not lent: {why}"),
        (Some(0), None) => "not lent yet".to_owned(),
        (Some(granted), _) if granted == share.bytes => "lent".to_owned(),
        (Some(granted), _) => format!("lent are {}", bytes(granted)),
    }
}

/// What all are bound by.
pub(crate) fn rules(pool: &PoolStatus) -> String {
    use freehold_api::words::count;
    let rules = &pool.rules;
    let decide = match rules.decide {
        PoolDecide::Majority => "more than half decide on a change",
        PoolDecide::All => "all decide on a change",
    };
    format!(
        "{decide}; who leaves says so {} before; what lies there is kept {} longer",
        count(rules.notice_days.into(), "day"),
        count(rules.wind_down_days.into(), "day"),
    )
}

/// Whose signature a change waits for.
pub(crate) fn waits(proposal: &PoolProposal) -> String {
    let missing = proposal.missing.join(", ");
    match (missing.is_empty(), proposal.more) {
        (true, 0) => "signed by all whom it takes".to_owned(),
        (true, more) => format!("waits for {more} more of the others"),
        (false, 0) => format!("waits for {missing}"),
        (false, more) => format!("waits for {missing}, and {more} more of the others"),
    }
}

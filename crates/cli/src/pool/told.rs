//! A pool in plain words.

use freehold_api::words::{bytes, count, date};
use freehold_api::{PoolBalance, PoolDecide, PoolLending, PoolMember, PoolProposal, PoolStatus};

/// One line.
pub(super) fn line(pool: &PoolStatus) -> String {
    let members = count(pool.members.len() as u64, "realm");
    let standing = match (pool.begun, pool.proposals.is_empty()) {
        (true, true) => "all have signed".to_owned(),
        (true, false) => format!("{} for signatures", waits(pool.proposals.len())),
        (false, true) => "A DRAFT: nobody has signed".to_owned(),
        (false, false) => "NOT BEGUN: it waits for signatures".to_owned(),
    };
    format!("  {}  {}, {members}, {standing}", pool.id.get(..8).unwrap_or(&pool.id), pool.name)
}

fn waits(proposals: usize) -> String {
    let changes = count(proposals as u64, "change");
    if proposals == 1 { format!("{changes} waits") } else { format!("{changes} wait") }
}

/// Everything.
pub(super) fn whole(pool: &PoolStatus) -> String {
    let mut lines = vec![line(pool)];
    lines.extend(pool.members.iter().map(|member| of_member(pool.begun, member)));
    lines.extend(pool.waiting.iter().map(|member| format!("  asks to join:\n{}", of_member(false, member))));
    lines.push(format!("    {}", rules(pool)));
    if !pool.lending.is_empty() {
        lines.push("    by the charter".to_owned());
        lines.extend(pool.lending.iter().map(|share| {
            format!("      {} lends {} {}{}", share.lender, share.borrower, bytes(share.bytes), lent(share))
        }));
    }
    lines.extend(pool.proposals.iter().map(proposal));
    if !pool.by_hand.is_empty() {
        lines.push(format!(
            "  without a grant between you, so by hand or by way of another member: {}\n    freehold pool papers export {}                 (and there: freehold pool papers import PAPERS)",
            pool.by_hand.join(", "),
            freehold_api::words::typed(&pool.name)
        ));
    }
    lines.extend(pool.next.iter().map(|next| format!("  next: {next}")));
    lines.join("\n")
}

/// How far it is lent, where this realm has part in it.
fn lent(share: &PoolLending) -> String {
    match (share.granted, &share.trouble) {
        (None, _) => String::new(),
        (Some(0), Some(why)) => format!(": NOT LENT: {why}"),
        (Some(0), None) => ": not lent yet".to_owned(),
        (Some(granted), _) if granted == share.bytes => ": lent".to_owned(),
        (Some(granted), _) => format!(": lent are {}", bytes(granted)),
    }
}

fn rules(pool: &PoolStatus) -> String {
    let decide = match pool.rules.decide {
        PoolDecide::Majority => "more than half",
        PoolDecide::All => "all",
    };
    format!(
        "rules: {decide} decide on changes; who leaves says so {} before; at the end what lies with others can be \
         fetched for {}",
        count(pool.rules.notice_days.into(), "day"),
        count(pool.rules.wind_down_days.into(), "day")
    )
}

fn of_member(begun: bool, member: &PoolMember) -> String {
    let me = if member.is_me { " (this realm)" } else { "" };
    let place = &member.share.place;
    let place = if place.is_empty() { String::new() } else { format!(", in {place}") };
    let (given, had) = if begun {
        (
            format!(", {} of it shared out", bytes(member.shared_out)),
            format!(", has {} of it", bytes(member.has)),
        )
    } else {
        (String::new(), String::new())
    };
    let mut text = format!(
        "    {}{me}{place}: gives {}{given}; may use {}{had}",
        member.name,
        bytes(member.share.gives),
        bytes(member.share.uses)
    );
    if let Some(balance) = &member.balance {
        text.push_str("\n      ");
        text.push_str(&lies(balance));
    }
    if let Some(until) = member.leaves_ms {
        text.push_str("\n      LEAVES: bound until ");
        text.push_str(&date(until));
    }
    if member.said_two_things {
        text.push_str("\n      HAS SIGNED TWO THINGS that exclude each other: the papers prove it");
    }
    text
}

/// What lies where, as the members say.
fn lies(balance: &PoolBalance) -> String {
    let PoolBalance { keeps, keeps_as_told, uses_now, heard_ms } = balance;
    // What is said at different times differs a little.
    let told = if keeps.abs_diff(*keeps_as_told) <= keeps / 10 {
        String::new()
    } else {
        format!(" (the others say {})", bytes(*keeps_as_told))
    };
    let heard =
        heard_ms.map_or_else(|| "it has said nothing yet".to_owned(), |at| format!("said on {}", date(at)));
    format!("keeps {} for the others{told} and has {} with them; {heard}", bytes(*keeps), bytes(*uses_now))
}

/// What waits for signatures.
pub(super) fn proposal(proposal: &PoolProposal) -> String {
    let id = proposal.id.get(..8).unwrap_or(&proposal.id);
    let says = proposal.says.iter().map(|line| format!("      {line}"));
    let signed = if proposal.signed.is_empty() { "nobody".to_owned() } else { proposal.signed.join(", ") };
    let mut missing = proposal.missing.clone();
    if proposal.more > 0 {
        missing.push(format!("{} more", proposal.more));
    }
    let missing = if missing.is_empty() { "nobody".to_owned() } else { missing.join(", ") };
    std::iter::once(format!("    {id} waits for signatures:"))
        .chain(says)
        .chain([format!("      signed by {signed}; missing: {missing}")])
        .collect::<Vec<_>>()
        .join("\n")
}

//! The letters to the guardians on the stores that are named: who signed them, and whether they are of one
//! backend.

use freehold_api::{Problem, words};
use freehold_backend::{Credentials, Head, Inside, Letter, Settings, connect};
use freehold_crypt::{BoxSecret, Phrase};
use freehold_realm::body::GuardianSet;
use freehold_wire::from_canonical;

use super::super::{WHAT, recovery_secret};
use super::unreachable;
use crate::invitation::Card;
use crate::problem::chain;

const GUARDIANS_MAX: usize = 64 << 10;

/// What the newest letter says.
pub(super) struct Letters {
    pub(super) inside: Inside,
    pub(super) head: Head,
    pub(super) guardians: GuardianSet,
    pub(super) recovery: BoxSecret,
    /// Which of the backend's stores each of those is that were named.
    pub(super) places: Vec<u8>,
}

pub(super) struct Opened {
    pub(super) letter: Letter,
    inside: Inside,
    guardians: GuardianSet,
    recovery: BoxSecret,
    /// Where it was found.
    at: String,
}

/// Opens the letter on each store with what the guardians' phrases give back. The newest counts, if all are
/// of one backend: which of two is the realm's, only people can say.
pub(super) async fn read(
    card: &Card,
    phrases: &[Phrase],
    named: &[(Settings, Credentials)],
) -> Result<Letters, Problem> {
    let mut all = Vec::new();
    for (settings, credentials) in named {
        all.push(open(card, phrases, settings, credentials).await?);
    }
    let places = all.iter().map(|opened| opened.letter.store()).collect();
    let newest = newest(all)?;
    let (inside, guardians, recovery) = (newest.inside, newest.guardians, newest.recovery);
    Ok(Letters { inside, head: *newest.letter.head(), guardians, recovery, places })
}

pub(super) fn newest(mut all: Vec<Opened>) -> Result<Opened, Problem> {
    let order = |opened: &Opened| (opened.letter.head().claim, opened.letter.head().time);
    all.sort_by_key(order);
    let Some(newest) = all.pop() else { return Err(unreachable("no store is named".to_owned())) };
    let same = |other: &Opened| {
        let (now, then) = (newest.letter.head(), other.letter.head());
        let fork = order(other) == order(&newest) && now != then;
        now.node == then.node && newest.inside.packs.expose() == other.inside.packs.expose() && !fork
    };
    if all.iter().all(same) {
        return Ok(newest);
    }
    all.push(newest);
    let told = all.iter().map(|opened| {
        let head = opened.letter.head();
        format!(
            "{}: {} (node {}), of {}",
            opened.at,
            opened.inside.name,
            head.node.short(),
            words::date(head.time.0)
        )
    });
    Err(Problem::conflict(
        WHAT,
        format!("the stores hold letters of different backends: {}", told.collect::<Vec<_>>().join("; ")),
        Some("name only the stores of the one that you know to be right"),
    ))
}

async fn open(
    card: &Card,
    phrases: &[Phrase],
    settings: &Settings,
    credentials: &Credentials,
) -> Result<Opened, Problem> {
    let store = connect(settings, credentials)
        .map_err(|e| Problem::invalid(WHAT, chain(&e), Some("freehold recover --help")))?;
    let at = format!("{}, bucket {}", settings.endpoint, settings.bucket);
    let found = Letter::find(&store, card.realm, settings).await;
    let found = found.map_err(|e| unreachable(format!("{at}: {}", chain(&e))))?;
    let letter = found.ok_or_else(|| {
        Problem::not_found(
            WHAT,
            format!("{at} holds no backend of the realm that the card names"),
            Some("look at the card, the bucket and the prefix that the backend was attached with"),
        )
    })?;
    judge(card, phrases, letter, at)
}

pub(super) fn judge(card: &Card, phrases: &[Phrase], letter: Letter, at: String) -> Result<Opened, Problem> {
    let bad = |why: &str| {
        Problem::corrupt(
            WHAT,
            format!("the letter to the guardians on {at} {why}"),
            Some("name another store of the backend"),
        )
    };
    if !letter.is_signed(card.realm) {
        return Err(bad("is not signed by the node that it names: somebody else wrote or altered it"));
    }
    let guardians: GuardianSet =
        from_canonical(letter.guardians(), GUARDIANS_MAX).map_err(|_| bad("is damaged"))?;
    let recovery = recovery_secret(&guardians, phrases)?;
    let inside = letter
        .open(card.realm, &recovery)
        .map_err(|_| bad("does not open with what their phrases give back, or holds another node's key"))?;
    Ok(Opened { letter, inside, guardians, recovery, at })
}

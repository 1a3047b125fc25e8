//! What a charter says is lent is offered and accepted without anybody's typing, by the machines whose keys have signed
//! it: cards and offers go with the papers, in letters. Nothing ends by it: that waits for a person.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use freehold_api::{GrantToAccept, NewGrant, Problem};
use freehold_crypt::SigningKey;
use freehold_pools::{Account, Letter, Member, Offered, Papers, Share, Standing, Used, allot, dealing};
use freehold_realm::body::{NodeSet, Resource};
use freehold_realm::{Grant, Side, State};
use freehold_wire::{Bounded, Digest, GrantId, Millis, RealmId, Text};

use super::super::grants::{self, card};
use super::super::places::zone_of;
use super::told;
use crate::clock;
use crate::log::By;
use crate::net::called;
use crate::net::called::Sort;
use crate::net::grants::texts::{Offer, RealmCard as Card};
use crate::net::lending::{is_ended_there, keeping};
use crate::shared::Shared;

/// A charter holds until its members leave; so do its grants, which can be ended on any day.
const HOLDS_FOR: Millis = Millis::from_hours(10 * 365 * 24);
/// Addresses change: so often a letter is written anew that says the same.
const ANEW_AFTER: Millis = Millis::from_hours(1);

/// Each grant that is accepted stays in the log: so many of one realm are accepted before a person is asked.
const AGAIN_MAX: usize = 16;
/// So often the others are told what lies where.
const ACCOUNT_EVERY: Millis = Millis::from_secs(600);

/// Does for all pools what this machine's key has signed for.
pub(crate) async fn deal(shared: &Arc<Shared>) {
    let _turn = shared.talk.dealing.lock().await;
    let reading = Arc::clone(shared);
    let read = tokio::task::spawn_blocking(move || {
        let _turn = reading.pools.turn();
        reading.pools.all()
    });
    // What cannot be read is told where papers are handed on.
    let Ok(Ok(all)) = read.await else { return };
    for papers in all {
        let Some((standing, key)) = bound(shared, &papers) else { continue };
        let deal = Deal { shared, papers: &papers, standing: &standing };
        deal.offer().await;
        deal.accept().await;
        deal.keep_apart().await;
        if let Err(problem) = deal.tell(&key).await {
            tracing::warn!(why = %problem.why, "a letter to the members of a pool was not written");
        }
    }
}

/// How a pool stands of which this realm is a member, by the key of this machine.
fn bound(shared: &Shared, papers: &Papers) -> Option<(Standing, Arc<SigningKey>)> {
    let (standing, key) = (papers.standing()?, super::signer(shared, "").ok()?);
    let is_mine = standing.charter.member(&shared.realm())?.key == key.verifying();
    (is_mine && shared.is_keeper()).then_some((standing, key))
}

/// The bytes that grants of room which hold lend to each realm, or have from each.
pub(super) fn stand(shared: &Shared, state: &State, side: Side, now: Millis) -> BTreeMap<RealmId, u64> {
    let mut stand = BTreeMap::<RealmId, u64>::new();
    let goes_on = |(id, grant): &(GrantId, &Grant)| !is_ended_there(shared, *id, grant);
    for (_, grant) in rooms(state, side, now).filter(goes_on) {
        let bytes = stand.entry(grant.other).or_default();
        *bytes = bytes.saturating_add(grant.terms.ceilings.bytes);
    }
    stand
}

/// Grants of room that were not ended and are not over.
pub(super) fn rooms(state: &State, side: Side, now: Millis) -> impl Iterator<Item = (GrantId, &Grant)> {
    let holds = move |grant: &Grant| {
        let is_room = grant.side == side && grant.terms.resource == Resource::Storage;
        is_room && !grant.revoked && grant.terms.until > now
    };
    state.grants.iter().filter(move |(_, grant)| holds(grant)).map(|(id, grant)| (*id, grant))
}

/// What a realm tells the others before there is a charter: its card. Nothing from one of whose machines none signs.
pub(super) fn first_letter(shared: &Shared, of: Digest, key: &SigningKey) -> Option<Letter> {
    let card = Text::new(card(shared).ok()?.text).ok()?;
    Some(Letter::sign((of, shared.realm(), clock::wall()), card, Vec::new(), key))
}

struct Deal<'a> {
    shared: &'a Arc<Shared>,
    papers: &'a Papers,
    standing: &'a Standing,
}

impl Deal<'_> {
    fn letter(&self, realm: &RealmId) -> Option<&Letter> {
        self.papers.letters().find(|letter| letter.realm == *realm)
    }

    /// Notes what is in the way, or that nothing is.
    fn note(&self, lender: RealmId, borrower: RealmId, done: Result<(), Problem>) {
        let mut in_the_way = self.shared.talk.in_the_way.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.papers.draft().id(), lender, borrower);
        match done {
            Ok(()) => drop(in_the_way.remove(&key)),
            Err(problem) => drop(in_the_way.insert(key, problem.why)),
        }
    }

    /// A name for a grant with a realm that is not taken.
    fn free_name(&self, theirs: &str) -> String {
        let view = self.shared.log.view();
        let called = called(self.shared, view.state());
        let longer = format!("{theirs} {}", told::name(self.papers));
        let numbered = (2..100).map(|number| format!("{longer} {number}"));
        let mut all = [theirs.to_owned(), longer.clone()].into_iter().chain(numbered);
        all.find(|name| !called.has_name(Sort::Grant, name)).unwrap_or(longer)
    }

    async fn offer(&self) {
        let (me, now) = (self.shared.realm(), clock::wall());
        let stand = stand(self.shared, self.shared.log.view().state(), Side::Lends, now);
        for share in dealing(&me, self.standing, &stand, now).offers {
            // Whoever has not said how they are reached will.
            let Some(letter) = self.letter(&share.borrower) else { continue };
            let done = self.offer_one(&share, letter.card.as_str(), now).await;
            self.note(me, share.borrower, done);
        }
    }

    async fn offer_one(&self, share: &Share, card: &str, now: Millis) -> Result<(), Problem> {
        let what = "nothing was offered under the charter";
        let theirs = Card::from_text(card).ok().filter(|card| card.realm == share.borrower);
        let theirs = theirs.ok_or_else(|| {
            Problem::invalid(what, "the card in their letter is no card of that realm", None::<&str>)
        })?;
        let wish = NewGrant {
            to: card.to_owned(),
            name: Some(self.free_name(theirs.name.as_str())),
            storage: Some(share.bytes),
            wind_down_days: Some(self.standing.charter.rules.wind_down_days),
            until_ms: Some(now.plus(HOLDS_FOR).0),
            ..NewGrant::default()
        };
        grants::offer(self.shared, &wish, false).await.map(drop)
    }

    /// Accepts what members offer by the charter.
    async fn accept(&self) {
        let me = self.shared.realm();
        let shares = allot(self.standing.staying());
        for letter in self.papers.letters() {
            let Some((offer, text)) = due_to(&me, &shares, letter) else { continue };
            let (is_new, before) = {
                let view = self.shared.log.view();
                let (state, now) = (view.state(), clock::wall());
                let stands = stand(self.shared, state, Side::Borrows, now);
                let is_new = !state.grants.contains_key(&offer.grant) && !stands.contains_key(&letter.realm);
                let theirs = |grant: &&Grant| grant.side == Side::Borrows && grant.other == letter.realm;
                (is_new, state.grants.values().filter(theirs).count())
            };
            if is_new {
                let done =
                    if before < AGAIN_MAX { self.accept_one(&offer, text).await } else { Err(again()) };
                self.note(letter.realm, me, done);
            }
        }
    }

    async fn accept_one(&self, offer: &Offer, text: &str) -> Result<(), Problem> {
        let name = Some(self.free_name(offer.name.as_str()));
        let wish = GrantToAccept { text: text.to_owned(), name };
        grants::accept(self.shared, &wish, false).await.map(drop)
    }

    /// Rooms of one place are one zone: copies lie in other places first.
    async fn keep_apart(&self) {
        let placed: Vec<(Member, GrantId)> = {
            let view = self.shared.log.view();
            let rooms = rooms(view.state(), Side::Borrows, clock::wall());
            let member = |grant: &Grant| self.standing.charter.member(&grant.other).copied();
            let placed = rooms.filter_map(|(id, grant)| Some((member(grant)?, id)));
            placed.filter(|(member, _)| member.place.is_some()).collect()
        };
        for (member, grant) in placed {
            let Some(node) = self.shared.backends.under(grant) else { continue };
            let is_nowhere = {
                let view = self.shared.log.view();
                view.state().nodes.get(&node).is_some_and(|node| !node.site.zone.is_some())
            };
            if is_nowhere && let Err(problem) = self.stands(node, &told::word(self.papers, &member)).await {
                tracing::warn!(why = %problem.why, "it was not said where a room of a pool stands");
            }
        }
    }

    async fn stands(&self, node: freehold_wire::NodeId, place: &str) -> Result<(), Problem> {
        let zone = Some(zone_of(self.shared, place).await?);
        let body = NodeSet { node, zone, region: None, draining: None, pace: None };
        self.shared.log.say(body, By::Device).await.map(drop)
    }

    /// Writes a letter, if what it has to say is new.
    async fn tell(&self, key: &SigningKey) -> Result<(), Problem> {
        let (me, now) = (self.shared.realm(), clock::wall());
        let what = "no letter was written";
        let long = |error: freehold_wire::TooLong| Problem::refused(what, error.to_string(), None::<&str>);
        let own_card = Text::new(card(self.shared)?.text).map_err(long)?;
        let mut offers = Vec::new();
        {
            let view = self.shared.log.view();
            for (id, grant) in rooms(view.state(), Side::Lends, now) {
                if self.standing.charter.member(&grant.other).is_some() {
                    let text = Text::new(grants::offered(self.shared, id, grant)?).map_err(long)?;
                    offers.push(Offered { to: grant.other, text });
                }
            }
        }
        offers.sort_by_key(|offered: &Offered| offered.to);
        let letter = Letter::sign((self.papers.draft().id(), me, now), own_card, offers, key);
        let says_so = |known: &Letter| says(known) == says(&letter) && !is_stale(known, &letter);
        let letter = if self.letter(&me).is_some_and(says_so) { None } else { Some(letter) };
        let account = self.account(key, now);
        if letter.is_none() && account.is_none() {
            return Ok(());
        }
        let (shared, of) = (Arc::clone(self.shared), self.papers.draft().id());
        let kept = tokio::task::spawn_blocking(move || {
            let _turn = shared.pools.turn();
            // Others may have written meanwhile.
            let Some(mut papers) = shared.pools.all()?.into_iter().find(|papers| papers.draft().id() == of)
            else {
                return Ok(());
            };
            let letter = letter.map(|letter| papers.add_letter(letter));
            let account = account.map(|account| papers.add_account(account));
            let news =
                [letter, account].into_iter().flatten().any(|taken| taken.is_ok_and(|taken| taken.news));
            if news { shared.pools.keep(&papers) } else { Ok(()) }
        });
        kept.await.unwrap_or_else(|error| Err(Problem::bug(what, error.to_string(), None::<&str>)))
    }

    /// What lies between this realm and each other member, by the meters, if that is news.
    fn account(&self, key: &SigningKey, now: Millis) -> Option<Account> {
        let me = self.shared.realm();
        let known = self.papers.accounts().iter().find(|account| account.realm == me);
        let others = self.standing.charter.members.iter().filter(|member| member.realm != me);
        let rows: Vec<Used> = others.map(|member| lies_between(self.shared, member.realm)).collect();
        let is_news = match known {
            None => rows.iter().any(|row| row.kept > 0 || row.used > 0),
            Some(known) => {
                let is_old = now.since(known.at) >= ACCOUNT_EVERY;
                *known.with != *rows && (is_old || is_much_else(&known.with, &rows))
            }
        };
        let with = Bounded::fill(&mut rows.into_iter());
        is_news.then(|| Account::sign((self.standing.pool, me, now), with, key))
    }
}

/// Whether far more or less lies somewhere, so that it is worth telling at once.
fn is_much_else(known: &[Used], rows: &[Used]) -> bool {
    let sizes = |rows: &[Used]| -> BTreeMap<RealmId, [u64; 2]> {
        rows.iter().map(|row| (row.with, [row.kept, row.used])).collect()
    };
    let (known, rows) = (sizes(known), sizes(rows));
    rows.iter().any(|(with, now)| {
        let then = known.get(with).copied().unwrap_or_default();
        let mut pairs = then.into_iter().zip(*now);
        pairs.any(|(then, now)| then.abs_diff(now) > (then.max(now) / 2).max(1 << 20))
    })
}

/// What of another realm's lies here, and of this one's there as it was told last, also under grants that wind down.
fn lies_between(shared: &Shared, with: RealmId) -> Used {
    let view = shared.log.view();
    let grants = view.state().grants.iter();
    let rooms = grants.filter(|(_, grant)| grant.other == with && grant.terms.resource == Resource::Storage);
    let mut lies = Used { with, kept: 0, used: 0 };
    for (id, grant) in rooms {
        match grant.side {
            Side::Lends => {
                let kept = keeping::kept_here(shared, *id, grant).map_or(0, |about| about.kept);
                lies.kept = lies.kept.saturating_add(kept);
            }
            Side::Borrows => {
                let there = shared.rooms.standings(*id).into_values().filter_map(Result::ok);
                lies.used = there.fold(lies.used, |sum, about| sum.saturating_add(about.kept));
            }
        }
    }
    lies
}

fn again() -> Problem {
    let why = format!(
        "they have offered and ended something {AGAIN_MAX} times: what they offer now is accepted by hand"
    );
    Problem::refused("nothing was accepted", why, Some("freehold grant accept OFFER"))
}

/// What a member offers to this realm in its letter, if the charter has it lend something, and it is its own room. Nothing
/// else that a letter may say was agreed on.
fn due_to<'a>(me: &RealmId, shares: &[Share], letter: &'a Letter) -> Option<(Offer, &'a str)> {
    let is_due = |share: &Share| share.lender == letter.realm && share.borrower == *me;
    shares.iter().find(|share| is_due(share))?;
    let text = letter.offers.iter().find(|offered| offered.to == *me)?.text.as_str();
    let offer = Offer::from_text(text).ok()?;
    let is_theirs = offer.realm == letter.realm && offer.to == *me;
    (is_theirs && offer.terms.resource == Resource::Storage).then_some((offer, text))
}

/// What a letter says, wherever the machines are.
fn says(letter: &Letter) -> (Vec<u8>, &str, Vec<Option<GrantId>>) {
    let of = |offered: &Offered| Offer::from_text(offered.text.as_str()).ok().map(|offer| offer.grant);
    (letter.key.to_bytes(), letter.card.as_str(), letter.offers.iter().map(of).collect())
}

/// Whether one says where the machines were.
fn is_stale(known: &Letter, now: &Letter) -> bool {
    known.offers != now.offers && now.at.since(known.at) > ANEW_AFTER
}

#[cfg(test)]
mod tests {
    use freehold_crypt::{Algorithm, Secret};
    use freehold_realm::body::{Ceilings, Terms};
    use freehold_wire::{Name, OpId};

    use super::*;

    const ME: RealmId = RealmId::from_bytes([1; 32]);
    const LENDER: RealmId = RealmId::from_bytes([2; 32]);

    fn offer() -> Offer {
        let terms = Terms {
            resource: Resource::Storage,
            ceilings: Ceilings { bytes: 7, ..Ceilings::default() },
            from: Millis(1),
            until: Millis(2),
            wind_down_days: 3,
        };
        Offer {
            realm: LENDER,
            name: Name::new("smith").unwrap(),
            to: ME,
            grant: GrantId::from_bytes([3; 32]),
            said_in: OpId::from_bytes([4; 32]),
            terms,
            signers: Bounded::default(),
            contacts: Bounded::default(),
        }
    }

    fn letter(to: RealmId, offer: &Offer) -> Letter {
        let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([7; 32]));
        let offered = Offered { to, text: Text::new(offer.to_text()).unwrap() };
        let of = Digest::from_bytes([9; 32]);
        Letter::sign((of, LENDER, Millis(1)), Text::new("card").unwrap(), vec![offered], &key)
    }

    #[test]
    fn what_is_twice_as_much_is_told_at_once() {
        let rows = |kept: u64, used: u64| [Used { with: LENDER, kept, used }];
        let mib = |mib: u64| mib << 20;
        assert!(is_much_else(&rows(0, 0), &rows(mib(5), 0)) && is_much_else(&[], &rows(0, mib(5))));
        assert!(is_much_else(&rows(mib(100), 0), &rows(mib(49), 0)));
        assert!(!is_much_else(&rows(mib(100), mib(7)), &rows(mib(60), mib(8))));
        assert!(!is_much_else(&rows(0, 0), &rows(1 << 19, 0)), "little is no news");
    }

    #[test]
    fn only_room_of_ones_own_that_the_charter_names_is_taken() {
        let shares = [Share { lender: LENDER, borrower: ME, bytes: 7 }];
        let taken = |shares: &[Share], to: RealmId, offer: &Offer| {
            due_to(&ME, shares, &letter(to, offer)).map(|(offer, _)| offer)
        };
        assert_eq!(taken(&shares, ME, &offer()), Some(offer()));
        let other = RealmId::from_bytes([5; 32]);
        assert_eq!(taken(&[], ME, &offer()), None, "the charter has it lend nothing here");
        assert_eq!(taken(&[Share { borrower: other, ..shares[0] }], ME, &offer()), None);
        assert_eq!(taken(&shares, other, &offer()), None, "it is another's");
        assert_eq!(taken(&shares, ME, &Offer { to: other, ..offer() }), None);
        assert_eq!(taken(&shares, ME, &Offer { realm: other, ..offer() }), None, "in another's name");
        let gateway = Terms { resource: Resource::Gateway, ..offer().terms };
        assert_eq!(taken(&shares, ME, &Offer { terms: gateway, ..offer() }), None, "not room");
    }
}

//! A pool as people read it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use freehold_api::{
    PoolBalance, PoolDecide, PoolLending, PoolMember, PoolProposal, PoolRules, PoolShare, PoolStatus,
    Problem, words,
};
use freehold_pools::{
    Change, Charter, Decide, Differs, Member, Missing, Papers, Row, Rules, Share, Signed, Standing, allot,
    balance, dealing,
};
use freehold_realm::{Grant, Side};
use freehold_wire::{GrantId, RealmId};

use super::lending::{rooms, stand};
use crate::clock;
use crate::net::called;
use crate::net::called::Thing;
use crate::shared::Shared;

/// What people call a pool.
pub(super) fn name(papers: &Papers) -> String {
    let name = papers.standing().map(|standing| standing.charter.name);
    name.as_ref().unwrap_or(&papers.draft().name).as_str().to_owned()
}

/// The same, as it is typed.
pub(super) fn typed(papers: &Papers) -> String {
    words::typed(&name(papers)).into_owned()
}

/// What realms call themselves in their rows. Two who call themselves the same are told apart.
pub(super) struct Names {
    me: RealmId,
    names: BTreeMap<RealmId, String>,
}

impl Names {
    pub(super) fn of(shared: &Shared, papers: &Papers) -> Self {
        let mut newest: BTreeMap<RealmId, &Row> = BTreeMap::new();
        let tip = papers.standing().map(|standing| standing.charter);
        for row in papers.rows() {
            let realm = row.member.realm;
            // Nobody is called what somebody else's key says.
            let key = tip.as_ref().and_then(|tip| tip.member(&realm)).map(|member| member.key);
            if key.is_some_and(|key| key != row.member.key) {
                continue;
            }
            let known = newest.entry(realm).or_insert(row);
            if row.at > known.at {
                *known = row;
            }
        }
        let called: Vec<&str> = newest.values().map(|row| row.called.as_str()).collect();
        let is_one = |name: &str| called.iter().filter(|other| **other == name).count() == 1;
        let name = |(realm, row): (&RealmId, &&Row)| {
            let name = row.called.as_str();
            let name = if is_one(name) { name.to_owned() } else { format!("{name} ({})", realm.short()) };
            (*realm, name)
        };
        Self { me: shared.realm(), names: newest.iter().map(name).collect() }
    }

    pub(super) fn of_realm(&self, realm: &RealmId) -> String {
        self.names.get(realm).cloned().unwrap_or_else(|| realm.short())
    }

    /// The realm that is meant by a name, an id or the start of one.
    pub(super) fn realm(&self, what: &str, typed: &str) -> Result<RealmId, Problem> {
        let is_meant = |(realm, name): &(&RealmId, &String)| {
            name.as_str() == typed || (typed.len() >= 4 && realm.to_string().starts_with(typed))
        };
        let mut meant = self.names.iter().filter(is_meant);
        match (meant.next(), meant.next()) {
            (Some((realm, _)), None) => Ok(*realm),
            (found, _) => {
                let why = if found.is_none() { "no realm is called so" } else { "several are called so" };
                Err(Problem::not_found(what, format!("{typed}: {why}"), Some("freehold pool show POOL")))
            }
        }
    }

    fn all<'a>(&self, realms: impl IntoIterator<Item = &'a RealmId>) -> Vec<String> {
        realms.into_iter().map(|realm| self.of_realm(realm)).collect()
    }
}

/// The word for a place, as its realm wrote it.
pub(super) fn word(papers: &Papers, member: &Member) -> String {
    let written =
        papers.rows().find(|row| row.member.realm == member.realm && row.member.place == member.place);
    let written = written.or_else(|| papers.rows().find(|row| row.member.place == member.place));
    match written {
        Some(row) => row.stands.as_str().to_owned(),
        None if member.place.is_some() => member.place.to_string(),
        None => String::new(),
    }
}

/// What this realm has said of itself last, or what the charter says.
pub(super) fn own(papers: &Papers, realm: &RealmId) -> Option<Member> {
    if let Some(standing) = papers.standing() {
        return standing.charter.member(realm).copied();
    }
    let rows = papers.rows().filter(|row| row.member.realm == *realm);
    rows.max_by_key(|row| row.at).map(|row| row.member)
}

const fn rules(rules: Rules) -> PoolRules {
    let decide = match rules.decide {
        Decide::Most => PoolDecide::Majority,
        Decide::All => PoolDecide::All,
    };
    PoolRules { decide, notice_days: rules.notice_days, wind_down_days: rules.wind_down_days }
}

struct Teller<'a> {
    papers: &'a Papers,
    names: Names,
    standing: Option<Standing>,
    shares: Vec<Share>,
}

impl Teller<'_> {
    fn member(&self, member: &Member) -> PoolMember {
        let realm = member.realm;
        let sum = |of: &dyn Fn(&Share) -> bool| {
            self.shares.iter().filter(|share| of(share)).map(|share| share.bytes).fold(0, u64::saturating_add)
        };
        let standing = self.standing.as_ref();
        PoolMember {
            realm: realm.to_string(),
            name: self.names.of_realm(&realm),
            is_me: realm == self.names.me,
            share: PoolShare { gives: member.gives, uses: member.uses, place: word(self.papers, member) },
            shared_out: sum(&|share| share.lender == realm),
            has: sum(&|share| share.borrower == realm),
            leaves_ms: standing.and_then(|standing| standing.leaving.get(&realm)).map(|free| free.0),
            said_two_things: standing
                .is_some_and(|standing| standing.doubles.iter().any(|double| double.realm == realm)),
            balance: self.balance(&realm),
        }
    }

    /// What lies where, once somebody has said something of it.
    fn balance(&self, realm: &RealmId) -> Option<PoolBalance> {
        let lines = balance(self.standing.as_ref()?, &self.shares, self.papers.accounts());
        let line = lines.into_iter().find(|line| line.realm == *realm)?;
        let is_said = line.heard.is_some() || line.kept_as_told > 0 || line.used > 0;
        is_said.then(|| PoolBalance {
            keeps: line.kept,
            keeps_as_told: line.kept_as_told,
            uses_now: line.used,
            heard_ms: line.heard.map(|at| at.0),
        })
    }

    /// A row in words.
    fn row(&self, member: &Member) -> String {
        let place = word(self.papers, member);
        let place = if place.is_empty() { String::new() } else { format!("; it stands in {place}") };
        format!("gives {} and may use {}{place}", words::bytes(member.gives), words::bytes(member.uses))
    }

    /// What a charter says, or what it says otherwise.
    fn says(&self, charter: &Charter) -> Vec<String> {
        let name = |member: &Member| self.names.of_realm(&member.realm);
        let before = self.standing.as_ref().map(|standing| &standing.charter);
        let Some(before) = before.filter(|before| charter.before == Some(before.id())) else {
            let members =
                charter.members.iter().map(|member| format!("{} {}", name(member), self.row(member)));
            return members.chain(rules_lines(charter.rules, None)).collect();
        };
        let mut says = Vec::new();
        for member in &charter.members {
            match before.member(&member.realm) {
                None => says.push(format!("{} comes in: {}", name(member), self.row(member))),
                Some(known) if known == member => {}
                Some(known) => {
                    let key = if known.key == member.key { "" } else { ", under another key" };
                    let was = self.row(known);
                    says.push(format!("{} {}{key}; until now it {was}", name(member), self.row(member)));
                }
            }
        }
        let gone = before.members.iter().filter(|member| charter.member(&member.realm).is_none());
        says.extend(gone.map(|member| format!("{} is a member no more", name(member))));
        says.extend(rules_lines(charter.rules, Some(before.rules)));
        if charter.name != before.name {
            says.push(format!("it is called {}", charter.name));
        }
        says
    }

    fn proposal(&self, shared: &Shared, paper: &Signed) -> PoolProposal {
        let signers = paper.signers();
        let before = self.standing.as_ref().map(|standing| &standing.charter);
        let all = before.into_iter().chain([&paper.charter]).flat_map(|charter| charter.members.iter());
        let signed: BTreeSet<RealmId> = all
            .filter(|member| signers.contains(&member.key.to_bytes()))
            .map(|member| member.realm)
            .collect();
        let Missing { of, more } = self.papers.missing(paper);
        let mine = shared.keys.device.as_ref().map(|key| key.verifying());
        let waits = mine.map(|mine| self.papers.to_sign(&mine)).unwrap_or_default();
        PoolProposal {
            id: paper.charter.id().to_string(),
            says: self.says(&paper.charter),
            signed: self.names.all(&signed),
            missing: self.names.all(&of),
            more: more as u64,
            is_mine_to_sign: waits.iter().any(|waiting| waiting.charter == paper.charter),
        }
    }
}

fn rules_lines(rules: Rules, before: Option<Rules>) -> Vec<String> {
    let decide = match rules.decide {
        Decide::Most => "more than half of the members decide on changes",
        Decide::All => "all members together decide on changes",
    };
    let days = |days: u16| words::count(days.into(), "day");
    let lines = [
        (before.map(|before| before.decide != rules.decide), decide.to_owned()),
        (
            before.map(|before| before.notice_days != rules.notice_days),
            format!("who leaves says so {} before", days(rules.notice_days)),
        ),
        (
            before.map(|before| before.wind_down_days != rules.wind_down_days),
            format!("at the end what lies with others can be fetched for {}", days(rules.wind_down_days)),
        ),
    ];
    lines.into_iter().filter(|(differs, _)| differs.unwrap_or(true)).map(|(_, line)| line).collect()
}

fn teller<'a>(shared: &Shared, papers: &'a Papers) -> Teller<'a> {
    let standing = papers.standing();
    let shares = standing.as_ref().map(|standing| allot(standing.staying())).unwrap_or_default();
    Teller { papers, names: Names::of(shared, papers), standing, shares }
}

/// What a charter says, by papers in which it waits for signatures.
pub(super) fn as_proposed(shared: &Shared, papers: &Papers, charter: &Charter) -> Option<PoolProposal> {
    let paper = papers.charters().find(|paper| paper.charter == *charter)?;
    Some(teller(shared, papers).proposal(shared, paper))
}

/// How a pool stands, by the papers that are here.
pub(super) fn status(shared: &Shared, papers: &Papers) -> PoolStatus {
    let teller = teller(shared, papers);
    let waiting = papers.waiting();
    let rows = |rows: &[&Row]| rows.iter().map(|row| teller.member(&row.member)).collect::<Vec<_>>();
    let (members, waiting) = match &teller.standing {
        Some(standing) => {
            (standing.charter.members.iter().map(|member| teller.member(member)).collect(), rows(&waiting))
        }
        None => (rows(&waiting), Vec::new()),
    };
    let lending = lending(shared, papers, &teller);
    let counts = teller.standing.as_ref().map(|standing| &standing.charter);
    let proposals: Vec<PoolProposal> =
        papers.proposed().into_iter().map(|paper| teller.proposal(shared, paper)).collect();
    let name = counts.map_or(&papers.draft().name, |charter| &charter.name).as_str().to_owned();
    let in_touch = crate::net::papers::in_touch(shared.log.view().state(), clock::wall());
    let everybody = members.iter().chain(&waiting).filter(|one: &&PoolMember| !one.is_me);
    let is_cut_off = |one: &&PoolMember| !in_touch.iter().any(|realm| realm.to_string() == one.realm);
    let by_hand = everybody.filter(is_cut_off).map(|one| one.name.clone()).collect();
    PoolStatus {
        by_hand,
        id: papers.draft().id().to_string(),
        begun: teller.standing.is_some(),
        rules: rules(counts.map_or(papers.draft().rules, |charter| charter.rules)),
        next: next(shared, papers, &name, &proposals, &waiting)
            .into_iter()
            .chain(differing(shared, &teller))
            .collect(),
        name,
        members,
        waiting,
        lending,
        proposals,
    }
}

/// Who lends whom how much, and for how much of it there is a grant, as far as this realm knows.
fn lending(shared: &Shared, papers: &Papers, teller: &Teller<'_>) -> Vec<PoolLending> {
    let (me, now) = (shared.realm(), clock::wall());
    let view = shared.log.view();
    let [lent, had] = [Side::Lends, Side::Borrows].map(|side| stand(shared, view.state(), side, now));
    let in_the_way = shared.talk.in_the_way.lock().unwrap_or_else(PoisonError::into_inner);
    let told = teller.shares.iter().map(|share| {
        let Share { lender, borrower, bytes } = *share;
        let granted = match (lender == me, borrower == me) {
            (true, _) => Some(lent.get(&borrower).copied().unwrap_or(0)),
            (_, true) => Some(had.get(&lender).copied().unwrap_or(0)),
            _ => None,
        };
        let trouble = in_the_way.get(&(papers.draft().id(), lender, borrower)).cloned();
        let (lender, borrower) = (teller.names.of_realm(&lender), teller.names.of_realm(&borrower));
        PoolLending { lender, borrower, bytes, granted, trouble }
    });
    told.collect()
}

/// Grants that are not what the charter says: what it takes to change them ends them.
fn differing(shared: &Shared, teller: &Teller<'_>) -> Vec<String> {
    let Some(standing) = &teller.standing else { return Vec::new() };
    let (me, now, view) = (shared.realm(), clock::wall(), shared.log.view());
    // Whoever is no member lends nothing by it.
    if standing.charter.member(&me).is_none() {
        return Vec::new();
    }
    let lent = stand(shared, view.state(), Side::Lends, now);
    let called = called(shared, view.state());
    let told = dealing(&me, standing, &lent, now).differs.into_iter().map(|differs| {
        let Differs { with, stands, due } = differs;
        let is_theirs = |(_, grant): &(GrantId, &Grant)| grant.other == with;
        let grant = rooms(view.state(), Side::Lends, now).find(is_theirs);
        let grant = grant.map(|(id, _)| called.name(Thing::Grant(id))).unwrap_or_default();
        let after =
            if due == 0 { "" } else { "    (then the charter's is offered; what lies there is copied)" };
        format!(
            "this realm lends {} {}, and the charter says {}: freehold grant revoke {}{after}",
            teller.names.of_realm(&with),
            words::bytes(stands),
            words::bytes(due),
            words::typed(&grant),
        )
    });
    told.collect()
}

/// What is to be typed or done next here.
fn next(
    shared: &Shared,
    papers: &Papers,
    name: &str,
    proposals: &[PoolProposal],
    waiting: &[PoolMember],
) -> Vec<String> {
    let pool = words::typed(name).into_owned();
    let mut next = Vec::new();
    let founds = papers.standing().is_none() && papers.draft().realm == shared.realm();
    if founds {
        match papers.proposal(&Change::default(), clock::wall()) {
            Ok(charter) if !proposals.iter().any(|known| known.id == charter.id().to_string()) => {
                next.push(format!("when all are in it who are to be: freehold pool sign {pool}"));
            }
            Ok(_) => {}
            Err(_) => next.push(format!(
                "hand the papers to those who are to be in it, and take theirs: freehold pool invite {pool}"
            )),
        }
    }
    if proposals.iter().any(|proposal| proposal.is_mine_to_sign) && !founds {
        next.push(format!("freehold pool sign {pool}"));
    }
    for proposal in proposals.iter().filter(|proposal| !proposal.is_mine_to_sign) {
        let more = if proposal.more > 0 { format!("{} more", proposal.more) } else { String::new() };
        let whose: Vec<String> =
            proposal.missing.iter().cloned().chain((!more.is_empty()).then_some(more)).collect();
        next.push(format!(
            "{} waits for {}: hand them the papers, and take theirs: freehold pool papers import PAPERS",
            proposal.id.get(..8).unwrap_or_default(),
            whose.join(", ")
        ));
    }
    if papers.standing().is_none() && !founds && proposals.is_empty() {
        next.push(format!("hand the papers back to who founds it: freehold pool papers export {pool}"));
    }
    for realm in waiting.iter().filter(|realm| !realm.is_me) {
        next.push(format!("freehold pool change {pool} --let-in {}", words::typed(&realm.name)));
    }
    next
}

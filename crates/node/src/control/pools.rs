//! Pools, from the API to the papers: what is signed here is signed by the key of this machine's admin.

mod lending;
mod told;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use freehold_api::{
    NewPool, PoolChange, PoolControl, PoolDecide, PoolHanded, PoolPapers, PoolRules, PoolShare, PoolStatus,
    PoolToJoin, PoolToSign, Problem, words,
};
use freehold_crypt::SigningKey;
use freehold_pools::{
    About, Change, Charter, Decide, Draft, Leaving, Letter, NoChange, Notice, Papers, Row, Rules, Unwished,
    Wrong,
};
use freehold_realm::Standing;
use freehold_wire::{Digest, Millis, RealmId, Text};

use super::Answers;
use super::grants::own_name;
use super::realm::name_of;
use crate::clock;
use crate::pools::{papers_of, papers_text};
use crate::shared::Shared;

pub(crate) use lending::deal;
use told::{Names, status};

const NOT_FOUNDED: &str = "no pool was founded";
const NOT_JOINED: &str = "no pool was joined";
const NOT_TAKEN: &str = "no papers were taken in";
const NOT_SIGNED: &str = "nothing was signed";
const NOT_CHANGED: &str = "nothing was proposed";
const NOT_LEFT: &str = "no pool was left";
const ELSEWHERE: &str = "freehold node list    (type it on that machine)";
const LIST: &str = "freehold pool list";
const DAY: u64 = 24 * 3_600_000;
/// The longest notice and winding down.
const DAYS_MAX: u16 = 366;

#[async_trait]
impl PoolControl for Answers {
    async fn pools(&self) -> Result<Vec<PoolStatus>, Problem> {
        self.at_the_desk(|shared| Ok(shared.pools.all()?.iter().map(|one| status(shared, one)).collect()))
            .await
    }

    async fn new_pool(&self, wish: NewPool, dry_run: bool) -> Result<PoolHanded, Problem> {
        self.at_the_desk(move |shared| done(shared, &found(shared, &wish)?, dry_run)).await
    }

    async fn join_pool(&self, wish: PoolToJoin, dry_run: bool) -> Result<PoolHanded, Problem> {
        self.at_the_desk(move |shared| done(shared, &join(shared, &wish)?, dry_run)).await
    }

    async fn take_pool_papers(&self, papers: PoolPapers) -> Result<PoolHanded, Problem> {
        let take = move |shared: &Shared| done(shared, &taken(shared, NOT_TAKEN, &papers.papers)?, false);
        let handed = self.at_the_desk(take).await?;
        self.dealt(handed).await
    }

    async fn pool_papers(&self, pool: &str) -> Result<PoolHanded, Problem> {
        let pool = pool.to_owned();
        self.at_the_desk(move |shared| Ok(handed(shared, &named(shared, &pool)?))).await
    }

    async fn sign_pool(&self, wish: PoolToSign, dry_run: bool) -> Result<PoolHanded, Problem> {
        let handed = self.at_the_desk(move |shared| sign(shared, &wish, dry_run)).await?;
        self.dealt(handed).await
    }

    async fn change_pool(&self, pool: &str, wish: PoolChange, dry_run: bool) -> Result<PoolHanded, Problem> {
        let pool = pool.to_owned();
        let change = move |shared: &Shared| done(shared, &change(shared, &pool, &wish)?, dry_run);
        let handed = self.at_the_desk(change).await?;
        self.dealt(handed).await
    }

    async fn leave_pool(&self, pool: &str, dry_run: bool) -> Result<Option<PoolHanded>, Problem> {
        let pool = pool.to_owned();
        self.at_the_desk(move |shared| leave(shared, &pool, dry_run)).await
    }
}

impl Answers {
    /// Carries something out with the papers, on a thread that may wait for the disk, one at a time, to its end.
    async fn at_the_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let errand = move |shared: Arc<Shared>| async move {
            let done = tokio::task::spawn_blocking(move || {
                let _turn = shared.pools.turn();
                work(&shared)
            });
            done.await.unwrap_or_else(|error| {
                Err(Problem::bug("what was asked was not carried out", error.to_string(), None::<&str>))
            })
        };
        self.0.to_the_end(errand).await
    }

    /// The papers with what is offered by what they say now: so that a hand carries both at once.
    async fn dealt(&self, handed: PoolHanded) -> Result<PoolHanded, Problem> {
        if handed.papers.is_none() || !handed.pool.begun {
            return Ok(handed);
        }
        let errand = |shared: Arc<Shared>| async move {
            deal(&shared).await;
            Ok(())
        };
        self.0.to_the_end(errand).await?;
        self.at_the_desk(move |shared| {
            let is_it = |papers: &Papers| papers.draft().id().to_string() == handed.pool.id;
            let papers = shared.pools.all()?.into_iter().find(is_it);
            Ok(papers.map_or(handed, |papers| self::handed(shared, &papers)))
        })
        .await
    }
}

/// Keeps what was done, unless it was a trial.
fn done(shared: &Shared, papers: &Papers, dry_run: bool) -> Result<PoolHanded, Problem> {
    if dry_run {
        return Ok(PoolHanded { pool: status(shared, papers), papers: None });
    }
    shared.pools.keep(papers)?;
    Ok(handed(shared, papers))
}

fn handed(shared: &Shared, papers: &Papers) -> PoolHanded {
    PoolHanded { pool: status(shared, papers), papers: Some(papers_text(papers)) }
}

/// The key of this machine's device, if that is an admin's: it signs for the realm in its pools.
fn signer(shared: &Shared, what: &str) -> Result<Arc<SigningKey>, Problem> {
    let view = shared.log.view();
    let state = view.state();
    let is_admins = |key: &Arc<SigningKey>| {
        state.device(&key.verifying().id()).is_some_and(|(person, device)| {
            device.standing == Standing::Active && state.active_admins().any(|(admin, _)| *admin == person)
        })
    };
    shared.keys.device.clone().filter(is_admins).ok_or_else(|| {
        crate::problem::wrong_state(
            what,
            "this machine is no admin's device, so it cannot sign for the realm",
        )
    })
}

fn named(shared: &Shared, typed: &str) -> Result<Papers, Problem> {
    let all = shared.pools.all()?;
    let is_meant = |papers: &&Papers| {
        let id = papers.draft().id().to_string();
        told::name(papers) == typed || (typed.len() >= 4 && id.starts_with(typed))
    };
    let mut meant = all.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(one.clone()),
        (None, _) => {
            Err(Problem::not_found(format!("there is no pool {typed}"), "none is called so", Some(LIST)))
        }
        (Some(_), Some(_)) => Err(Problem::conflict(
            format!("it is not known which pool {typed} is meant"),
            "several are called so",
            Some(format!("{LIST}    (shows their ids)")),
        )),
    }
}

/// What is kept of the pool that papers are of; nothing is believed of them yet.
fn known(shared: &Shared, read: &Papers) -> Result<Papers, Problem> {
    let id = read.draft().id();
    let known = shared.pools.all()?.into_iter().find(|papers| papers.draft().id() == id);
    Ok(known.unwrap_or_else(|| Papers::of(read.draft().clone())))
}

/// What is here of the pool that the texts are of, with all that is in them and can be believed.
fn taken(shared: &Shared, what: &str, texts: &[String]) -> Result<Papers, Problem> {
    let asked = "ask a member: freehold pool papers export POOL";
    let mut here: Option<Papers> = None;
    for text in texts {
        let read = papers_of(text).map_err(|error| Problem::invalid(what, error.to_string(), Some(asked)))?;
        let mut papers = match here.take() {
            Some(papers) => papers,
            None => known(shared, &read)?,
        };
        papers.take(&read).map_err(|wrong| untaken(what, wrong))?;
        here = Some(papers);
    }
    here.ok_or_else(|| Problem::invalid(what, "there were no papers", Some(asked)))
}

fn untaken(what: &str, wrong: Wrong) -> Problem {
    match wrong {
        Wrong::Another => Problem::invalid(
            what,
            "the papers are of different pools",
            Some("hand in those of one pool at a time"),
        ),
        Wrong::TooMany => {
            Problem::refused(what, "there are more charters than a pool can have", Some("found a new pool"))
        }
    }
}

/// A word that others will read.
fn text<const N: usize>(what: &str, typed: &str) -> Result<Text<N>, Problem> {
    let plain = typed.trim();
    let next = format!("choose a word of at most {N} bytes, on one line");
    if plain.chars().any(char::is_control) {
        return Err(Problem::invalid(what, format!("{typed:?} is not plain text"), Some(next)));
    }
    Text::new(plain).map_err(|error| Problem::invalid(what, error.to_string(), Some(next)))
}

fn rules(what: &str, wish: PoolRules) -> Result<Rules, Problem> {
    if wish.notice_days > DAYS_MAX || wish.wind_down_days > DAYS_MAX {
        let why = format!("notice and winding down are at most {DAYS_MAX} days each");
        return Err(Problem::invalid(what, why, Some("--notice 30d --wind-down 30d")));
    }
    let decide = match wish.decide {
        PoolDecide::Majority => Decide::Most,
        PoolDecide::All => Decide::All,
    };
    Ok(Rules { decide, notice_days: wish.notice_days, wind_down_days: wish.wind_down_days })
}

fn row(shared: &Shared, what: &str, of: Digest, share: &PoolShare) -> Result<Row, Problem> {
    let key = signer(shared, what)?;
    let about = About {
        realm: shared.realm(),
        called: text(what, own_name(shared)?.as_str())?,
        stands: text(what, &share.place)?,
        gives: share.gives,
        uses: share.uses,
    };
    Ok(Row::sign(of, clock::wall(), about, &key))
}

fn found(shared: &Shared, wish: &NewPool) -> Result<Papers, Problem> {
    let (key, name) = (signer(shared, NOT_FOUNDED)?, name_of(&wish.name)?);
    if shared.pools.all()?.iter().any(|papers| told::name(papers) == name.as_str()) {
        let why = format!("a pool is called {} already", name.as_str());
        return Err(Problem::conflict(NOT_FOUNDED, why, Some(LIST)));
    }
    let draft = Draft {
        name: text(NOT_FOUNDED, name.as_str())?,
        rules: rules(NOT_FOUNDED, wish.rules)?,
        realm: shared.realm(),
        key: key.verifying(),
        at: clock::wall(),
    };
    let row = row(shared, NOT_FOUNDED, draft.id(), &wish.share)?;
    let mut papers = Papers::of(draft);
    papers.add_row(row).map_err(|wrong| untaken(NOT_FOUNDED, wrong))?;
    introduced(shared, &mut papers, &key);
    Ok(papers)
}

fn join(shared: &Shared, wish: &PoolToJoin) -> Result<Papers, Problem> {
    let mut papers = taken(shared, NOT_JOINED, std::slice::from_ref(&wish.papers))?;
    let standing = papers.standing();
    let is_in = |standing: &freehold_pools::Standing| standing.charter.member(&shared.realm()).is_some();
    if standing.as_ref().is_some_and(is_in) || papers.draft().realm == shared.realm() {
        let pool = told::typed(&papers);
        let next = format!("freehold pool change {pool} --give 500GiB");
        return Err(Problem::conflict(NOT_JOINED, "this realm is in it already", Some(next)));
    }
    let of = standing.map_or_else(|| papers.draft().id(), |standing| standing.charter.id());
    let row = row(shared, NOT_JOINED, of, &wish.share)?;
    papers.add_row(row).map_err(|wrong| untaken(NOT_JOINED, wrong))?;
    introduced(shared, &mut papers, &*signer(shared, NOT_JOINED)?);
    Ok(papers)
}

/// Adds by what others can lend to this realm, so that they can as soon as all have signed.
fn introduced(shared: &Shared, papers: &mut Papers, key: &SigningKey) {
    let is_mine = |letter: &Letter| letter.realm == shared.realm() && letter.key == key.verifying();
    if !papers.letters().any(is_mine)
        && let Some(letter) = lending::first_letter(shared, papers.draft().id(), key)
    {
        // Where there is no room for it, it is written once the charter counts.
        let _kept = papers.add_letter(letter);
    }
}

/// Signs what waits. Whoever founds a pool makes its first charter by that, of all rows that are there.
fn sign(shared: &Shared, wish: &PoolToSign, dry_run: bool) -> Result<PoolHanded, Problem> {
    let key = signer(shared, NOT_SIGNED)?;
    let mut papers = match (&wish.pool, wish.papers.as_slice()) {
        (Some(pool), []) => named(shared, pool)?,
        (None, [_, ..]) => taken(shared, NOT_SIGNED, &wish.papers)?,
        (Some(pool), [_, ..]) => {
            let (known, handed) = (named(shared, pool)?, taken(shared, NOT_SIGNED, &wish.papers)?);
            if known.draft() != handed.draft() {
                return Err(untaken(NOT_SIGNED, Wrong::Another));
            }
            handed
        }
        (None, []) => return Err(Problem::invalid(NOT_SIGNED, "it is not said of which pool", Some(LIST))),
    };
    let charter = meant(shared, &papers, wish.charter.as_deref(), &key)?;
    // What is read on trial says what would be otherwise, also where it would count at once.
    let read = told::as_proposed(shared, &papers, &charter);
    papers.sign(&charter, shared.realm(), &key).map_err(|why| unsigned(shared, &papers, &charter, why))?;
    let read = read.or_else(|| told::as_proposed(shared, &papers, &charter));
    introduced(shared, &mut papers, &key);
    let mut handed = done(shared, &papers, dry_run)?;
    if dry_run {
        handed.pool.proposals = read.into_iter().collect();
    }
    Ok(handed)
}

/// What is to be signed, if that is clear.
fn meant(
    shared: &Shared,
    papers: &Papers,
    typed: Option<&str>,
    key: &SigningKey,
) -> Result<Charter, Problem> {
    let founds = papers.draft().key == key.verifying() && papers.standing().is_none();
    if founds && typed.is_none() {
        let charter = papers.proposal(&Change::default(), clock::wall());
        let charter = charter.map_err(|why| unchanged(shared, papers, NOT_SIGNED, why))?;
        let known = papers.charters().find(|paper| paper.charter == charter);
        if known.is_some_and(|paper| paper.signers().contains(&key.verifying().to_bytes())) {
            return Err(nothing_to_sign(papers));
        }
        return Ok(charter);
    }
    let mut waiting = papers.to_sign(&key.verifying());
    if let Some(typed) = typed {
        waiting.retain(|paper| typed.len() >= 4 && paper.charter.id().to_string().starts_with(typed));
    }
    match waiting.as_slice() {
        [one] => Ok(one.charter.clone()),
        [] => Err(nothing_to_sign(papers)),
        several => {
            let ids: Vec<String> = several.iter().map(|paper| paper.charter.id().short()).collect();
            let why = format!("{} wait: {}", words::count(several.len() as u64, "change"), ids.join(", "));
            let pool = told::typed(papers);
            let first = ids.first().map_or("ID", String::as_str);
            let next =
                format!("freehold pool show {pool}, then: freehold pool sign {pool} --charter {first}");
            Err(Problem::conflict(NOT_SIGNED, why, Some(next)))
        }
    }
}

fn nothing_to_sign(papers: &Papers) -> Problem {
    let next = format!("freehold pool show {}    (shows whose signatures are missing)", told::typed(papers));
    Problem::conflict(NOT_SIGNED, "nothing waits for this realm's signature", Some(next))
}

fn unsigned(shared: &Shared, papers: &Papers, charter: &Charter, why: Unwished) -> Problem {
    let pool = told::typed(papers);
    match why {
        Unwished::Row => {
            let mine = charter.member(&shared.realm());
            let (gives, uses) = mine.map_or((0, 0), |mine| (mine.gives, mine.uses));
            Problem::refused(
                NOT_SIGNED,
                "it says of this realm what this machine has never said",
                Some(format!("if that is meant: freehold pool change {pool} --give {gives} --use {uses}")),
            )
        }
        Unwished::Double(other) => Problem::refused(
            NOT_SIGNED,
            format!(
                "this realm has signed {} with the same number: whoever signs two stands out",
                other.short()
            ),
            Some(format!("freehold pool change {pool}    (proposes it under a number of its own)")),
        ),
        Unwished::Gone => Problem::conflict(
            NOT_SIGNED,
            "it follows a charter that does not count any more, or is nothing that this realm decides on",
            Some(format!("freehold pool show {pool}")),
        ),
        Unwished::Full => untaken(NOT_SIGNED, Wrong::TooMany),
    }
}

fn unchanged(shared: &Shared, papers: &Papers, what: &str, why: NoChange) -> Problem {
    let pool = told::typed(papers);
    let names = Names::of(shared, papers);
    let show = format!("freehold pool show {pool}");
    let invite = format!("freehold pool invite {pool}    (prints what another realm joins by)");
    match why {
        NoChange::Alone => Problem::refused(what, "a pool takes two realms at least", Some(invite)),
        NoChange::TwoKeys(realm) => Problem::refused(
            what,
            format!("two keys say that they are {}", names.of_realm(&realm)),
            Some("ask them which it is, and found the pool anew: freehold pool new".to_owned()),
        ),
        NoChange::NotWaiting(realm) => {
            Problem::refused(what, format!("{} has not asked to join", names.of_realm(&realm)), Some(invite))
        }
        NoChange::NoMember(realm) => {
            Problem::refused(what, format!("{} is no member", names.of_realm(&realm)), Some(show))
        }
        NoChange::Nothing => Problem::conflict(what, "it is so already", Some(show)),
        NoChange::Full => {
            Problem::refused(what, "the pool was changed too often", Some("freehold pool new".to_owned()))
        }
        NoChange::Unsound => Problem::invalid(
            what,
            "there are more than 32 members, one key stands for two, or somebody gives or uses more than 1 PiB",
            Some(show),
        ),
    }
}

fn change(shared: &Shared, pool: &str, wish: &PoolChange) -> Result<Papers, Problem> {
    let (key, mut papers) = (signer(shared, NOT_CHANGED)?, named(shared, pool)?);
    let names = Names::of(shared, &papers);
    let standing = papers.standing();
    let is_own = wish.gives.is_some() || wish.uses.is_some() || wish.place.is_some();
    let own = if is_own { Some(own_row(shared, &papers, wish)?) } else { None };
    if let Some(row) = &own {
        papers.add_row(row.clone()).map_err(|wrong| untaken(NOT_CHANGED, wrong))?;
    }
    let Some(standing) = standing else {
        if own.is_some() && *wish == only_own(wish) {
            return Ok(papers);
        }
        let next = "freehold pool new    (with what is meant)";
        let why = "it has not begun: until then each realm says its own, and the rest is as its founder said";
        return Err(Problem::refused(NOT_CHANGED, why, Some(next)));
    };
    let known = &standing.charter.rules;
    let decide = match known.decide {
        Decide::Most => PoolDecide::Majority,
        Decide::All => PoolDecide::All,
    };
    let wished = PoolRules {
        decide: wish.decide.unwrap_or(decide),
        notice_days: wish.notice_days.unwrap_or(known.notice_days),
        wind_down_days: wish.wind_down_days.unwrap_or(known.wind_down_days),
    };
    let realms = |typed: &[String]| -> Result<BTreeSet<RealmId>, Problem> {
        typed.iter().map(|typed| names.realm(NOT_CHANGED, typed)).collect()
    };
    let change = Change {
        row: own.map(|row| row.member),
        let_in: realms(&wish.let_in)?,
        out: realms(&wish.out)?,
        rules: Some(rules(NOT_CHANGED, wished)?),
        name: wish.name.as_deref().map(|typed| text(NOT_CHANGED, name_of(typed)?.as_str())).transpose()?,
    };
    let charter = papers.proposal(&change, clock::wall());
    let charter = charter.map_err(|why| unchanged(shared, &papers, NOT_CHANGED, why))?;
    papers.sign(&charter, shared.realm(), &key).map_err(|why| unsigned(shared, &papers, &charter, why))?;
    Ok(papers)
}

/// What of a wish is about one's own row.
fn only_own(wish: &PoolChange) -> PoolChange {
    let PoolChange { gives, uses, place, .. } = wish.clone();
    PoolChange { gives, uses, place, ..PoolChange::default() }
}

fn own_row(shared: &Shared, papers: &Papers, wish: &PoolChange) -> Result<Row, Problem> {
    let (realm, standing) = (shared.realm(), papers.standing());
    let known = told::own(papers, &realm).ok_or_else(|| {
        let next = "freehold pool join PAPERS --give 500GiB --use 300GiB";
        Problem::refused(NOT_CHANGED, "this realm is not in it", Some(next))
    })?;
    if signer(shared, NOT_CHANGED)?.verifying() != known.key {
        let why = "the key that signs for this realm in the pool is another machine's";
        return Err(Problem::refused(NOT_CHANGED, why, Some(ELSEWHERE)));
    }
    let place = wish.place.clone().unwrap_or_else(|| told::word(papers, &known));
    let (gives, uses) = (wish.gives.unwrap_or(known.gives), wish.uses.unwrap_or(known.uses));
    let of = standing.map_or_else(|| papers.draft().id(), |standing| standing.charter.id());
    row(shared, NOT_CHANGED, of, &PoolShare { gives, uses, place })
}

fn leave(shared: &Shared, pool: &str, dry_run: bool) -> Result<Option<PoolHanded>, Problem> {
    let (mut papers, realm, now) = (named(shared, pool)?, shared.realm(), clock::wall());
    let pool = told::typed(&papers);
    let Some(standing) = papers.standing() else {
        let mine = shared.keys.device.as_ref().map(|key| key.verifying().to_bytes());
        let has =
            |paper: &freehold_pools::Signed| mine.as_ref().is_some_and(|mine| paper.signers().contains(mine));
        if papers.charters().any(has) {
            let why = "this realm has signed it: it binds this realm once the others have";
            let next = format!("freehold pool show {pool}; once it has begun: freehold pool leave {pool}");
            return Err(Problem::refused(NOT_LEFT, why, Some(next)));
        }
        return forgotten(shared, &papers, dry_run);
    };
    if !standing.binds(&realm, now) {
        return forgotten(shared, &papers, dry_run);
    }
    if let Some(free) = standing.leaving.get(&realm) {
        let why = format!("this realm has said that it leaves, and is bound until {}", words::date(free.0));
        return Err(Problem::conflict(NOT_LEFT, why, Some(format!("freehold pool show {pool}"))));
    }
    let key = signer(shared, NOT_LEFT)?;
    let row = standing.charter.member(&realm);
    if row.is_none_or(|row| row.key != key.verifying()) {
        let why = "the key that signs for this realm in the pool is another machine's";
        return Err(Problem::refused(NOT_LEFT, why, Some(ELSEWHERE)));
    }
    let last = now.plus(Millis(u64::from(standing.charter.rules.notice_days) * DAY));
    let leaving = Leaving { pool: standing.pool, realm, at: now, last };
    papers.add_notice(Notice::sign(leaving, &key)).map_err(|wrong| untaken(NOT_LEFT, wrong))?;
    done(shared, &papers, dry_run).map(Some)
}

fn forgotten(shared: &Shared, papers: &Papers, dry_run: bool) -> Result<Option<PoolHanded>, Problem> {
    if !dry_run {
        shared.pools.forget(&papers.draft().id())?;
    }
    Ok(None)
}

//! Sees to it that there is a good certificate for each name that is wanted: kept ones at once, new ones one
//! after the other, renewed in time. Who fails is tried again later each time, over a restart, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use freehold_wire::Millis;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::acme::{Acme, AcmeError, Method};
use crate::authority::{Authority, AuthorityError};
use crate::keep::{Keep, KeepError};
use crate::shelf::Shelf;
use crate::{Bundle, due};

/// The clock may be set meanwhile, and authorities change their minds.
const LOOK: Duration = Duration::from_hours(6);
/// At least so long between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// After a certificate was had, another for the same names is asked for no sooner, whatever its authority suggests:
/// they count by the week, and nobody gets more of them.
const REST: Duration = Duration::from_hours(1);
/// No wait is longer, so one that ends later was noted by a clock that was wrong.
const WAIT_MAX: Duration = Duration::from_hours(13);

/// Who signs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The realm's own authority.
    Realm,
    /// A public one, which sees by this method that the name is ours.
    Public(Method),
}

/// A certificate that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its names in lower case; it is kept under the first.
    pub names: Vec<String>,
    /// Who signs it.
    pub signer: Signer,
}

impl Wanted {
    fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Where it is kept: `*` is no letter of a file's name.
    fn place(&self) -> String {
        format!("cert-{}", self.name().replace('*', "_"))
    }

    fn note_place(&self) -> String {
        format!("note-{}", self.name().replace('*', "_"))
    }
}

/// How it stands with a certificate that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its first name.
    pub name: String,
    /// Until when the one that is there is good, if one is.
    pub until: Option<Millis>,
    /// When another is asked for.
    pub next: Millis,
    /// How often that has failed in a row.
    pub failures: u32,
    /// Why, the last time.
    pub error: Option<String>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum NoCertificate {
    /// The public authority gave none.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// The realm's own gave none.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// It cannot be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// There is nobody to sign it.
    #[error("no authority is set up that signs {0}; name one, or have the realm's own")]
    Nobody(String),
}

/// What is remembered of the last try, so that a restart does not ask more often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    failures: u32,
    not_before: u64,
    error: String,
    /// What the last certificate was had for, if that was no failure.
    #[serde(default)]
    had: Vec<String>,
}

impl Note {
    /// How long nothing more is asked for.
    fn rests_until(&self, names: &[String], now: Millis) -> Millis {
        let sane = self.not_before <= now.0.saturating_add(millis(WAIT_MAX));
        let counts = self.failures > 0 || self.had == names;
        Millis(if sane && counts { self.not_before } else { 0 })
    }
}

/// Keeps certificates good.
pub struct Keeper {
    keep: Arc<dyn Keep>,
    shelf: Arc<Shelf>,
    authority: Option<Arc<Authority>>,
    acme: Option<Arc<Acme>>,
    known: BTreeMap<String, Known>,
}

#[derive(Debug, Default)]
struct Known {
    bundle: Option<Bundle>,
    note: Note,
    /// What the authority suggests, and when to ask again.
    window: Option<(Millis, Millis)>,
    ask_again: Millis,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Signs by the authorities that are given; puts certificates on the shelf.
    pub fn new(
        keep: Arc<dyn Keep>,
        shelf: Arc<Shelf>,
        authority: Option<Arc<Authority>>,
        acme: Option<Arc<Acme>>,
    ) -> Self {
        Self { keep, shelf, authority, acme, known: BTreeMap::new() }
    }

    /// Works until cancelled: whenever something else is wanted, and whenever something is due. Says in
    /// `standing` how it stands with each. Cancelled while a name is proved, it may leave a record in the zone:
    /// it proves nothing any more.
    pub async fn run(
        mut self,
        mut wanted: watch::Receiver<Vec<Wanted>>,
        standing: watch::Sender<Vec<Standing>>,
        cancel: CancellationToken,
    ) {
        loop {
            let now_wanted = wanted.borrow_and_update().clone();
            let next = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                next = self.round(&now_wanted, &standing) => next,
            };
            let wait = Duration::from_millis(next.0.saturating_sub(now().0)).clamp(PAUSE, LOOK);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                changed = wanted.changed() => if changed.is_err() { return },
                () = sleep(wait) => {}
            }
        }
    }

    /// Looks at each certificate once, and says when to look next.
    async fn round(&mut self, wanted: &[Wanted], standing: &watch::Sender<Vec<Standing>>) -> Millis {
        let once = once(wanted);
        for one in &once {
            self.learn(one).await;
        }
        self.known.retain(|name, _| once.iter().any(|one| one.name() == name));
        self.fill();
        standing.send_replace(self.standings(wanted));
        for one in &once {
            self.hear(one).await;
            if self.due(one) <= now() {
                self.renew(one).await;
                self.fill();
                standing.send_replace(self.standings(wanted));
            }
        }
        once.iter().map(|one| self.due(one)).min().unwrap_or(Millis(u64::MAX))
    }

    fn fill(&self) {
        self.shelf.fill(self.known.values().filter_map(|known| known.bundle.as_ref()));
    }

    /// Reads what is kept, the first time.
    async fn learn(&mut self, one: &Wanted) {
        // One for fewer names than are wanted now is served until there is another.
        if !self.known.contains_key(one.name()) {
            let (bundle, note) = (self.kept(&one.place()).await, self.kept(&one.note_place()).await);
            let bundle = bundle.and_then(|pem| Bundle::read(pem).ok());
            let note = note.and_then(|note| serde_json::from_slice(&note).ok()).unwrap_or_default();
            let known = Known { bundle, note, ..Known::default() };
            self.known.insert(one.name().to_owned(), known);
        }
    }

    /// Hears what the authority suggests, which may take its time.
    async fn hear(&mut self, one: &Wanted) {
        let Some(known) = self.known.get_mut(one.name()) else { return };
        if let (Some(bundle), Signer::Public(_), Some(acme)) = (&known.bundle, one.signer, &self.acme)
            && known.ask_again <= now()
        {
            let heard = acme.window(bundle).await;
            let again = heard.map_or(LOOK, |(_, again)| again.clamp(Duration::from_mins(1), LOOK * 4));
            known.window = heard.map(|(window, _)| window);
            known.ask_again = Millis(now().0.saturating_add(millis(again)));
        }
    }

    async fn kept(&self, place: &str) -> Option<Zeroizing<Vec<u8>>> {
        match self.keep.load(place).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "a kept certificate is not used");
                None
            }
        }
    }

    /// When another certificate is to be had.
    fn due(&self, one: &Wanted) -> Millis {
        let Some(known) = self.known.get(one.name()) else { return Millis(0) };
        let good = known.bundle.as_ref().filter(|bundle| bundle.is_for(&one.names));
        let due = good.map_or(Millis(0), |bundle| {
            due::renewal(bundle.from(), bundle.until(), known.window, bundle.draw())
        });
        due.max(known.note.rests_until(&one.names, now()))
    }

    async fn renew(&mut self, one: &Wanted) {
        let made = self.obtain(one).await;
        let Some(known) = self.known.get_mut(one.name()) else { return };
        match made {
            Ok(bundle) => {
                tracing::info!(until = bundle.until().0, "a certificate was made");
                let not_before = now().0.saturating_add(millis(REST));
                let note = Note { not_before, had: one.names.clone(), ..Note::default() };
                *known = Known { bundle: Some(bundle), note, ..Known::default() };
            }
            Err(error) => {
                let failures = known.note.failures.saturating_add(1);
                let left =
                    known.bundle.as_ref().map(|bundle| Millis(bundle.until().0.saturating_sub(now().0)));
                let wait = due::again(failures, left, getrandom::u64().unwrap_or_default());
                let not_before = now().0.saturating_add(wait.0);
                tracing::warn!(%error, failures, "no certificate; it is tried again later");
                known.note = Note { failures, not_before, error: error.to_string(), had: Vec::new() };
            }
        }
        let note = serde_json::to_vec(&known.note).unwrap_or_default();
        if let Err(error) = self.keep.save(&one.note_place(), Zeroizing::new(note)).await {
            tracing::warn!(%error, "when it was tried last is not remembered");
        }
    }

    async fn obtain(&self, one: &Wanted) -> Result<Bundle, NoCertificate> {
        let nobody = || NoCertificate::Nobody(one.name().to_owned());
        let bundle = match one.signer {
            Signer::Realm => {
                let authority = self.authority.as_ref().ok_or_else(nobody)?;
                authority.issue(&one.names, &[], now())?
            }
            Signer::Public(method) => {
                let acme = self.acme.as_ref().ok_or_else(nobody)?;
                let before = self.known.get(one.name()).and_then(|known| known.bundle.as_ref());
                let before = before.filter(|bundle| bundle.is_for(&one.names));
                // Whoever else keeps it in the same place may have been faster.
                if let Some(newer) = self.newer(one, before).await {
                    return Ok(newer);
                }
                acme.obtain(&one.names, method, before).await?
            }
        };
        self.keep.save(&one.place(), bundle.pem().clone()).await?;
        Ok(bundle)
    }

    /// What is kept, if that ends later than what is known and is not due itself.
    async fn newer(&self, one: &Wanted, known: Option<&Bundle>) -> Option<Bundle> {
        let kept = Bundle::read(self.kept(&one.place()).await?).ok()?;
        let is_newer = known.is_none_or(|known| kept.until() > known.until());
        let due = due::renewal(kept.from(), kept.until(), None, kept.draw());
        (is_newer && kept.is_for(&one.names) && due > now()).then_some(kept)
    }

    fn standings(&self, wanted: &[Wanted]) -> Vec<Standing> {
        let once = once(wanted);
        let standing = |one: &Wanted| {
            if !once.iter().any(|first| std::ptr::eq(*first, one)) {
                return twice(one);
            }
            let known = self.known.get(one.name());
            let note = known.map(|known| known.note.clone()).unwrap_or_default();
            Standing {
                name: one.name().to_owned(),
                until: known.and_then(|known| known.bundle.as_ref()).map(Bundle::until),
                next: self.due(one),
                failures: note.failures,
                error: (note.failures > 0).then_some(note.error),
            }
        };
        wanted.iter().map(standing).collect()
    }
}

/// Of several that would be kept in one place, the first: each would take the other's for one that is for too few
/// names, in turn, for ever.
fn once(wanted: &[Wanted]) -> Vec<&Wanted> {
    let mut places = BTreeSet::new();
    wanted.iter().filter(|one| places.insert(one.place())).collect()
}

fn twice(one: &Wanted) -> Standing {
    let name = one.name().to_owned();
    let error =
        format!("{name} is the first name of another certificate as well; put all names into one of them");
    Standing { name, until: None, next: Millis(u64::MAX), failures: 0, error: Some(error) }
}

/// By this machine's clock: what is good until when is judged by it.
fn now() -> Millis {
    Millis(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Folder;
    use crate::authority::tests::authority;

    const DAY: u64 = 86_400_000;

    fn wanted(name: &str) -> Wanted {
        Wanted { names: vec![name.to_owned()], signer: Signer::Realm }
    }

    #[tokio::test]
    async fn what_ends_soon_is_made_anew_and_what_is_good_stays() {
        let dir = tempfile::tempdir().unwrap();
        let keep: Arc<dyn Keep> = Arc::new(Folder::new(dir.path().join("certs")).unwrap());
        let authority = Arc::new(authority());
        let all = ["old.home.internal", "new.home.internal", "*.home.internal"].map(wanted);
        for (one, age) in all.iter().zip([6, 1]) {
            let bundle = authority.issue(&one.names, &[], Millis(now().0 - age * DAY)).unwrap();
            keep.save(&one.place(), bundle.pem().clone()).await.unwrap();
        }
        let shelf = Arc::new(Shelf::new());
        let (told, standing) = watch::channel(Vec::new());
        let mut keeper = Keeper::new(Arc::clone(&keep), Arc::clone(&shelf), Some(authority), None);
        let next = keeper.round(&all, &told).await;
        let left =
            standing.borrow().iter().map(|one| (one.until.unwrap().0 - now().0) / DAY).collect::<Vec<_>>();
        assert_eq!(left, [6, 5, 6]);
        assert!(next.0 > now().0 + 3 * DAY && next.0 < now().0 + 5 * DAY);
        assert!(shelf.find("other.home.internal").is_some());
        let kept = Bundle::read(keep.load(&all[0].place()).await.unwrap().unwrap()).unwrap();
        assert_eq!(Some(kept.until()), standing.borrow()[0].until);
        // For one name more another is made, in the place of the first.
        let mut more = all.clone();
        more[1].names.push("more.home.internal".to_owned());
        keeper.round(&more, &told).await;
        assert!(keeper.known["new.home.internal"].bundle.as_ref().unwrap().is_for(&more[1].names));
    }

    #[tokio::test]
    async fn what_another_keeper_had_made_is_taken_and_nobody_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let keep: Arc<dyn Keep> = Arc::new(Folder::new(dir.path().join("certs")).unwrap());
        let one = Wanted { signer: Signer::Public(Method::Http), ..wanted("a.home.internal") };
        let issue = |age: u64| authority().issue(&one.names, &[], Millis(now().0 - age * DAY)).unwrap();
        let (old, new) = (issue(6), issue(1));
        keep.save(&one.place(), old.pem().clone()).await.unwrap();
        // Nobody answers there.
        let settings = crate::AcmeSettings {
            directory: "https://127.0.0.1:1/".to_owned(),
            contact: Vec::new(),
            agreed: true,
            roots: None,
            external: None,
            within: Duration::from_secs(5),
            settle: Duration::ZERO,
        };
        let shelf = Arc::new(Shelf::new());
        let acme = Acme::new(settings, Arc::clone(&keep), Arc::clone(&shelf), None);
        let mut keeper = Keeper::new(Arc::clone(&keep), shelf, None, Some(Arc::new(acme)));
        keeper.learn(&one).await;
        keep.save(&one.place(), new.pem().clone()).await.unwrap();
        keeper.renew(&one).await;
        let known = &keeper.known["a.home.internal"];
        assert_eq!((known.bundle.as_ref().map(Bundle::until), known.note.failures), (Some(new.until()), 0));
        keeper.renew(&one).await;
        assert_eq!(keeper.known["a.home.internal"].note.failures, 1, "what is known already is not newer");
    }

    #[tokio::test]
    async fn who_cannot_be_signed_for_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let keep: Arc<dyn Keep> = Arc::new(Folder::new(dir.path().join("certs")).unwrap());
        let (told, standing) = watch::channel(Vec::new());
        let mut keeper = Keeper::new(keep, Arc::default(), Some(Arc::new(authority())), None);
        let public = Wanted { signer: Signer::Public(Method::Http), ..wanted("a.example") };
        keeper.round(&[wanted("bank.example"), public], &told).await;
        let said = standing.borrow().iter().map(|one| one.error.clone().unwrap()).collect::<Vec<_>>();
        assert!(said[0].contains("bank.example is not in home.internal"), "{said:?}");
        assert!(said[1].contains("no authority is set up"), "{said:?}");
        assert!(standing.borrow().iter().all(|one| one.next.0 >= now().0 + 29_000));
    }

    /// An authority that suggests the past (a mass revocation, or a bug) is heard once an hour.
    #[tokio::test]
    async fn what_was_just_had_is_not_had_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let keep: Arc<dyn Keep> = Arc::new(Folder::new(dir.path().join("certs")).unwrap());
        let authority = Arc::new(authority());
        let new = || Keeper::new(Arc::clone(&keep), Arc::default(), Some(Arc::clone(&authority)), None);
        let (told, standing) = watch::channel(Vec::new());
        let one = wanted("a.home.internal");
        let past = Some((Millis(1), Millis(2)));
        let mut keeper = new();
        keeper.round(std::slice::from_ref(&one), &told).await;
        let first = standing.borrow()[0].until;
        for restarted in [false, true] {
            if restarted {
                keeper = new();
                keeper.learn(&one).await;
            }
            keeper.known.get_mut("a.home.internal").unwrap().window = past;
            let next = keeper.round(std::slice::from_ref(&one), &told).await;
            assert_eq!(standing.borrow()[0].until, first, "restarted: {restarted}");
            assert!((now().0 + 3_500_000..now().0 + 3_700_000).contains(&next.0), "{next:?}");
        }
        // Another name is not made to wait, nor does a clock that was wrong make anybody wait.
        let more = Wanted { names: vec!["a.home.internal".to_owned(), "b.home.internal".to_owned()], ..one };
        keeper.round(std::slice::from_ref(&more), &told).await;
        assert!(keeper.known["a.home.internal"].bundle.as_ref().unwrap().is_for(&more.names));
        let known = keeper.known.get_mut("a.home.internal").unwrap();
        (known.note.not_before, known.window) = (now().0 + 300 * DAY, past);
        assert!(keeper.due(&more) < now());
    }

    #[tokio::test]
    async fn of_two_with_one_first_name_one_counts_and_the_other_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let keep: Arc<dyn Keep> = Arc::new(Folder::new(dir.path().join("certs")).unwrap());
        let (told, standing) = watch::channel(Vec::new());
        let mut keeper = Keeper::new(keep, Arc::default(), Some(Arc::new(authority())), None);
        let one = wanted("a.home.internal");
        let names = vec!["a.home.internal".to_owned(), "b.home.internal".to_owned()];
        let both = [one.clone(), Wanted { names, ..one }];
        for _ in 0..2 {
            assert!(keeper.round(&both, &told).await.0 > now().0 + DAY);
            let said = standing.borrow().clone();
            assert!(said[0].until.is_some() && said[0].error.is_none(), "{said:?}");
            assert!(said[1].error.as_ref().unwrap().contains("put all names into one"), "{said:?}");
        }
    }
}

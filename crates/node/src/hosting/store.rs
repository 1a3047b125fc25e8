//! The store of a backend: what lies in its home about it, and the errors as people are told them.

use std::sync::Arc;
use std::time::Duration;

use freehold_api::{Detached, NewBackend, NewStore, Probed, Problem};
use freehold_backend::{Beside, Claims, Credentials, MapError, OpenError, Packed, Settings, Stores};
use freehold_crypt::Secret;
use freehold_disk::KeyStore;
use freehold_vault::{Depot, DepotLimits};
use freehold_wire::RealmId;

use super::holder::{self, Refused};
use crate::clock;
use crate::home::Home;
use crate::identity::IdentityError;
use crate::problem::{chain, identity_problem};

/// How rooms are reached that other realms lend.
pub(crate) type Friends = Arc<dyn freehold_backend::Errands>;

/// The key that seals what lies on the store once more.
const PACKS_KEY: &str = "packs";
/// What trying a store out may take: somebody waits for it.
const PROBE_WITHIN: Duration = Duration::from_secs(45);
/// A store that is there answers by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Where the store of a backend is; an error is what a person is told.
pub(super) fn settings(home: &Home) -> Result<Settings, String> {
    let settings = Settings::read(home.root()).map_err(|e| chain(&e))?;
    settings.ok_or_else(|| format!("{} has no settings", home.root().display()))
}

/// Settings and credentials of one store; they are not checked yet.
pub(crate) fn wished_store(store: &NewStore) -> Result<(Settings, Credentials), String> {
    let mut settings = Settings::new(&store.endpoint, &store.bucket);
    if let Some(region) = &store.region {
        region.clone_into(&mut settings.region);
    }
    store.prefix.clone_into(&mut settings.prefix);
    settings.path_style = !store.virtual_host;
    settings.ca = store.ca.as_ref().map(Into::into);
    let credentials = Credentials::parse(&store.credentials).map_err(|error| chain(&error))?;
    Ok((settings, credentials))
}

/// Settings and credentials as somebody wishes them, those for each store.
pub(crate) fn wished(what: &str, wish: &NewBackend) -> Result<(Settings, Vec<Credentials>), Problem> {
    let invalid = |why: String| Problem::invalid(what, why, Some("freehold backend attach --help"));
    let (mut all, mut credentials) = (Vec::new(), Vec::new());
    for store in &wish.stores {
        let (settings, key) = wished_store(store).map_err(invalid)?;
        all.push(settings);
        credentials.push(key);
    }
    let mut all = all.into_iter();
    let mut settings = all.next().ok_or_else(|| invalid("it names no store".to_owned()))?;
    settings.others = all.collect();
    (settings.parity, settings.capacity) = (wish.may_lose, wish.capacity);
    settings.check().map_err(|e| invalid(chain(&e)))?;
    Ok((settings, credentials))
}

/// The headline of every refusal.
pub(super) const NOT_ATTACHED: &str = "the backend was not attached";

/// Keeps where the store is, what it lets us in with, and the key of what lies there.
pub(crate) fn keep(
    home: &Home,
    realm: RealmId,
    settings: &Settings,
    credentials: &[Credentials],
    packs: &Secret,
) -> Result<(), Problem> {
    let failed = |why: String| Problem::refused(NOT_ATTACHED, why, Some("set right what it says (df -h)"));
    settings.write(home.root()).map_err(|e| failed(chain(&e)))?;
    for (at, credentials) in credentials.iter().enumerate() {
        credentials.write_of(home.root(), at).map_err(|e| failed(chain(&e)))?;
    }
    Beside::letters(realm).keep(home.root()).map_err(|e| failed(e.to_string()))?;
    let keys = KeyStore::open(&home.keys()).map_err(|e| identity_problem(&IdentityError::Key(e)))?;
    keys.remove(PACKS_KEY).map_err(|e| identity_problem(&IdentityError::Key(e)))?;
    keys.create(PACKS_KEY, packs).map_err(|e| identity_problem(&IdentityError::Key(e)))
}

/// Tries all stores of a backend out.
pub(super) async fn probe(
    what: &str,
    settings: &Settings,
    credentials: &[Credentials],
) -> Result<Probed, Problem> {
    let mut all = Probed::default();
    let several = credentials.len() > 1;
    for (store, credentials) in settings.stores().zip(credentials) {
        let found = probe_one(what, store, credentials).await?;
        let told = |line: String| {
            if several { format!("{}, bucket {}: {line}", store.endpoint, store.bucket) } else { line }
        };
        all.can.extend(found.can.into_iter().map(told));
        all.lacks.extend(found.lacks.into_iter().map(told));
    }
    Ok(all)
}

async fn probe_one(what: &str, settings: &Settings, credentials: &Credentials) -> Result<Probed, Problem> {
    let store = freehold_backend::connect(settings, credentials)
        .map_err(|e| Problem::invalid(what, chain(&e), Some("freehold backend attach --help")))?;
    let probed = freehold_backend::probe(&*store, clock::wall());
    let probed = tokio::time::timeout(PROBE_WITHIN, probed).await;
    let found = probed
        .map_err(|_| {
            Problem::unreachable(
                what,
                format!("{} did not answer within {} s", settings.endpoint, PROBE_WITHIN.as_secs()),
                Some("see that the endpoint is right and reachable, then try again"),
            )
        })?
        .map_err(|e| Problem::unreachable(what, chain(&e), Some(e.remedy())))?;
    if let Some(refusal) = found.refusal() {
        return Err(Problem::refused(what, refusal.to_string(), Some("use another store")));
    }
    let can = "it gives back what it is given, and parts of it; it lists and deletes";
    Ok(Probed {
        can: vec![format!("{can} (tried in {} ms)", found.took.as_millis())],
        lacks: found.notes().iter().map(ToString::to_string).collect(),
    })
}

/// A store with its depot.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) packed: Arc<Packed>,
    pub(super) depot: Depot,
}

/// Opens the depot of a backend; an error is what a person is told.
pub(super) async fn open(home: &Home, settings: &Settings, friends: &Friends) -> Result<Opened, String> {
    let packed = packs(home, settings, friends).await?.map_err(|e| chain(&e))?;
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: settings.capacity };
    let depot = Depot::on(Arc::clone(&packed) as _, None, limits).await.map_err(|e| chain(&e))?;
    depot.count_anew().await.map_err(|e| chain(&e))?;
    Ok(Opened { packed, depot })
}

async fn packs(
    home: &Home,
    settings: &Settings,
    friends: &Friends,
) -> Result<Result<Arc<Packed>, OpenError>, String> {
    let key = packs_key(home)?;
    Ok(freehold_backend::open(home.root(), settings, &key, Some(friends)).await)
}

pub(super) fn packs_key(home: &Home) -> Result<Secret, String> {
    let keys = KeyStore::open(&home.keys()).map_err(|e| e.to_string())?;
    let key = keys.read(PACKS_KEY).map_err(|e| e.to_string())?;
    key.ok_or_else(|| format!("{} is missing", home.keys().join(PACKS_KEY).display()))
}

/// Refuses a place that holds what another backend has sealed.
pub(super) async fn must_be_vacant(
    home: &Home,
    settings: &Settings,
    friends: &Friends,
) -> Result<(), Problem> {
    let next = "look what it is; to give it up, empty the bucket at the vendor, then attach it again";
    // Of several stores none shows another's packs through the others.
    for store in stores(settings, home, friends)
        .map_err(|why| Problem::refused(NOT_ATTACHED, why, Some("try again")))?
        .each
    {
        let free = settings.others.is_empty()
            || !freehold_backend::holds_packs(&store)
                .await
                .map_err(|e| Problem::unreachable(NOT_ATTACHED, chain(&e), Some("try again")))?;
        if !free {
            let why = "one of its stores holds packs already: another backend lives there, or did";
            return Err(Problem::conflict(NOT_ATTACHED, why, Some(next)));
        }
    }
    let opened = packs(home, settings, friends).await;
    let opened = opened.map_err(|why| Problem::refused(NOT_ATTACHED, why, Some("try again")))?;
    match opened {
        Ok(packed) => {
            packed.close().await;
            Ok(())
        }
        Err(OpenError::Map(MapError::NotOurs(packs))) => Err(Problem::conflict(
            NOT_ATTACHED,
            format!(
                "another backend lives there, or did: {} whose key is not here",
                freehold_api::words::count(packs, "pack")
            ),
            Some(next),
        )),
        Err(error) => Err(Problem::unreachable(NOT_ATTACHED, chain(&error), Some("try again"))),
    }
}

/// The stores of a backend.
pub(super) fn stores(settings: &Settings, home: &Home, friends: &Friends) -> Result<Stores, String> {
    let key = packs_key(home)?;
    freehold_backend::stores(home.root(), settings, &key, Some(friends)).map_err(|e| chain(&e))
}

/// Asks a backend's stores for a sign of life; as many as may be lost need not give one, and are told.
pub(super) async fn reach(settings: &Settings, stores: &Stores) -> Result<String, String> {
    let quiet = freehold_backend::reach(stores, ANSWER_WITHIN).await.map_err(|e| chain(&e))?;
    let told = quiet.iter().map(|(at, why)| format!("{}: {}", named(settings, *at), chain(why)));
    Ok(told.collect::<Vec<_>>().join("; "))
}

/// Who may run a backend.
pub(super) fn claims(settings: &Settings, stores: &Stores, home: &Home) -> Result<Claims, String> {
    Ok(Claims::new(stores.each.clone(), settings.parity, &packs_key(home)?))
}

/// One of its stores, as people know it.
pub(super) fn named(settings: &Settings, at: usize) -> String {
    let store = settings.stores().nth(at).unwrap_or(settings);
    if store.grant().is_some() {
        "at another realm".to_owned()
    } else {
        format!("{}, bucket {}", store.endpoint, store.bucket)
    }
}

/// Removes everything that is there of a backend, and says what could not be.
pub(super) async fn erase(settings: &Settings, home: &Home, friends: &Friends) -> Result<Detached, String> {
    let key = packs_key(home)?;
    let stores = stores(settings, home, friends)?;
    if let Err(Refused::Taken) = holder::may_run(home, &claims(settings, &stores, home)?).await {
        return Err(holder::TAKEN.to_owned());
    }
    let erased =
        freehold_backend::erase(home.root(), settings, &key, Some(friends)).await.map_err(|e| chain(&e))?;
    Ok(Detached {
        removed: erased.objects,
        strange: erased.strange,
        left: erased.left.iter().map(|(at, why)| format!("{}: {why}", named(settings, *at))).collect(),
    })
}

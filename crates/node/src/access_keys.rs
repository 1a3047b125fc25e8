//! The access keys of this node beside the realm owner's pair: made for persons and services, with
//! rights and an end, in one private file of the home.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use freehold_access::{Account, Principal, Right, Rights};
use freehold_api::{KeyRight, KeyStatus, MadeKey, NewKey, Problem};
use freehold_disk::OwnError;
use freehold_realm::Standing;
use freehold_s3::{Credentials, Holder, Keys};
use freehold_wire::{Millis, PersonId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::clock;
use crate::control;
use crate::credentials::new_pair;
use crate::people;
use crate::problem::own_problem;
use crate::shared::Shared;

/// More than a household has programs; each lies in memory.
const KEYS_MAX: usize = 10_000;
/// The shortest start of an id that stands for it.
const ID_START_MIN: usize = 4;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(serialize_with = "secret_out", deserialize_with = "secret_in")]
    secret: Zeroizing<String>,
    #[serde(serialize_with = "who_out", deserialize_with = "who_in")]
    who: Principal,
    rights: Rights,
    made_ms: u64,
}

fn secret_out<S: Serializer>(secret: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret)
}

fn secret_in<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

fn who_out<S: Serializer>(who: &Principal, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(who)
}

fn who_in<'de, D: Deserializer<'de>>(from: D) -> Result<Principal, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

type Records = BTreeMap<String, Record>;

/// The keys, in memory as in their file.
pub struct AccessKeys {
    path: PathBuf,
    records: RwLock<Arc<Records>>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeysError {
    /// It may not be this user's.
    #[error("{0}")]
    NotOurs(#[from] OwnError),
    /// It holds something else.
    #[error("{path} does not hold access keys: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        why: String,
    },
}

/// The file's keys are unusable, with what to type.
pub fn access_keys_problem(error: &AccessKeysError) -> Problem {
    match error {
        AccessKeysError::NotOurs(error) => own_problem(error),
        AccessKeysError::Unreadable { path, .. } => Problem::refused(
            "the access keys cannot be read",
            error.to_string(),
            Some(format!("mv {0} {0}.old, then: freehold up    (and make the keys anew)", path.display())),
        ),
    }
}

impl AccessKeys {
    /// Reads the file; without one there are no keys.
    ///
    /// # Errors
    /// [`AccessKeysError`]
    pub fn open(path: &Path) -> Result<Self, AccessKeysError> {
        let records = match freehold_disk::read_private(path)?.map(Zeroizing::new) {
            None => Records::new(),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|e| AccessKeysError::Unreadable {
                path: path.to_owned(),
                // Where, and not what: it would show a secret.
                why: format!("line {}, column {}", e.line(), e.column()),
            })?,
        };
        Ok(Self { path: path.to_owned(), records: RwLock::new(Arc::new(records)), writing: Mutex::default() })
    }

    fn records(&self) -> RwLockReadGuard<'_, Arc<Records>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever has a key.
    pub(crate) fn principals(&self) -> Vec<Principal> {
        self.records().values().map(|record| record.who.clone()).collect()
    }

    /// The ids of the keys of those who are such.
    pub(crate) fn ids_of(&self, such: impl Fn(&Principal) -> bool) -> Vec<String> {
        self.records().iter().filter(|(_, record)| such(&record.who)).map(|(id, _)| id.clone()).collect()
    }

    fn snapshot(&self) -> Arc<Records> {
        Arc::clone(&self.records())
    }

    /// Changes the records: in the file first, then here.
    async fn change<T>(&self, change: impl FnOnce(&mut Records) -> Result<T, Problem>) -> Result<T, Problem> {
        let _one_at_a_time = self.writing.lock().await;
        let mut records = Records::clone(&self.snapshot());
        let done = change(&mut records)?;
        let text = serde_json::to_vec_pretty(&records).map(Zeroizing::new);
        let text = text.map_err(|e| failed(&e.to_string()))?;
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || freehold_disk::replace(&path, &text, 0o600)).await;
        written.map_err(|e| failed(&e.to_string()))?.map_err(|e| failed(&e.to_string()))?;
        *self.records.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(records);
        Ok(done)
    }
}

fn failed(why: &str) -> Problem {
    Problem::refused(
        "the access keys were not written",
        why,
        Some("freehold doctor    (shows the room left)"),
    )
}

impl std::fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessKeys({})", self.records().len())
    }
}

/// Why the principal's keys are refused at present.
fn ill_standing(shared: &Shared, who: &Principal) -> Option<&'static str> {
    let Some(Account::Person(person)) = who.account() else { return None };
    match shared.log.view().state().persons.get(&person).map(|person| person.standing) {
        Some(Standing::Active) => None,
        Some(Standing::Suspended) => Some("its person is suspended"),
        Some(Standing::Burned) => Some("its person's keys were used twice"),
        None => Some("its person is no member of the realm any more"),
    }
}

fn ended(rights: &Rights, now: Millis) -> Option<&'static str> {
    rights.ended(now).then_some("its time is over")
}

/// The keys as the S3 front asks for them: the realm owner's pair and all others.
pub struct NodeKeys {
    /// The node, which knows who is a member.
    pub shared: Arc<Shared>,
    /// The pair in the file `s3-credentials`.
    pub owner: Credentials,
}

impl NodeKeys {
    fn record(&self, id: &str) -> Option<Record> {
        let record = self.shared.access_keys.records().get(id).cloned()?;
        let refused =
            ill_standing(&self.shared, &record.who).or_else(|| ended(&record.rights, clock::wall()));
        refused.is_none().then_some(record)
    }
}

impl std::fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeKeys")
    }
}

impl Keys for NodeKeys {
    fn pair(&self, access_key_id: &str) -> Option<Credentials> {
        self.owner.pair(access_key_id).or_else(|| {
            self.record(access_key_id).map(|record| Credentials::new(access_key_id, &record.secret))
        })
    }

    fn holder(&self, access_key_id: &str) -> Option<Holder> {
        let of_record = |record: Record| Holder { who: record.who, rights: record.rights };
        self.owner.holder(access_key_id).or_else(|| self.record(access_key_id).map(of_record))
    }

    fn knows(&self, who: &Principal) -> bool {
        match who {
            Principal::Anonymous => false,
            Principal::Account(Account::Realm) => true,
            Principal::Account(Account::Person(person)) => {
                self.shared.log.view().state().persons.contains_key(person)
            }
            service @ Principal::Service(..) => {
                self.shared.access_keys.records().values().any(|record| record.who == *service)
            }
        }
    }
}

const NOT_MADE: &str = "the access key was not made";

fn right(right: KeyRight) -> Right {
    match right {
        KeyRight::Read => Right::Read,
        KeyRight::Write => Right::Write,
        KeyRight::List => Right::List,
        KeyRight::Delete => Right::Delete,
        KeyRight::Admin => Right::Admin,
    }
}

fn shown_right(right: Right) -> KeyRight {
    match right {
        Right::Read => KeyRight::Read,
        Right::Write => KeyRight::Write,
        Right::List => KeyRight::List,
        Right::Delete => KeyRight::Delete,
        Right::Admin => KeyRight::Admin,
    }
}

fn status(shared: &Shared, id: &str, record: &Record) -> KeyStatus {
    let Record { who, rights, made_ms, .. } = record;
    KeyStatus {
        id: id.to_owned(),
        principal: who.to_string(),
        buckets: rights.buckets.iter().cloned().collect(),
        prefix: rights.prefix.clone(),
        allow: rights.allow.iter().copied().map(shown_right).collect(),
        made_ms: *made_ms,
        until_ms: rights.until_ms,
        refused: ill_standing(shared, who).or_else(|| ended(rights, clock::wall())).map(str::to_owned),
    }
}

/// All keys but the realm owner's pair.
pub fn list(shared: &Shared) -> Vec<KeyStatus> {
    let records = shared.access_keys.snapshot();
    records.iter().map(|(id, record)| status(shared, id, record)).collect()
}

fn wished(shared: &Shared, wish: NewKey) -> Result<(Principal, Rights), Problem> {
    let invalid = |why: String| Problem::invalid(NOT_MADE, why, Some("freehold key create --help"));
    let account = match &wish.person {
        None => Account::Realm,
        Some(typed) => Account::Person(people::named(shared, typed, NOT_MADE)?),
    };
    let who = match &wish.service {
        None => Principal::Account(account),
        Some(name) => Principal::Service(account, name.parse().map_err(|e| invalid(format!("{e}")))?),
    };
    // Whoever uses the key names buckets, and S3 knows no ids.
    let name = |typed: &String| {
        let id = control::bucket_named(shared, typed)?;
        let name = control::name_of_bucket(shared, &id);
        control::bucket_named(shared, &name).map(|_| name)
    };
    let rights = Rights {
        buckets: wish.buckets.iter().map(name).collect::<Result<_, _>>()?,
        prefix: wish.prefix,
        allow: wish.allow.into_iter().map(right).collect(),
        until_ms: wish.until_ms,
    };
    if rights.allow.is_empty() {
        return Err(invalid(freehold_access::RightsError::None.to_string()));
    }
    if !rights.prefix.is_empty() && rights.buckets.is_empty() {
        return Err(invalid("a key for a prefix names the bucket that it is in".to_owned()));
    }
    if let Some(why) = ended(&rights, clock::wall()) {
        return Err(invalid(format!("{why} already")));
    }
    if let Some(why) = ill_standing(shared, &who) {
        return Err(Problem::refused(NOT_MADE, why, Some("freehold person list")));
    }
    Ok((who, rights))
}

/// Makes a key.
///
/// # Errors
/// A [`Problem`] if the wish makes no sense, or the file cannot be written.
pub async fn create(shared: &Shared, wish: NewKey) -> Result<MadeKey, Problem> {
    let (who, rights) = wished(shared, wish)?;
    let (id, secret) = new_pair();
    let record = Record { secret, who, rights, made_ms: clock::wall().0 };
    let made = MadeKey { key: status(shared, &id, &record), secret: record.secret.as_str().to_owned() };
    let adding = |records: &mut Records| {
        if records.len() >= KEYS_MAX {
            let why = format!("there are {KEYS_MAX} of them");
            return Err(Problem::refused(NOT_MADE, why, Some("freehold key revoke ID")));
        }
        records.insert(id, record);
        Ok(())
    };
    shared.access_keys.change(adding).await?;
    Ok(made)
}

/// Ends the key of that id, or of the one id that begins so.
///
/// # Errors
/// A [`Problem`] if there is none, or several, or the file cannot be written.
pub async fn revoke(shared: &Shared, typed: &str) -> Result<(), Problem> {
    let removing = |records: &mut Records| {
        let begins = |id: &&String| typed.len() >= ID_START_MIN && id.starts_with(typed);
        let meant: Vec<String> = records.keys().filter(begins).cloned().collect();
        let [id] = meant.as_slice() else {
            return Err(Problem::not_found(
                "no access key was revoked",
                match meant.len() {
                    0 if typed.len() < ID_START_MIN => {
                        format!("{typed:?} is too short: type at least {ID_START_MIN} characters of its id")
                    }
                    0 => format!("no key's id begins with {typed:?}"),
                    some => format!("{some} ids begin with {typed:?}: type more of the one you mean"),
                },
                Some("freehold key list"),
            ));
        };
        records.remove(id);
        Ok(())
    };
    shared.access_keys.change(removing).await
}

/// Ends every key of a person, and of the services that act for them; how many there were.
///
/// # Errors
/// A [`Problem`] if the file cannot be written.
pub(crate) async fn revoke_of(shared: &Shared, person: PersonId) -> Result<usize, Problem> {
    let keys = &shared.access_keys;
    let theirs = |who: &Principal| who.account() == Some(Account::Person(person));
    if !keys.principals().iter().any(theirs) {
        return Ok(0);
    }
    let removing = |records: &mut Records| {
        let before = records.len();
        records.retain(|_, record| !theirs(&record.who));
        Ok(before.saturating_sub(records.len()))
    };
    keys.change(removing).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(who: Principal) -> Record {
        let secret = Zeroizing::new("hunter2hunter2".to_owned());
        Record { secret, who, rights: Rights::all(), made_ms: 7 }
    }

    #[tokio::test]
    async fn keys_are_kept_private_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access-keys");
        let keys = AccessKeys::open(&path).unwrap();
        let person = Principal::Account(Account::Person(PersonId::from_bytes([7; 32])));
        let put = |records: &mut Records| Ok(records.insert("FHA".to_owned(), record(person.clone())));
        keys.change(put).await.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let again = AccessKeys::open(&path).unwrap();
        let kept = again.records().get("FHA").cloned().unwrap();
        assert_eq!((kept.who, kept.secret.as_str(), kept.made_ms), (person, "hunter2hunter2", 7));
        assert!(!format!("{again:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_that_is_something_else_is_refused_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access-keys");
        freehold_disk::replace(&path, b"{\"FHA\":{\"secret\":\"hunter2\",\"who\":\"nobody\"}}", 0o600)
            .unwrap();
        let error = AccessKeys::open(&path).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

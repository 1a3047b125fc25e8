//! From the errors of the planes to what a person is told: what failed, why, what to type next.

use std::path::Path;

use freehold_api::kv::{NO_DATABASE, OVERTAKEN};
use freehold_api::{Problem, ProblemKind, words};
use freehold_disk::{Kind, LockError, OwnError, StoreError};
use freehold_kv::KvError;
use freehold_vault::{GetError, PutError};

use freehold_wire::NodeId;

use crate::certificate::CertificateError;
use crate::credentials::CredentialsError;
use crate::founding::FoundError;
use crate::identity::IdentityError;
use crate::scribe::ScribeError;

/// A store failed.
pub fn store_problem(error: &StoreError) -> Problem {
    let kind = match error.kind() {
        Kind::Damaged => ProblemKind::Corrupt,
        Kind::InUse | Kind::Newer | Kind::NoSpace | Kind::NotAllowed | Kind::Failed => ProblemKind::Refused,
    };
    Problem::new(kind, "the node's store cannot be used", error.to_string(), Some(error.remedy()))
}

/// The rules of the realm do not allow it now.
pub fn wrong_state(what: impl Into<String>, why: impl Into<String>) -> Problem {
    Problem::refused(what, why, Some("freehold node list    (shows which machines are an admin's)"))
}

/// Something of the home cannot be made or removed.
pub fn home_problem(path: &Path, error: &std::io::Error) -> Problem {
    Problem::refused(
        format!("cannot use {}", path.display()),
        error.to_string(),
        Some("set right what it says, or choose another --home"),
    )
}

/// The home is in use.
pub fn lock_problem(error: &LockError) -> Problem {
    Problem::conflict(
        "the node cannot start",
        error.to_string(),
        Some("freehold status    (asks the one that runs), or freehold stop"),
    )
}

/// Keys or identity cannot be read.
pub fn identity_problem(error: &IdentityError) -> Problem {
    Problem::corrupt(
        "the node's identity cannot be used",
        error.to_string(),
        Some(
            "set right what it says; if the keys are lost, move this home aside and join anew: freehold join",
        ),
    )
}

/// No realm was made.
pub fn found_problem(error: &FoundError) -> Problem {
    match error {
        FoundError::Name(_) => Problem::invalid(
            "no realm was made",
            error.to_string(),
            Some("choose another name: freehold up --name NAME"),
        ),
        FoundError::Store(source) | FoundError::Directory(ScribeError::Store(source)) => {
            store_problem(source)
        }
        FoundError::Home(problem) => problem.clone(),
        FoundError::Identity(source) => identity_problem(source),
        FoundError::Draft(_) | FoundError::Box(_) | FoundError::Directory(_) | FoundError::Unfit => {
            Problem::bug("no realm was made", error.to_string(), None::<&str>)
        }
    }
}

/// The console's certificate cannot be used.
pub fn certificate_problem(error: &CertificateError) -> Problem {
    let remedy = match error {
        CertificateError::NotOurs(error) => error.remedy(),
        CertificateError::Unreadable(_) | CertificateError::Tls(_) => {
            "delete console.pem in the home, then: freehold up".to_owned()
        }
        CertificateError::Keep { .. } | CertificateError::Make(_) => SET_RIGHT.to_owned(),
    };
    Problem::refused("the console cannot start", chain(error), Some(remedy))
}

/// The S3 credentials cannot be used.
pub fn credentials_problem(error: &CredentialsError) -> Problem {
    let remedy = match error {
        CredentialsError::NotOurs(error) => error.remedy(),
        CredentialsError::Unreadable(_) => "delete s3-credentials in the home, then: freehold up".to_owned(),
        CredentialsError::File { .. } => SET_RIGHT.to_owned(),
    };
    Problem::refused("the S3 endpoint has no credentials", chain(error), Some(remedy))
}

/// Of a file that cannot be read or written: what the system said names the cause.
const SET_RIGHT: &str = "set right what it says (df -h shows the room on the disk), then: freehold up";

/// The home, or something in it, may have been put there by somebody else.
pub fn own_problem(error: &OwnError) -> Problem {
    Problem::refused("this home cannot be used", error.to_string(), Some(error.remedy()))
}

/// A write did not happen.
pub fn put_problem(bucket: &str, key: &str, error: &PutError) -> Problem {
    let what = format!("cannot write {key} to the bucket {bucket}");
    let why = chain(error);
    match error {
        PutError::NoSuchBucket => no_bucket(bucket),
        PutError::NoSuchKey | PutError::Precondition | PutError::Conflict => {
            Problem::conflict(what, why, None::<&str>)
        }
        PutError::Depot(_) | PutError::Store(_) => {
            Problem::refused(what, why, Some("freehold doctor    (shows the room left and what is wrong)"))
        }
        PutError::NoBucketKey => Problem::refused(
            what,
            why,
            Some("wait until a node that has the key is connected: freehold status"),
        ),
        PutError::NotConfirmed { .. } => {
            Problem::unreachable(what, why, Some("freehold status    (shows which nodes are missing)"))
        }
        PutError::CatchingUp => {
            Problem::unreachable(what, why, Some("freehold status    (shows when it has caught up)"))
        }
        PutError::Ahead => Problem::refused(
            what,
            why,
            Some("set the clock right that is wrong: freehold status    (shows whose is)"),
        ),
        PutError::Cloned => Problem::refused(
            what,
            why,
            Some("freehold status    (then stop one of the two machines, and join it anew)"),
        ),
        PutError::NotAWriter => {
            Problem::refused(what, why, Some("write on another node: freehold node list    (shows roles)"))
        }
        PutError::OnlyReads | PutError::TakenBack => Problem::refused(
            what,
            why,
            Some(format!(
                "on a node that says who holds its keys: freehold bucket share {} --with NODE",
                words::typed(bucket)
            )),
        ),
        PutError::Quota(_) => Problem::refused(what, why, Some("freehold usage")),
        PutError::Barred => Problem::refused(
            what,
            why,
            Some("write on a node that stands in one of them: freehold node list    (shows regions)"),
        ),
        PutError::Locked(_) => Problem::refused(what, why, None::<&str>),
        PutError::Closing => Problem::unreachable(what, why, Some("freehold up")),
        _ => Problem::invalid(what, why, None::<&str>),
    }
}

/// A read did not happen.
pub fn get_problem(bucket: &str, key: &str, error: &GetError) -> Problem {
    let what = format!("cannot read {key} from the bucket {bucket}");
    let why = chain(error);
    match error {
        GetError::NoSuchBucket => no_bucket(bucket),
        GetError::NoSuchKey | GetError::NoSuchVersion | GetError::Deleted(_) | GetError::Marker { .. } => {
            Problem::not_found(what, why, None::<&str>)
        }
        GetError::Range { .. } | GetError::NoSuchPart(_) => Problem::invalid(what, why, None::<&str>),
        GetError::NoBucketKey | GetError::Missing | GetError::Closing => {
            Problem::unreachable(what, why, Some("bring a node that holds it online: freehold status"))
        }
        GetError::Tampered => Problem::corrupt(
            what,
            why,
            Some("bring a node that holds a good copy online, then: freehold bucket verify BUCKET"),
        ),
        GetError::Depot(_) | GetError::Store(_) => Problem::refused(what, why, Some("freehold doctor")),
    }
}

/// A database did not do what was asked.
pub fn kv_problem(name: &str, error: &KvError, name_of: impl Fn(NodeId) -> String) -> Problem {
    let what = format!("the database {name} did not do what was asked");
    let (why, typed) = (chain(error), words::typed(name));
    match error {
        KvError::NoDatabase => Problem::not_found(
            format!("there is no database {name}"),
            NO_DATABASE,
            Some(format!("freehold kv databases, or freehold kv create {typed}")),
        ),
        KvError::NoKey(_) => {
            Problem::not_found(what, why, Some(format!("freehold kv scan {typed}    (lists what is there)")))
        }
        KvError::NoDocument { collection, .. } => Problem::not_found(
            what,
            why,
            Some(format!(
                "freehold kv query {typed} {}, or freehold kv show {typed}",
                words::typed(collection)
            )),
        ),
        KvError::NoSnapshot(_) => {
            Problem::not_found(what, why, Some(format!("freehold kv snapshots {typed}")))
        }
        KvError::NoTransaction => Problem::not_found(what, why, Some(format!("freehold kv begin {typed}"))),
        KvError::Overtaken(_) => {
            let next = Some(format!("begin again: freehold kv begin {typed}"));
            Problem::conflict(what, format!("{why}; {OVERTAKEN}"), next)
        }
        KvError::Condition { .. } => {
            Problem::conflict(what, why, Some("read it again, and write with the version that it has now"))
        }
        KvError::Exists => Problem::conflict(what, why, Some("choose another name: freehold kv databases")),
        KvError::SnapshotThere(_) => {
            Problem::conflict(what, why, Some(format!("choose another name: freehold kv snapshots {typed}")))
        }
        KvError::Unique { .. } => {
            Problem::conflict(what, why, Some("change one of the two, or drop the index"))
        }
        KvError::KeyUsed => {
            Problem::conflict(what, why, Some("give each write an idempotency key of its own"))
        }
        KvError::Index(_) => Problem::invalid(what, why, Some(format!("freehold kv show {typed}"))),
        KvError::TooOld(oldest) => {
            Problem::invalid(what, why, Some(format!("freehold kv watch {typed} --after {oldest}")))
        }
        KvError::Query(_) | KvError::Cursor(_) => {
            Problem::invalid(what, why, Some("freehold kv query --help"))
        }
        KvError::Name | KvError::Invalid(_) | KvError::Fits(_) => Problem::invalid(what, why, None::<&str>),
        KvError::Elsewhere(node) => {
            let writer = name_of(*node);
            Problem::refused(
                what,
                format!("{writer} writes it"),
                Some(format!("ask {writer}, or there: freehold kv handover {typed} NODE")),
            )
        }
        KvError::Takeover(_) => Problem::refused(
            what,
            why,
            Some(format!(
                "on its writer: freehold kv handover {typed} NODE; if that is lost for good: freehold kv takeover {typed} --force"
            )),
        ),
        KvError::Realm(_) => Problem::refused(what, why, Some("freehold status")),
        KvError::Fenced | KvError::NotConfirmed | KvError::Closing | KvError::Engine(_) => {
            Problem::unreachable(
                what,
                why,
                Some("freehold status    (shows which nodes are missing); then try again"),
            )
        }
        KvError::Put(error) => Problem { what, ..put_problem("of the database", "a table", error) },
        KvError::Get(error) => Problem { what, ..get_problem("of the database", "a table", error) },
        KvError::Row => Problem::corrupt(what, why, Some("freehold doctor")),
    }
}

/// There is no bucket of that name.
pub fn no_bucket(name: &str) -> Problem {
    Problem::not_found(
        format!("there is no bucket {name}"),
        "the realm knows none of that name",
        Some(format!("freehold bucket list, or freehold bucket create {}", words::typed(name))),
    )
}

/// An error with its causes, each once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        source = cause.source();
    }
    out
}

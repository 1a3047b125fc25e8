//! A member's move, between the command line and what carries it out.

use std::path::Path;

use freehold_api::{Problem, TenantBucket, TenantMove, TenantMoved, TenantSide, TenantStage};
use freehold_mover::{
    BucketMoved, Folder, Look, MoveError, Mover, Outcome, Realm, Receipt, ReceiptError, Said, Side, Told,
    Wish, verify,
};

const UNDONE: &str = "the move is not over";

fn side(side: TenantSide) -> Side {
    Side {
        endpoint: side.endpoint,
        key_file: side.key_file.to_string_lossy().into_owned(),
        ca: side.ca.map(|path| path.to_string_lossy().into_owned()),
    }
}

fn say(told: Told) -> String {
    match told {
        Told::Stage(what) => what,
        Told::Objects { bucket, done, of } => {
            format!("{bucket}: {done} of {of} objects that are new or changed")
        }
        Told::ReadBack { bucket, done, of } => {
            format!("{bucket}: {done} of {of} versions read back and compared")
        }
    }
}

pub(crate) async fn carry_out(
    wish: TenantMove,
    told: &(dyn Fn(String) + Send + Sync),
) -> Result<TenantMoved, Problem> {
    let TenantMove { folder, sides, buckets, renamed, dry_run, only_copy, nobody_writes, old_is_gone } = wish;
    let asked = sides.map(|(from, to)| Wish { from: side(from), to: side(to), buckets, renamed });
    if dry_run {
        let asked = asked.ok_or_else(|| problem(&MoveError::NoMove(folder.clone())))?;
        return Ok(planned(Mover::look(&asked).await.map_err(|error| problem(&error))?));
    }
    let folder = Folder::open(&folder, asked.is_some()).map_err(|error| problem(&error))?;
    let told = |what: Told| told(say(what));
    let said = Said { nobody_writes, old_is_gone };
    let mover = Mover::open(folder, asked.as_ref(), said, &told).await.map_err(|error| problem(&error))?;
    match Box::pin(mover.run(only_copy)).await.map_err(|error| problem(&error))? {
        Outcome::Copied(buckets) => {
            let buckets = buckets.into_iter().map(moved).collect();
            Ok(TenantMoved { stage: TenantStage::Copied, buckets, ..nothing() })
        }
        Outcome::Moved { receipt, file } => Ok(TenantMoved { receipt: Some(file), ..shown(*receipt) }),
    }
}

pub(crate) async fn stay(folder: &Path) -> Result<(), Problem> {
    let folder = Folder::open(folder, false).map_err(|error| problem(&error))?;
    let mover = Mover::open(folder, None, Said::default(), &|_| {}).await.map_err(|error| problem(&error))?;
    mover.stay().await.map_err(|error| problem(&error))
}

pub(crate) fn receipt(file: &[u8], list: Option<&[u8]>) -> Result<TenantMoved, Problem> {
    verify(file, list).map(shown).map_err(|error| {
        let next = match error {
            ReceiptError::List => "look for the file `list` of the same move, or check the receipt alone",
            _ => "take the file `receipt` from the folder of the move",
        };
        Problem::corrupt("this file shows no move", error.to_string(), Some(next))
    })
}

fn nothing() -> TenantMoved {
    TenantMoved {
        stage: TenantStage::Planned,
        endpoints: None,
        buckets: Vec::new(),
        read_only_ms: None,
        moved_ms: None,
        compared: true,
        list_sha256: None,
        key: None,
        receipt: None,
    }
}

fn planned(look: Look) -> TenantMoved {
    let one = |bucket: freehold_mover::LookBucket| TenantBucket {
        name: bucket.name,
        now: bucket.now,
        versions: bucket.versions,
        markers: 0,
        bytes: bucket.bytes,
        taken: bucket.taken,
        settings: Vec::new(),
        left: Vec::new(),
    };
    TenantMoved { buckets: look.buckets.into_iter().map(one).collect(), ..nothing() }
}

fn moved(bucket: BucketMoved) -> TenantBucket {
    TenantBucket {
        name: bucket.name,
        now: bucket.now,
        versions: bucket.versions,
        markers: bucket.markers,
        bytes: bucket.bytes,
        taken: false,
        settings: bucket.settings,
        left: bucket.left,
    }
}

fn shown(receipt: Receipt) -> TenantMoved {
    let read_only_ms = receipt.read_only_ms();
    TenantMoved {
        stage: TenantStage::Moved,
        endpoints: Some((receipt.from.0, receipt.to.0)),
        buckets: receipt.buckets.into_iter().map(moved).collect(),
        read_only_ms,
        moved_ms: Some(receipt.taken_over_ms),
        compared: receipt.compared,
        list_sha256: Some(receipt.manifest_sha256),
        key: Some(receipt.key),
        receipt: None,
    }
}

fn problem(error: &MoveError) -> Problem {
    let why = error.to_string();
    match error {
        MoveError::Silent { realm: Realm::Old, .. } => Problem::unreachable(
            UNDONE,
            why,
            Some("run the same command again once it answers; if it never will: add --old-is-gone"),
        ),
        MoveError::Silent { .. } => {
            Problem::unreachable(UNDONE, why, Some("run the same command again once it answers"))
        }
        MoveError::Refused { realm, what, .. } if error.is(&["AccessDenied", "AllAccessDisabled"]) => {
            let next = match realm {
                Realm::Old if what.ends_with("policy") => {
                    "your key there needs the right to admin (freehold key create --allow \
                     read,write,list,delete,admin); or stop what writes, and add --nobody-writes"
                }
                _ => "see that the key has the rights to read, write, list, delete and admin in that realm",
            };
            Problem::refused(UNDONE, why, Some(next))
        }
        MoveError::Refused { .. } if error.is(&["BucketAlreadyExists"]) => Problem::conflict(
            UNDONE,
            why,
            Some("give the bucket another name there, in a new folder: --as OLD=NEW"),
        ),
        MoveError::Refused { .. } => {
            Problem::refused(UNDONE, why, Some("run the same command again when the reason is gone"))
        }
        MoveError::Taken(_) => Problem::conflict(
            UNDONE,
            why,
            Some("give the bucket another name there, in a new folder: --as OLD=NEW"),
        ),
        MoveError::Answer { .. } | MoveError::Differs { .. } | MoveError::Journal { .. } => Problem::corrupt(
            UNDONE,
            why,
            Some("run the same command again; if it stays so, move to a new folder"),
        ),
        MoveError::Policy { .. } => {
            Problem::refused(UNDONE, why, Some("mend the bucket's policy, then run the same command again"))
        }
        MoveError::Busy(_) => Problem::conflict(UNDONE, why, Some("wait until the other one has ended")),
        MoveError::Disk { .. } => Problem::refused(UNDONE, why, None::<&str>),
        MoveError::Over => Problem::refused(
            "the old realm does not count any more",
            why,
            Some("to go back, move from the new realm to the old one, with other names for the buckets"),
        ),
        MoveError::NoMove(_) => Problem::not_found(
            UNDONE,
            why,
            Some("begin one: freehold tenant move FOLDER --from URL --from-key FILE --to URL --to-key FILE"),
        ),
        MoveError::Address(_)
        | MoveError::Key { .. }
        | MoveError::Certificates { .. }
        | MoveError::Nothing
        | MoveError::Another { .. } => Problem::invalid(UNDONE, why, Some("freehold tenant move --help")),
    }
}

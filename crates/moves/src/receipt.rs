//! The receipt of a move: what was taken from where to where, under the signature of a key that the move made for
//! itself, and the digest of a list of everything.

use freehold_crypt::{Signature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Kept, Model, ModelBucket};

const TAG: &str = "freehold receipt of a move, 1";
const DOMAIN: &[u8] = b"freehold 2026 receipt of a move";
/// A receipt names buckets, not objects.
const RECEIPT_MAX: usize = 4 << 20;

/// What was moved of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketMoved {
    /// Its name in the old realm.
    pub name: String,
    /// Its name in the new one.
    pub now: String,
    /// Objects that are not deleted.
    pub objects: u64,
    /// All their versions, without delete markers.
    pub versions: u64,
    /// Delete markers.
    pub markers: u64,
    /// Bytes of all versions.
    pub bytes: u64,
    /// How it was set, by the names of what was carried over.
    pub settings: Vec<String>,
    /// What was not, in words.
    pub left: Vec<String>,
}

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What this is.
    pub tag: String,
    /// The old realm's endpoint, and the id of the access key that read there.
    pub from: (String, String),
    /// The new realm's, and of the key that wrote there.
    pub to: (String, String),
    /// When the move began, in milliseconds since 1970.
    pub begun_ms: u64,
    /// Since when the old buckets refused writes; none if whoever moved said that nobody writes.
    pub closed_ms: Option<u64>,
    /// Since when the new realm counts.
    pub taken_over_ms: u64,
    /// Whether the old realm was compared to the last: not if it ceased to answer before.
    pub compared: bool,
    /// Each bucket.
    pub buckets: Vec<BucketMoved>,
    /// The SHA-256 of the list of everything, in hex.
    pub manifest_sha256: String,
    /// The public key of the move, in hex.
    pub key: String,
}

/// The file is no receipt that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It cannot be read.
    #[error("it is not a receipt of a move that this program knows")]
    Unreadable,
    /// It was altered.
    #[error("it was altered after it was signed")]
    Altered,
    /// The list is another one.
    #[error("the list is not the one that the receipt was made of")]
    List,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    receipt: Receipt,
    signature: String,
}

impl BucketMoved {
    /// What is in the new realm of each bucket.
    pub fn all(model: &Model) -> Vec<Self> {
        let plan = model.plan.iter().flat_map(|plan| &plan.buckets);
        plan.filter_map(|(name, now)| Some(Self::of(name, now, model.buckets.get(name)?))).collect()
    }

    fn of(name: &str, now: &str, bucket: &ModelBucket) -> Self {
        let all = || bucket.objects.values().flatten();
        let live = |versions: &&Vec<Kept>| versions.last().is_some_and(|kept| !kept.from.marker);
        Self {
            name: name.to_owned(),
            now: now.to_owned(),
            objects: bucket.objects.values().filter(live).count() as u64,
            versions: all().filter(|kept| !kept.from.marker).count() as u64,
            markers: all().filter(|kept| kept.from.marker).count() as u64,
            bytes: all().map(|kept| kept.from.size).sum(),
            settings: bucket.settings.keys().cloned().collect(),
            left: bucket.left.clone(),
        }
    }
}

impl Receipt {
    /// The receipt of a move that is taken over; none before. `ids` are those of the two access keys.
    pub fn of(model: &Model, ids: (String, String), manifest: &[u8], key: &SigningKey) -> Option<Self> {
        let plan = model.plan.as_ref()?;
        Some(Self {
            tag: TAG.to_owned(),
            from: (plan.from.endpoint.clone(), ids.0),
            to: (plan.to.endpoint.clone(), ids.1),
            begun_ms: model.begun,
            closed_ms: model.closed,
            taken_over_ms: model.taken_over?,
            compared: !model.old_is_gone,
            buckets: BucketMoved::all(model),
            manifest_sha256: hex::encode(Sha256::digest(manifest)),
            key: hex::encode(key.verifying().to_bytes()),
        })
    }

    /// How long writes were refused, in milliseconds.
    pub fn read_only_ms(&self) -> Option<u64> {
        self.closed_ms.map(|closed| self.taken_over_ms.saturating_sub(closed))
    }
}

/// A line of the list: one version, where it was and where it is.
pub fn manifest_line(bucket: &str, key: &str, kept: &Kept) -> String {
    let Kept { from, to, sha256, .. } = kept;
    let mut line = serde_json::json!({
        "bucket": bucket, "key": key, "was": from.version, "is": to, "written": from.modified,
    });
    if let Some(line) = line.as_object_mut() {
        if from.marker {
            line.insert("deleted".to_owned(), true.into());
        } else {
            line.insert("bytes".to_owned(), from.size.into());
            line.insert("etag".to_owned(), from.etag.as_str().into());
            line.insert("sha256".to_owned(), sha256.as_str().into());
        }
    }
    format!("{line}\n")
}

fn message(receipt: &Receipt) -> Vec<u8> {
    [DOMAIN, &serde_json::to_vec(receipt).unwrap_or_default()].concat()
}

/// The file of a receipt, signed.
pub fn seal(receipt: &Receipt, key: &SigningKey) -> String {
    let signature = hex::encode(key.sign(&message(receipt)).as_bytes());
    let signed = Signed { receipt: receipt.clone(), signature };
    serde_json::to_string_pretty(&signed).unwrap_or_default() + "\n"
}

/// Reads a receipt; a list that comes with it must be the one it was made of.
///
/// # Errors
/// [`ReceiptError`]
pub fn verify(file: &[u8], manifest: Option<&[u8]>) -> Result<Receipt, ReceiptError> {
    if file.len() > RECEIPT_MAX {
        return Err(ReceiptError::Unreadable);
    }
    let Signed { receipt, signature } = serde_json::from_slice(file).map_err(|_| ReceiptError::Unreadable)?;
    let key = hex::decode(&receipt.key).ok().and_then(|key| VerifyingKey::from_bytes(&key).ok());
    let signature: Option<[u8; 64]> = hex::decode(&signature).ok().and_then(|bytes| bytes.try_into().ok());
    let (Some(key), Some(signature), TAG) = (key, signature, receipt.tag.as_str()) else {
        return Err(ReceiptError::Unreadable);
    };
    key.verify(&message(&receipt), &Signature::from_bytes(signature)).map_err(|_| ReceiptError::Altered)?;
    if manifest.is_some_and(|list| hex::encode(Sha256::digest(list)) != receipt.manifest_sha256) {
        return Err(ReceiptError::List);
    }
    Ok(receipt)
}

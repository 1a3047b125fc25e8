//! A home's disk, read as somebody would who has it and some keys, without the program.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use freehold_crypt::{BoxSecret, Secret, unwrap_key};
use freehold_disk::{EntryRow, EntryStore, KeyStore};
use freehold_placement::Entry;
use freehold_seal::{
    BlobOpener, BucketKey, CHUNK_LEN, Content, DirectoryRow, Envelope, HEADER_LEN, KeyOf, Manifest,
    ObjectKey, PayloadPlace, SEALED_CHUNK_LEN, Setting, SettingRow, object_digest, open_envelope,
};
use freehold_wire::{BlobName, BucketId, RealmId, to_canonical};

/// What opened.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// Keys of buckets and of the directory.
    pub(crate) keys: BTreeMap<(KeyOf, u32), BucketKey>,
    /// Keys of objects.
    pub(crate) object_keys: Vec<Secret>,
    /// Names of objects, buckets, nodes.
    pub(crate) names: Vec<String>,
    /// Objects whose bytes opened.
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
}

/// The secret that opens boxes to the node of a home.
pub(crate) fn box_secret(home: &Path) -> Result<Secret> {
    KeyStore::open(&home.join("keys"))?.read("node-box")?.context("a node has a box key")
}

/// Opens what there is in a home with the secrets of boxes, and keys that are known already.
pub(crate) fn open(home: &Path, boxes: &[Secret], known: &Opened) -> Result<Opened> {
    let disk = Disk { home, entries: EntryStore::open(&home.join("entries.redb"))? };
    let mut rows: Vec<(Entry, Vec<u8>)> = Vec::new();
    disk.entries.scan(|EntryRow { entry, payload, .. }| {
        rows.extend(Entry::decode(&entry).ok().zip(payload));
        ControlFlow::Continue(())
    })?;
    let mut opened = Opened { keys: known.keys.clone(), ..Opened::default() };
    let envelopes =
        || rows.iter().filter_map(|(entry, payload)| Some((entry.realm, Envelope::decode(payload).ok()?)));
    for (realm, envelope) in envelopes() {
        for seed in boxes {
            if let Ok(key) = open_envelope(realm, &envelope, envelope.to, &BoxSecret::from_seed(seed)) {
                opened.keys.insert((envelope.key_of, envelope.version), key);
            }
        }
    }
    for (entry, payload) in &rows {
        let place =
            PayloadPlace { realm: entry.realm, bucket: entry.bucket, origin: entry.origin, seq: entry.seq };
        for ((of, _), key) in opened.keys.clone() {
            match (of, Content::open(&key, &place, payload)) {
                (KeyOf::Directory, Ok(Content::Row(row))) => opened.names.extend(name(&row)),
                (KeyOf::Bucket(bucket), Ok(Content::Manifest(manifest))) => {
                    take(&disk, &mut opened, entry, bucket, &manifest, &key);
                }
                (KeyOf::Bucket(_), Ok(Content::Setting(SettingRow { setting: Setting::Name, document }))) => {
                    let name = document.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
                    opened.names.extend(name);
                }
                (KeyOf::Bucket(bucket), Ok(Content::Resealed(resealed))) => {
                    if let Ok(Content::Manifest(manifest)) = resealed.content() {
                        take(&disk, &mut opened, entry, bucket, &manifest, &key);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(opened)
}

/// The boxes on a disk.
pub(crate) fn boxes(home: &Path) -> Result<Vec<Envelope>> {
    let mut all = Vec::new();
    EntryStore::open(&home.join("entries.redb"))?.scan(|EntryRow { payload, .. }| {
        all.extend(payload.and_then(|payload| Envelope::decode(&payload).ok()));
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

fn name(row: &DirectoryRow) -> Option<String> {
    match row {
        DirectoryRow::RealmName(name)
        | DirectoryRow::NodeName(_, name)
        | DirectoryRow::BucketName(_, name)
        | DirectoryRow::ServiceName(_, name) => name.as_ref().map(|name| name.as_str().to_owned()),
        _ => None,
    }
}

fn take(
    disk: &Disk<'_>,
    opened: &mut Opened,
    entry: &Entry,
    bucket: BucketId,
    manifest: &Manifest,
    key: &BucketKey,
) {
    let name = manifest.name.as_str().to_owned();
    opened.names.push(name.clone());
    let Some(stored) = manifest.stored.as_deref() else { return };
    let object = (object_digest(&name), manifest.version);
    let Some(secret) = object_key(entry.realm, bucket, object, key, &stored.key) else { return };
    opened.object_keys.push(secret.clone());
    let binding = manifest.binding(entry.realm, bucket);
    let parts = stored.parts.iter().zip(&entry.blobs);
    let bytes: Option<Vec<Vec<u8>>> = parts
        .map(|(part, blob)| {
            let sealed = disk.blob(blob.name)?;
            let key = ObjectKey::from_secret(secret.clone());
            let opener =
                BlobOpener::new(&key, &binding, part.number, blob.name, sealed.get(..HEADER_LEN)?).ok()?;
            let chunks = part.plain_len.div_ceil(CHUNK_LEN as u64).max(1);
            let mut cipher = sealed.get(HEADER_LEN..)?.to_vec();
            assert!(cipher.len() as u64 <= chunks * SEALED_CHUNK_LEN as u64, "a blob longer than its part");
            let len = opener.open_run(part.plain_len, 0..chunks, &mut cipher).ok()?;
            cipher.truncate(len);
            Some(cipher)
        })
        .collect();
    if let Some(bytes) = bytes {
        opened.objects.insert(name, bytes.concat());
    }
}

fn object_key(
    realm: RealmId,
    bucket: BucketId,
    (object, version): (freehold_wire::Digest, freehold_seal::VersionId),
    key: &BucketKey,
    wrapped: &freehold_crypt::WrappedKey,
) -> Option<Secret> {
    let binding = to_canonical(&(realm, bucket, object, version, key.version()));
    unwrap_key(key.secret(), &binding, wrapped).ok()
}

/// What a node stores.
struct Disk<'a> {
    home: &'a Path,
    entries: EntryStore,
}

impl Disk<'_> {
    /// A blob: a small one lies beside the entries.
    fn blob(&self, name: BlobName) -> Option<Vec<u8>> {
        if let Some(small) = self.entries.blob(&name).ok()? {
            return Some(small);
        }
        let hex = name.to_string();
        std::fs::read(self.home.join("depot").join(hex.get(..2)?).join(hex)).ok()
    }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => all.push(entry.path()),
                _ => {}
            }
        }
    }
    Ok(all)
}

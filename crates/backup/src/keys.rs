//! The key of a repository, sealed with its password, as restic keeps it
//! (<https://restic.readthedocs.io/en/stable/100_references.html#keys-encryption-and-mac>).

use rustic_core::{
    FileType, Id, WriteBackend,
    jiff::Zoned,
    repofile::{KeyFile, MasterKey},
};
use scrypt::Params;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{Password, error::said, sealing::Sealer};

/// To guess at 256 random bits is hopeless at any price: 16 MiB, for each run opens the repository.
const DRAWN: u8 = 14;

/// Writes the file of a key.
pub(crate) fn write(store: &dyn WriteBackend, key: &MasterKey, password: &Password) -> Result<(), String> {
    let log_n = if password.is_drawn() { DRAWN } else { Params::RECOMMENDED_LOG_N };
    let params = Params::new(log_n, Params::RECOMMENDED_R, Params::RECOMMENDED_P);
    let params = params.map_err(|error| error.to_string())?;
    let mut salt = vec![0; 64];
    getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
    let mut derived = Zeroizing::new([0; 64]);
    scrypt::scrypt(password.reveal().as_bytes(), &salt, &params, &mut *derived)
        .map_err(|error| error.to_string())?;
    let plain = Zeroizing::new(serde_json::to_vec(key).map_err(|error| error.to_string())?);
    let data = Sealer::of(&derived).file(&plain, true).map_err(|error| error.to_string())?.to_vec();
    let file = KeyFile {
        hostname: None,
        username: None,
        created: Some(Zoned::now()),
        kdf: "scrypt".to_owned(),
        n: 1 << params.log_n(),
        r: params.r(),
        p: params.p(),
        data,
        salt,
    };
    let bytes = serde_json::to_vec(&file).map_err(|error| error.to_string())?;
    let id = Id::new(Sha256::digest(&bytes).into());
    store.write_bytes(FileType::Key, &id, false, bytes.into()).map_err(|error| said(&error))
}

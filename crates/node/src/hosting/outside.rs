//! What somebody without any key can find out about the stores of a backend, and the list that helps.

use std::sync::PoisonError;

use freehold_api::{NewBackend, PackLine, Problem, StoresChecked, StoresToCheck, WrongPack};
use freehold_backend::{Inventory, check_outside};
use freehold_wire::{BlobName, Hex};

use super::store;
use crate::problem::chain;
use crate::shared::Shared;

const NOT_CHECKED: &str = "the store was not checked";

/// The list of what lies on the store of a backend.
pub(crate) async fn packs(shared: &Shared, typed: &str) -> Result<Vec<PackLine>, Problem> {
    let lodger = shared.backends.named(shared, typed)?;
    let opened = lodger.now.lock().unwrap_or_else(PoisonError::into_inner).opened.clone();
    let next = "it is tried again by itself: freehold backend list";
    let Some(opened) = opened else {
        let what = format!("there is no list of what {} has", lodger.folder);
        return Err(Problem::unreachable(what, "it does not run", Some(next)));
    };
    let all = opened.packed.inventory().await;
    let all = all.map_err(|e| Problem::unreachable("there is no list", chain(&e), Some(next)))?;
    let line = |pack: Inventory| PackLine {
        name: Hex(&pack.name).to_string(),
        len: pack.len,
        blake3: pack.hash.map(|hash| Hex(&hash).to_string()),
    };
    Ok(all.into_iter().map(line).collect())
}

fn listed(line: &PackLine) -> Result<Inventory, Problem> {
    let hex = |text: &str| text.parse::<BlobName>().ok().map(|bytes| *bytes.as_bytes());
    let name = hex(&line.name);
    let hash = line.blake3.as_deref().map_or(Some(None), |hash| hex(hash).map(Some));
    match (name, hash) {
        (Some(name), Some(hash)) => Ok(Inventory { name, len: line.len, hash }),
        _ => Err(Problem::invalid(
            NOT_CHECKED,
            format!("{:?} in the list is no pack with its hash", line.name),
            Some("have the list made anew: freehold backend packs NAME"),
        )),
    }
}

/// Checks stores without any key of theirs, and without a node.
///
/// # Errors
/// A [`Problem`] if a store cannot be asked; what is wrong on it is none.
pub async fn check_stores(wish: StoresToCheck) -> Result<StoresChecked, Problem> {
    let list = wish.list.map(|list| list.iter().map(listed).collect::<Result<Vec<_>, _>>()).transpose()?;
    let (may_lose, stores) = (wish.may_lose, wish.stores);
    let asked = NewBackend { stores, may_lose, ..NewBackend::default() };
    let (settings, credentials) = store::wished(NOT_CHECKED, &asked)?;
    let mut all = Vec::new();
    for (settings, credentials) in settings.stores().zip(&credentials) {
        let store = freehold_backend::connect(settings, credentials);
        let next = Some("freehold backend check --help");
        all.push(store.map_err(|e| Problem::invalid(NOT_CHECKED, chain(&e), next))?);
    }
    let found = check_outside(&all, may_lose, list.as_deref(), wish.read).await.map_err(|e| {
        Problem::unreachable(
            NOT_CHECKED,
            chain(&e),
            Some("see that it is there and lets the key in, then try again"),
        )
    })?;
    let wrong = found.wrong.iter().map(|wrong| WrongPack {
        name: wrong.pack.clone(),
        store: wrong.store.map(|at| store::named(&settings, at)),
        what: wrong.damage.to_string(),
    });
    Ok(StoresChecked {
        wrong: wrong.collect(),
        packs: found.packs,
        proven: found.proven,
        bytes: found.bytes,
        unlisted: found.unlisted,
        others: found.others,
    })
}

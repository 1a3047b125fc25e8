//! Backups of datasets, from the API to where they are carried out.

use std::collections::BTreeMap;

use async_trait::async_trait;
use freehold_api::{Problem, ZfsAsked, ZfsControl, ZfsDeclaration, ZfsStatus};
use freehold_zfs::Declaration;

use super::Answers;
use super::realm::node_named;
use crate::clock;
use crate::shared::Shared;
use crate::zfs::{File, told};

const NOT_APPLIED: &str = "the declaration was not applied";

#[async_trait]
impl ZfsControl for Answers {
    async fn zfs(&self) -> Result<ZfsStatus, Problem> {
        Ok(told::status(&self.0))
    }

    async fn apply_zfs(&self, wish: ZfsDeclaration) -> Result<ZfsStatus, Problem> {
        let shared = &self.0;
        let file = file(shared, wish.text)?;
        let odd = |why| Problem::bug(NOT_APPLIED, why, None::<&str>);
        let chosen = file.read().map_err(odd)?;
        if chosen.name_of(shared.me()).is_none() {
            let why = format!("it does not name {}, this machine", shared.name_of(shared.me()));
            return Err(Problem::invalid(NOT_APPLIED, why, Some("apply it on the machines that it names")));
        }
        if let Err(error) = shared.datasets.tool.is_there().await {
            let next = "install OpenZFS, then type it again";
            return Err(Problem::refused(NOT_APPLIED, error.to_string(), Some(next)));
        }
        if wish.dry_run {
            return Ok(told::would(shared, &chosen));
        }
        shared.datasets.choose(&file, chosen)?;
        Ok(told::status(shared))
    }

    async fn zfs_now(&self) -> Result<Vec<ZfsAsked>, Problem> {
        let datasets = &self.0.datasets;
        let none = || {
            let (what, why) = ("nothing was sent", "no datasets of this machine are backed up");
            Problem::not_found(what, why, Some("freehold backup zfs apply FILE"))
        };
        let chosen = datasets.chosen().ok_or_else(none)?;
        let me = chosen.name_of(self.0.me()).unwrap_or_default();
        let pairs = chosen.declaration.of(me).flat_map(|backup| {
            backup.targets.iter().map(|target| (backup.name.to_string(), target.name.to_string()))
        });
        let asked = datasets.ask(pairs);
        if asked.is_empty() {
            return Err(none());
        }
        Ok(asked
            .into_iter()
            .map(|((backup, target), question)| ZfsAsked { backup, target, question })
            .collect())
    }
}

/// The declaration, with the machines that its names mean now.
fn file(shared: &Shared, text: String) -> Result<File, Problem> {
    let declaration = Declaration::read(&text).map_err(|error| {
        Problem::invalid(NOT_APPLIED, error.to_string(), Some("set it right, then apply it"))
    })?;
    let mut machines = BTreeMap::new();
    for backup in &declaration.backups {
        let all = backup.targets.iter().map(|target| &target.machine);
        for name in all.chain([&backup.machine]) {
            machines.insert(name.to_string(), node_named(shared, name.as_str())?.to_string());
        }
    }
    Ok(File { text, machines, since_ms: clock::wall().0 })
}

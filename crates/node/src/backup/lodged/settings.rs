//! What this machine was told and no other one knows, as files that mean something. What the realm was told (its machines, names,
//! services, members, rules) is in its log, and comes back with it. Nothing here is a secret: passwords and keys lie sealed in
//! the vault, and addresses that let somebody in are left out.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use freehold_api::{AlarmControl as _, ChoiceControl as _, Control as _, ForwardControl, NewBackup, Problem};
use freehold_backup::{Item, Items};
use serde::Serialize;
use serde_json::json;

use crate::backup::Backup;
use crate::control::Answers;
use crate::shared::Shared;

/// What all of them lie in.
pub(super) const ROOT: &str = "/machine";

/// The files, or why there are none.
pub(super) struct Settings(Result<Vec<(PathBuf, Vec<u8>)>, String>);

impl Settings {
    pub(super) async fn of(shared: &Arc<Shared>) -> Self {
        let mut files = Files(Vec::new());
        let told = gathered(shared, &mut files).await;
        Self(
            told.map(|()| files.0)
                .map_err(|problem| format!("what this machine was told cannot be read: {problem}")),
        )
    }

    pub(super) fn items(&self) -> Items {
        let item = |(path, bytes): &(PathBuf, Vec<u8>)| {
            Ok(Item { path: path.clone(), size: bytes.len() as u64, ..Item::default() })
        };
        let items: Vec<io::Result<Item>> = match &self.0 {
            Ok(files) => files.iter().map(item).collect(),
            Err(why) => vec![Err(io::Error::other(why.clone()))],
        };
        Box::new(items.into_iter())
    }

    pub(super) fn open(&self, item: &Item) -> io::Result<Box<dyn Read + Send>> {
        let files = self.0.as_ref().map_err(|why| io::Error::other(why.clone()))?;
        let (_, bytes) = files.iter().find(|(path, _)| *path == item.path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes.clone())))
    }
}

struct Files(Vec<(PathBuf, Vec<u8>)>);

impl Files {
    fn add(&mut self, name: &str, value: &impl Serialize) -> Result<(), Problem> {
        let mut bytes = serde_json::to_vec_pretty(value)
            .map_err(|error| Problem::bug("settings are no JSON", error.to_string(), None::<&str>))?;
        bytes.push(b'\n');
        self.0.push((Path::new(ROOT).join(name), bytes));
        Ok(())
    }
}

async fn gathered(shared: &Arc<Shared>, files: &mut Files) -> Result<(), Problem> {
    let (answers, me) = (Answers(Arc::clone(shared)), shared.me().to_string());
    let alarms = answers.alarm_channels().await?;
    let alarms: Vec<_> = alarms.iter().map(|one| json!({"name": one.name, "host": one.host})).collect();
    files.add("alarms.json", &alarms)?;
    files.add("backups.json", &backups(shared))?;
    let forwards = ForwardControl::forwards(&answers).await?;
    let forwards: Vec<_> = forwards.iter().map(|one| json!({"listen": one.listen, "to": one.to})).collect();
    files.add("forwards.json", &forwards)?;
    let machine = answers.nodes().await?.into_iter().find(|node| node.id == me).map(|node| {
        let freehold_api::NodePlace { zone, region, pace, .. } = node.place;
        json!({"id": node.id, "name": node.name, "roles": node.roles, "zone": zone, "region": region, "pace": pace})
    });
    files.add("machine.json", &machine)?;
    let using = answers.net_use().await?;
    let freehold_api::NetUse { exit, routes, networks, lan, leak, .. } = using;
    let using = json!({"exit": exit, "routes": routes, "networks": networks, "lan": lan, "leak": leak});
    files.add("net-use.json", &using)?;
    if let Some(text) = shared.datasets.text() {
        files.0.push((Path::new(ROOT).join("zfs.toml"), text.into_bytes()));
    }
    Ok(())
}

/// Targets by where they are, and backups as they are typed.
fn backups(shared: &Shared) -> impl Serialize {
    let plan = shared.backups_of_files.plan();
    let target = |(name, target): (&String, &super::super::Target)| json!({"name": name, "place": target.place.told(shared), "pace": target.pace});
    let targets: Vec<_> = plan.targets.iter().map(target).collect();
    let backups: Vec<NewBackup> = plan.backups.iter().map(|(name, backup)| wish(name, backup)).collect();
    json!({"targets": targets, "backups": backups, "meant-to-be-in-none": plan.spared})
}

/// What would make the same one anew.
fn wish(name: &str, backup: &Backup) -> NewBackup {
    let text = |path: &PathBuf| path.display().to_string();
    let is_files = backup.command.is_empty() && backup.kept.is_nothing();
    let file = backup.paths.first().filter(|_| !backup.command.is_empty());
    NewBackup {
        name: name.to_owned(),
        paths: if is_files { backup.paths.iter().map(text).collect() } else { Vec::new() },
        command: backup.command.clone(),
        file: file.map(|path| text(path).trim_start_matches('/').to_owned()),
        buckets: backup.kept.buckets.clone(),
        databases: backup.kept.databases.clone(),
        everything: backup.kept.everything,
        to: backup.to.iter().cloned().collect(),
        every_ms: backup.every_ms,
        exclude: backup.exclude.clone(),
        git_ignore: backup.git_ignore,
        one_file_system: backup.one_file_system,
        on_metered: backup.on_metered,
        keep: backup.keep,
    }
}

//! What the pretended family backs up, and what it lends and borrows.

use async_trait::async_trait;
use bytes::Bytes;
use freehold_api::{
    BackupAsked, BackupCheck, BackupControl, BackupEntry, BackupEvents, BackupForget, BackupFound,
    BackupKeep, BackupLook, BackupMetered, BackupMount, BackupMounted, BackupNode, BackupPace,
    BackupPassword, BackupPlace, BackupRead, BackupRestore, BackupSnapshot, BackupSought, BackupSpare,
    BackupStatus, BackupTarget, BackupTree, BackupUnprotected, Backups, GrantControl, GrantOffered,
    GrantStatus, GrantToAccept, NewBackup, NewBackupTarget, NewGrant, Problem, RealmCard,
};
use serde_json::{Value, json};

use super::{HOUR_MS, Pretend, backed_up, now_ms};

const DAY_MS: u64 = 24 * HOUR_MS;

fn unmade<T>() -> Result<T, Problem> {
    Err(Problem::unreachable("nothing was done", "this node is pretended", None::<&str>))
}

fn run(ago_ms: u64, files: u64, bytes: u64, added: u64) -> Value {
    json!({ "ago_ms": ago_ms, "snapshot": "5e".repeat(32), "files": files, "bytes": bytes, "added": added,
        "unread": 0, "named": [] })
}

fn trial(ago_ms: u64, good: bool, why: &[&str]) -> Value {
    json!({ "ago_ms": ago_ms, "good": good, "files": if good { 100 } else { 99 }, "of": 48_211,
        "bytes": 212_400_000_u64, "why": why })
}

/// One that is well on a disk and waits for a stick, one under way for the first time, and one that is in trouble.
pub(crate) fn backups() -> Backups {
    let away = "/media/stick/freehold is not there: no disk is mounted, or it has no repository";
    let home = [
        json!({ "target": "disk", "last": run(25 * 60_000, 48_211, 61_400_000_000, 18_200_000), "failed": 0,
            "next_in_ms": 35 * 60_000, "tried": trial(9 * HOUR_MS, true, &[]), "ended": 12, "alarms": [] }),
        json!({ "target": "stick", "last": run(6 * DAY_MS, 47_980, 61_100_000_000, 902_000_000), "failed": 9,
            "why": away, "next_in_ms": 40 * 60_000, "tried": trial(6 * DAY_MS, true, &[]), "ended": 9, "alarms": [] }),
    ];
    let papers = [
        json!({ "target": "disk", "last": run(5 * DAY_MS, 1_204, 1_780_000_000, 12_000), "failed": 4,
        "why": "no space left on device", "next_in_ms": 22 * 60_000,
        "tried": trial(5 * DAY_MS, false, &["/srv/papers/deed.pdf: its content is another one than was stored"]),
        "ended": 4, "alarms": ["is old", "does not come back as it was"] }),
    ];
    let music =
        [json!({ "target": "disk", "running": { "done": 14_000_000_000_u64, "total": 52_000_000_000_u64 },
        "failed": 0, "ended": 0, "alarms": [] })];
    let all = json!({
        "targets": [
            { "name": "disk", "place": "/media/disk/freehold" },
            { "name": "stick", "place": "/media/stick/freehold" },
        ],
        "kept": [{ "machine": "gran's house", "snapshots": 212, "ago_ms": 20 * 60_000 }],
        "backups": [
            { "id": "1a", "name": "home", "paths": ["/home/ann", "/home/ben"], "exclude": ["*.iso", ".cache"],
                "every_ms": HOUR_MS, "to": home },
            { "id": "2b", "name": "music", "paths": ["/srv/music"], "exclude": [], "every_ms": 7 * DAY_MS, "to": music },
            { "id": "3c", "name": "papers", "paths": ["/srv/papers"], "exclude": [], "every_ms": DAY_MS, "to": papers },
        ],
    });
    serde_json::from_value(all).unwrap()
}

const OF_ROOM: &str = "90a1";
const OF_ENDED: &str = "77bc";

fn said(kind: &str, ago_ms: u64) -> Value {
    json!({ "operation": "4e".repeat(32), "kind": kind, "by": "ann on attic", "at_ms": now_ms() - ago_ms })
}

/// Room lent to friends, room borrowed that ends soon, a service, and room that is over.
pub(crate) fn grants() -> Vec<GrantStatus> {
    let now = now_ms();
    let jones = json!({ "realm": "5d".repeat(32), "realm_name": "jones" });
    let with = |mut one: Value| {
        let (one_fields, theirs) = (one.as_object_mut().unwrap(), jones.as_object().unwrap());
        for (key, value) in theirs {
            one_fields.entry(key.clone()).or_insert_with(|| value.clone());
        }
        one
    };
    let machine = json!({ "id": "de".repeat(32), "address": "fd4b:91c2::7", "until_ms": now + 5 * HOUR_MS, "hosts": [] });
    let ended = with(
        json!({ "id": OF_ENDED.repeat(16), "name": "miller-room", "side": "lends", "resource": "storage",
        "realm_name": "miller", "from_ms": now - 200 * DAY_MS, "until_ms": now + 165 * DAY_MS, "standing": "ended",
        "said": [said("GrantOffer", 200 * DAY_MS), said("GrantRevoke", 40 * DAY_MS)], "services": [], "machines": [],
        "room": { "bytes": 10_000_000_000_u64, "egress": 40_000_000_000_u64, "wind_down_days": 30, "phase": "over",
            "homes": ["cellar"], "receipts": [{ "node": "c0".repeat(32), "objects": 812, "bytes": 4_912_337_104_u64,
                "at_ms": now - 10 * DAY_MS }] } }),
    );
    let all = json!([
        with(json!({ "id": OF_ROOM.repeat(16), "name": "jones-room", "side": "lends", "resource": "storage",
            "from_ms": now - 60 * DAY_MS, "until_ms": now + 305 * DAY_MS, "standing": "holds",
            "said": [said("GrantOffer", 60 * DAY_MS)], "services": [], "machines": [machine],
            "room": { "bytes": 50_000_000_000_u64, "egress": 200_000_000_000_u64, "wind_down_days": 30, "phase": "open",
                "kept": 17_204_118_336_u64, "objects": 2_911, "sent": 3_400_000_000_u64, "homes": ["attic", "cellar"],
                "receipts": [] } })),
        with(json!({ "id": "31fe".repeat(16), "name": "jones-wiki", "side": "lends", "resource": "services",
            "from_ms": now - 20 * DAY_MS, "until_ms": now + 70 * DAY_MS, "standing": "holds",
            "said": [said("GrantOffer", 20 * DAY_MS)], "machines": [],
            "services": [{ "domain": "wiki.smith.internal", "address": "fd4b:91c2:770e::77" }] })),
        with(json!({ "id": "c2d4".repeat(16), "name": "lee", "side": "borrows", "resource": "storage",
            "realm_name": "lee", "from_ms": now - 356 * DAY_MS, "until_ms": now + 9 * DAY_MS, "standing": "holds",
            "said": [said("GrantAccept", 355 * DAY_MS)], "services": [], "machines": [],
            "trouble": "the room at lee ends soon: in 9 days nothing more is stored there, and what lies there is deleted later",
            "room": { "bytes": 20_000_000_000_u64, "egress": 80_000_000_000_u64, "wind_down_days": 30,
                "phase": "ends-soon", "phase_until_ms": now + 9 * DAY_MS, "kept": 19_204_118_336_u64, "objects": 211,
                "sent": 0, "place": "lee", "homes": ["ab".repeat(32)], "receipts": [] } })),
        ended,
    ]);
    serde_json::from_value(all).unwrap()
}

#[async_trait]
impl BackupControl for Pretend {
    async fn backups(&self) -> Result<Backups, Problem> {
        Ok(self.world().backups.clone())
    }

    async fn add_backup_target(&self, _: NewBackupTarget) -> Result<BackupTarget, Problem> {
        unmade()
    }

    async fn pace_backup_target(&self, _: &str, _: BackupPace) -> Result<BackupTarget, Problem> {
        unmade()
    }

    async fn remove_backup_target(&self, _: &str) -> Result<(), Problem> {
        unmade()
    }

    async fn backup_password(&self, _: &str) -> Result<BackupPassword, Problem> {
        unmade()
    }

    async fn add_backup(&self, _: NewBackup) -> Result<BackupStatus, Problem> {
        unmade()
    }

    async fn remove_backup(&self, _: &str) -> Result<(), Problem> {
        unmade()
    }

    async fn keep_backups(&self, _: &str, _: BackupKeep) -> Result<BackupStatus, Problem> {
        unmade()
    }

    async fn unprotected(&self) -> Result<BackupUnprotected, Problem> {
        unmade()
    }

    async fn spare_from_backup(&self, _: BackupSpare) -> Result<BackupUnprotected, Problem> {
        unmade()
    }

    async fn meter_backup(&self, _: &str, _: BackupMetered) -> Result<BackupStatus, Problem> {
        unmade()
    }

    async fn accept_backup(&self, _: &str) -> Result<BackupStatus, Problem> {
        unmade()
    }

    async fn back_up_now(&self, _: &str) -> Result<Vec<BackupAsked>, Problem> {
        unmade()
    }

    async fn backup_snapshots(&self, _: BackupPlace) -> Result<Vec<BackupSnapshot>, Problem> {
        unmade()
    }

    async fn backup_entries(&self, _: BackupPlace) -> Result<Vec<BackupEntry>, Problem> {
        unmade()
    }

    async fn seek_backup(&self, sought: BackupSought) -> Result<BackupFound, Problem> {
        backed_up::found(&sought.pattern)
    }

    async fn mount_backup(&self, _: BackupMount) -> Result<BackupEvents, Problem> {
        unmade()
    }

    async fn look_into_backups(&self, wish: BackupLook) -> Result<BackupMounted, Problem> {
        backed_up::looked(&wish.target.unwrap_or_default())
    }

    async fn mounted_nodes(&self, _: &str, wish: BackupTree) -> Result<Vec<BackupNode>, Problem> {
        Ok(backed_up::nodes(&wish))
    }

    async fn mounted_bytes(&self, _: &str, wish: BackupRead) -> Result<Bytes, Problem> {
        backed_up::bytes(&wish)
    }

    async fn restore_backup(&self, _: BackupRestore) -> Result<BackupEvents, Problem> {
        unmade()
    }

    async fn check_backup(&self, _: BackupCheck) -> Result<BackupEvents, Problem> {
        unmade()
    }

    async fn forget_backups(&self, _: BackupForget) -> Result<BackupEvents, Problem> {
        unmade()
    }
}

#[async_trait]
impl GrantControl for Pretend {
    async fn realm_card(&self) -> Result<RealmCard, Problem> {
        unmade()
    }

    async fn grants(&self) -> Result<Vec<GrantStatus>, Problem> {
        Ok(self.world().grants.clone())
    }

    async fn offer_grant(&self, _: NewGrant, _: bool) -> Result<Option<GrantOffered>, Problem> {
        unmade()
    }

    async fn accept_grant(&self, _: GrantToAccept, _: bool) -> Result<GrantStatus, Problem> {
        unmade()
    }

    async fn end_grant(&self, _: &str, _: bool) -> Result<(), Problem> {
        unmade()
    }
}

//! What the pretended node knows: a family's realm, a fresh one, and one in trouble.

use std::collections::BTreeMap;

use bytes::Bytes;
use freehold_api::{
    Audit, AuditState, Backups, BucketStatus, ChecklistItem, Damage, Endpoints, Finding, GrantStatus,
    InvitationStatus, KeyStatus, Level, LogStatus, NodeStatus, Path, PlaneState, PlaneStatus, Protection,
    RealmName, RecoveryStatus, Role, Standing, Status, StorageStatus, VerifyFinding,
};

use super::{HOUR_MS, Stored, now_ms};

/// What a pretended node knows.
pub(crate) struct World {
    pub(crate) status: Status,
    pub(crate) findings: Vec<Finding>,
    pub(crate) objects: BTreeMap<String, BTreeMap<String, Stored>>,
    pub(crate) invitations: Vec<InvitationStatus>,
    pub(crate) keys: Vec<KeyStatus>,
    pub(crate) audit: Audit,
    pub(crate) damage: Vec<VerifyFinding>,
    pub(crate) backups: Backups,
    pub(crate) grants: Vec<GrantStatus>,
}

const ATTIC: &str = "7d1f0a93c25be8846e0b7f12a9d4c3580e6b21f7949c0d8355ab12cd77f01e64";
const CELLAR: &str = "c04b88d1e72f396a5d1be4f09278ac63541fd0e9b78a2c6630f4cc9128ae5b70";
const GRAN: &str = "21e9b5cc08d74fa3861c5be7d029f4a61b3d7e8890ac42f5d6e01b9c34a7f852";

fn node(id: &str, name: &str, roles: &[Role]) -> NodeStatus {
    NodeStatus {
        id: id.to_owned(),
        name: name.to_owned(),
        roles: roles.to_vec(),
        connected: true,
        path: None,
        last_heard_ms: Some(0),
        standing: Standing::Member,
        backend: None,
        admin: id == ATTIC,
        place: freehold_api::NodePlace::default(),
    }
}

fn bucket(id: u8, name: &str, copies: u16) -> BucketStatus {
    BucketStatus {
        id: format!("{id:02x}").repeat(32),
        name: name.to_owned(),
        copies,
        confirm: 1,
        objects: 0,
        bytes: 0,
        protected: Protection::Full,
        waiting: 0,
        oldest_unprotected_ms: None,
        rules: freehold_api::BucketRules::default(),
        good_copies: Vec::new(),
        bytes_waiting: 0,
        checked_ms: None,
        unchecked: 0,
        lacks: None,
        access: freehold_api::BucketAccess::Writes,
        made_ms: None,
        made_by: None,
    }
}

fn check(id: &str, title: &str, done: bool, how: &str) -> ChecklistItem {
    ChecklistItem { id: id.to_owned(), title: title.to_owned(), done, how: how.to_owned() }
}

fn finding(level: Level, what: &str, why: &str, next: Option<&str>) -> Finding {
    Finding { level, what: what.to_owned(), why: why.to_owned(), next: next.map(str::to_owned) }
}

fn plane(name: &str, state: PlaneState, detail: &str) -> PlaneStatus {
    PlaneStatus { name: name.to_owned(), state, detail: detail.to_owned() }
}

impl World {
    /// The first minute: one node, one empty bucket or none.
    pub(crate) fn fresh() -> Self {
        let status = Status {
            realm: RealmName {
                id: "9a3e7f".repeat(10) + "51c2",
                name: "smith".to_owned(),
                guardians: 3,
                guardians_needed: 2,
            },
            this_node: ATTIC.to_owned(),
            version: "0.1.0".to_owned(),
            uptime_ms: 42_000,
            alarms: Vec::new(),
            planes: vec![
                plane("trust", PlaneState::Running, "47 operations, none refused"),
                plane("mesh", PlaneState::Running, "listening on UDP 4433"),
                plane("vault", PlaneState::Running, "sealed objects on this disk"),
                plane("s3", PlaneState::Running, "http://127.0.0.1:9000"),
            ],
            nodes: vec![node(ATTIC, "attic", &[Role::Storage, Role::Gateway, Role::Secrets])],
            buckets: Vec::new(),
            log: LogStatus {
                heads: vec!["e1".repeat(32)],
                operations: 5,
                refused: 0,
                epoch: 1,
                checkpoint_ms: None,
            },
            storage: StorageStatus { used: 0, free: 412_300_000_000, coming: 0, coming_bytes: 0 },
            endpoints: Endpoints {
                s3: Some("http://127.0.0.1:9000".to_owned()),
                s3_others: Vec::new(),
                s3_credentials: Some("~/.local/share/freehold/s3-credentials".to_owned()),
                console: vec!["https://127.0.0.1:8443".to_owned(), "https://attic.lan:8443".to_owned()],
                fingerprint: Some("5B:0E:91:7C:D4:22:AF:68:03:9E:B1:47:7A:F0:5D:C8".to_owned()),
                relay: None,
                names: Vec::new(),
            },
            recoveries: Vec::new(),
            erasures: Vec::new(),
            checklist: vec![
                check("second-node", "Add a second machine", false, "freehold invite"),
                check("backup", "Keep a backup outside the realm", false, "freehold realm export"),
                check("guardians-tested", "Test a guardian phrase", false, "freehold guardians test"),
            ],
        };
        Self {
            status,
            findings: vec![
                finding(Level::Good, "The realm log is whole", "5 operations, none refused", None),
                finding(Level::Good, "There is room on the disk", "412 GB are free", None),
                finding(
                    Level::Notice,
                    "This is the only machine of the realm",
                    "if it is lost, so is what it holds",
                    Some("freehold invite"),
                ),
            ],
            objects: BTreeMap::new(),
            invitations: Vec::new(),
            keys: Vec::new(),
            audit: Audit::default(),
            damage: Vec::new(),
            backups: Backups::default(),
            grants: Vec::new(),
        }
    }

    /// A family's realm, some months old, with one machine away.
    pub(crate) fn family() -> Self {
        let mut world = Self::fresh();
        world.add_nodes();
        world.add_objects();
        world.status.uptime_ms = 9 * 24 * HOUR_MS;
        world.status.log.operations = 47;
        world.status.storage.used = 186_400_000_000;
        for item in &mut world.status.checklist {
            item.done = item.id == "second-node";
        }
        (world.backups, world.grants) = (super::lending::backups(), super::lending::grants());
        world.status.alarms = vec![
            finding(
                Level::Alarm,
                "cellar has not been heard for 3 hours",
                "2 objects in photos wait for their second copy",
                Some("See that it has power and a network, then: freehold doctor"),
            ),
            finding(
                Level::Alarm,
                "the backup papers on disk does not come back as it was",
                "a trial to restore files 5 days ago failed: /srv/papers/deed.pdf: its content is another one than was stored",
                Some("freehold backup check disk --read"),
            ),
            finding(
                Level::Alarm,
                "the backup papers on disk is old",
                "the last one began 5 days ago; the last run failed: no space left on device",
                Some("set right what it says, then: freehold backup now papers"),
            ),
        ];
        world.findings = vec![
            world.status.alarms[0].clone(),
            world.status.alarms[1].clone(),
            world.status.alarms[2].clone(),
            finding(
                Level::Notice,
                "No guardian phrase has been tested",
                "a phrase that was written down wrong recovers nothing",
                Some("freehold guardians test"),
            ),
            finding(Level::Good, "The realm log is whole", "47 operations, none refused", None),
            finding(Level::Good, "There is room on the disk", "412 GB are free", None),
            finding(Level::Good, "The clock agrees with the other nodes", "less than a second apart", None),
        ];
        world.invitations.push(InvitationStatus {
            id: "00a719c2".repeat(8),
            roles: vec![Role::Storage],
            device: false,
            expires_ms: now_ms() + 23 * HOUR_MS,
        });
        world.damage.push(VerifyFinding {
            key: Some("2026/summer/lake.svg".to_owned()),
            blob: "5f".repeat(32),
            damage: Damage::Altered,
            repaired: false,
        });
        world.audit = Audit {
            damaged: Vec::new(),
            state: AuditState {
                realm: world.status.realm.id.clone(),
                epoch: 1,
                operations: 47,
                guardians: 3,
                guardians_needed: 2,
                ..AuditState::default()
            },
            refused: Vec::new(),
        };
        world
    }

    /// The same with everything well.
    pub(crate) fn calm() -> Self {
        let mut world = Self::family();
        world.status.alarms.clear();
        world.backups.backups.retain(|backup| backup.to.iter().all(|at| at.alarms.is_empty()));
        world.findings.retain(|finding| finding.level == Level::Good);
        for node in &mut world.status.nodes {
            node.connected = true;
            node.last_heard_ms = Some(0);
        }
        for bucket in &mut world.status.buckets {
            bucket.protected = Protection::Full;
            bucket.waiting = 0;
            bucket.oldest_unprotected_ms = None;
        }
        for item in &mut world.status.checklist {
            item.done = true;
        }
        world
    }

    /// The family's realm as the cellar sees it, which is no admin's: gran's house is suspended, and
    /// guardians are bringing the realm back on a machine that nobody expected.
    pub(crate) fn guest() -> Self {
        let mut world = Self::family();
        CELLAR.clone_into(&mut world.status.this_node);
        for node in world.status.nodes.iter_mut().filter(|node| node.id == GRAN) {
            (node.standing, node.connected, node.last_heard_ms) = (Standing::Suspended, false, Some(HOUR_MS));
        }
        let mut visitor = node(&"e5".repeat(32), "e5e5e5e5", &[]);
        visitor.standing = Standing::Visitor;
        world.status.nodes.push(visitor);
        world.recovers(Some(71 * HOUR_MS));
        world
    }

    /// The realm on a machine whose recovery an admin stopped.
    pub(crate) fn stopped() -> Self {
        let mut world = Self::guest();
        "e5".repeat(32).clone_into(&mut world.status.this_node);
        world.status.recoveries.clear();
        world.recovers(None);
        world.status.alarms.push(finding(
            Level::Alarm,
            "the recovery that was begun on this machine is stopped: it is no member of the realm",
            "an admin vetoed the recovery: no node gives this machine anything more, and it changes nothing",
            Some("ask the admins"),
        ));
        world
    }

    fn recovers(&mut self, effective_in_ms: Option<u64>) {
        self.status.recoveries.push(RecoveryStatus { id: "4c".repeat(32), effective_in_ms });
    }

    fn add_nodes(&mut self) {
        let mut cellar = node(CELLAR, "cellar", &[Role::Storage, Role::Secrets]);
        cellar.connected = false;
        cellar.last_heard_ms = Some(3 * HOUR_MS + 420_000);
        let mut gran = node(GRAN, "gran's house", &[Role::Storage, Role::Relay]);
        gran.path = Some(Path::Relay);
        gran.last_heard_ms = Some(4_000);
        self.status.nodes.extend([cellar, gran]);
    }

    fn add_objects(&mut self) {
        let mut photos = bucket(1, "photos", 2);
        photos.protected = Protection::Partly;
        photos.waiting = 2;
        photos.oldest_unprotected_ms = Some(3 * HOUR_MS);
        self.status.buckets = vec![photos, bucket(2, "papers", 3), bucket(3, "music", 1)];
        let hills = [
            ("2026/summer/harbour.svg", 205, 18),
            ("2026/summer/lake.svg", 190, 40),
            ("2026/summer/meadow.svg", 130, 48),
            ("2026/winter/first snow.svg", 225, 210),
            ("autumn walk.svg", 28, 12),
            ("evening at the lake.svg", 262, 22),
            ("from the train.svg", 165, 55),
            ("gran's garden.svg", 95, 40),
        ];
        for (at, (key, sky, sun)) in hills.into_iter().enumerate() {
            self.add("photos", key, "image/svg+xml", landscape(at, sky, sun), at as u64 * 31);
        }
        self.add(
            "photos",
            "notes for the album.txt",
            "text/plain",
            b"Ask Ana for the boat pictures.\n".to_vec(),
            5,
        );
        self.add("papers", "house/insurance.pdf", "application/pdf", vec![0; 284_113], 700);
        self.add("papers", "house/deed.pdf", "application/pdf", vec![0; 1_402_118], 9000);
        self.add("papers", "school report.pdf", "application/pdf", vec![0; 93_420], 80);
        self.objects.insert("music".to_owned(), BTreeMap::new());
    }

    fn add(&mut self, bucket: &str, key: &str, kind: &str, bytes: Vec<u8>, hours_ago: u64) {
        let modified_ms = now_ms().saturating_sub(hours_ago * HOUR_MS + 300_000);
        let stored = Stored { kind: Some(kind.to_owned()), bytes: Bytes::from(bytes), modified_ms };
        self.objects.entry(bucket.to_owned()).or_default().insert(key.to_owned(), stored);
    }
}

/// A picture of hills, water and a low sun.
fn landscape(at: usize, sky: u32, sun: u32) -> Vec<u8> {
    let x = 120 + (at * 137) % 400;
    let ridge = |base: usize, lift: usize, n: usize| {
        let points: Vec<String> =
            (0..=8).map(|i| format!("{} {}", i * 80, base - (i * n * 37 + at * 53) % lift)).collect();
        format!("M0 480 L{} L640 480 Z", points.join(" L"))
    };
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 480"><defs><linearGradient id="s" x2="0" y2="1">
<stop stop-color="hsl({sky} 55% 38%)"/><stop offset=".75" stop-color="hsl({sun} 75% 80%)"/></linearGradient></defs>
<rect width="640" height="480" fill="url(#s)"/><circle cx="{x}" cy="230" r="46" fill="hsl({sun} 95% 88%)"/>
<path d="{}" fill="hsl({sky} 28% 44%)"/><path d="{}" fill="hsl({sky} 32% 31%)"/><path d="{}" fill="hsl({sky} 40% 18%)"/></svg>"#,
        ridge(300, 90, 3),
        ridge(360, 80, 5),
        ridge(430, 70, 7)
    )
    .into_bytes()
}

//! A node that is not there: answers from memory, with people's photographs in it. Stands in for the
//! real one where only the API or the pages are looked at; the stories use a real node.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use freehold_api::{
    Audit, BackupControl, BucketChange, BucketRules, BucketStatus, Burden, ByteRange, ByteStream, Card,
    Checkpoint, Control, Doctor, FilterControl, GrantControl, GuardianTest, ImportReport, Invitation,
    InvitationStatus, KeyStatus, ListQuery, Listing, MadeKey, NetControl, NewBucket, NewInvitation, NewKey,
    NewName, NodePlace, NodeSetting, NodeStatus, ObjectInfo, ObjectRead, Phrase, PoolControl, Problem,
    Protection, PutOptions, QuotaSetting, QuotaWhose, Standing, Status, UsageStatus, VerifyEvent,
    VerifyEvents, VerifyFinding, VerifyReport,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

#[path = "pretend_backed_up.rs"]
mod backed_up;
#[path = "pretend_filter.rs"]
mod filter;
#[path = "pretend_lending.rs"]
mod lending;
#[path = "pretend_net.rs"]
mod net;
#[path = "pretend_pools.rs"]
mod pools;
#[path = "pretend_realm.rs"]
mod realm;

pub(crate) use realm::World;

/// A pretended node.
pub(crate) struct Pretend(Mutex<World>);

/// An object in memory.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) kind: Option<String>,
    pub(crate) bytes: Bytes,
    pub(crate) modified_ms: u64,
}

const HOUR_MS: u64 = 3_600_000;

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

impl Pretend {
    pub(crate) fn new(world: World) -> Self {
        Self(Mutex::new(world))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

fn no_bucket(name: &str) -> Problem {
    Problem::not_found(
        format!("there is no bucket {name}"),
        "nobody has made it",
        Some("freehold bucket list"),
    )
}

fn no_object(key: &str) -> Problem {
    Problem::not_found(
        format!("there is no object {key}"),
        "it was never written, or it was deleted",
        None::<String>,
    )
}

fn info(key: &str, stored: &Stored) -> ObjectInfo {
    ObjectInfo {
        key: key.to_owned(),
        size: stored.bytes.len() as u64,
        modified_ms: stored.modified_ms,
        etag: format!("{:016x}", stored.bytes.iter().fold(7u64, |h, b| h.wrapping_mul(31) ^ u64::from(*b))),
        content_type: stored.kind.clone(),
    }
}

impl World {
    fn bucket(&self, name: &str) -> Result<&BTreeMap<String, Stored>, Problem> {
        self.objects.get(name).ok_or_else(|| no_bucket(name))
    }

    fn bucket_mut(&mut self, name: &str) -> Result<&mut BTreeMap<String, Stored>, Problem> {
        self.objects.get_mut(name).ok_or_else(|| no_bucket(name))
    }

    fn object(&self, bucket: &str, key: &str) -> Result<&Stored, Problem> {
        self.bucket(bucket)?.get(key).ok_or_else(|| no_object(key))
    }

    fn node_mut(&mut self, named: &str) -> Result<&mut NodeStatus, Problem> {
        self.status.nodes.iter_mut().find(|node| node.name == named || node.id.starts_with(named)).ok_or_else(
            || {
                Problem::not_found(
                    format!("there is no node {named}"),
                    "no such name or id",
                    Some("freehold node list"),
                )
            },
        )
    }

    /// Counts again what the buckets hold.
    fn count(&mut self) {
        for bucket in &mut self.status.buckets {
            let Some(held) = self.objects.get(&bucket.name) else { continue };
            bucket.objects = held.len() as u64;
            bucket.bytes = held.values().map(|stored| stored.bytes.len() as u64).sum();
        }
    }
}

#[async_trait]
impl Control for Pretend {
    fn net(&self) -> Option<&dyn NetControl> {
        Some(self)
    }

    fn filter(&self) -> Option<&dyn FilterControl> {
        Some(self)
    }

    fn backups_of_files(&self) -> Option<&dyn BackupControl> {
        Some(self)
    }

    fn pools(&self) -> Option<&dyn PoolControl> {
        Some(self)
    }

    fn grants(&self) -> Option<&dyn GrantControl> {
        Some(self)
    }

    async fn status(&self) -> Result<Status, Problem> {
        let mut world = self.world();
        world.count();
        Ok(world.status.clone())
    }

    async fn doctor(&self) -> Result<Doctor, Problem> {
        Ok(Doctor { findings: self.world().findings.clone() })
    }

    async fn metrics(&self) -> Result<String, Problem> {
        Ok("# TYPE freehold_alarms gauge\nfreehold_alarms 1\n".to_owned())
    }

    async fn shut_down(&self) -> Result<(), Problem> {
        Ok(())
    }

    async fn invite(&self, wish: NewInvitation) -> Result<Invitation, Problem> {
        if wish.roles.is_empty() {
            return Err(Problem::invalid(
                "cannot invite a node without roles",
                "it would do nothing",
                None::<String>,
            ));
        }
        let mut world = self.world();
        let id = format!("{:064x}", world.invitations.len() + 0x00a7_19c3);
        let expires_ms = now_ms() + u64::from(wish.hours) * HOUR_MS;
        let pending = InvitationStatus { id: id.clone(), roles: wish.roles, device: wish.device, expires_ms };
        world.invitations.push(pending);
        let text = "freehold-join-1-4QZ7M2XKD9V0RB5TNH3C8WFJ6YSAGP1E-9KXW4T7RB2M5VQ8D-7F3Z".to_owned();
        Ok(Invitation { id, text, expires_ms })
    }

    async fn invitations(&self) -> Result<Vec<InvitationStatus>, Problem> {
        Ok(self.world().invitations.clone())
    }

    async fn withdraw_invitation(&self, id: &str) -> Result<(), Problem> {
        self.world().invitations.retain(|invitation| invitation.id != id);
        Ok(())
    }

    async fn keys(&self) -> Result<Vec<KeyStatus>, Problem> {
        Ok(self.world().keys.clone())
    }

    async fn create_key(&self, wish: NewKey) -> Result<MadeKey, Problem> {
        let mut world = self.world();
        let service = wish.service.map(|name| format!("/{name}")).unwrap_or_default();
        let key = KeyStatus {
            id: format!("FH{:016}", world.keys.len()),
            principal: format!("freehold{service}"),
            buckets: wish.buckets,
            prefix: wish.prefix,
            allow: wish.allow,
            made_ms: now_ms(),
            until_ms: wish.until_ms,
            refused: None,
        };
        world.keys.push(key.clone());
        Ok(MadeKey { key, secret: "a-secret-that-is-shown-once".to_owned() })
    }

    async fn revoke_key(&self, id: &str) -> Result<(), Problem> {
        self.world().keys.retain(|key| key.id != id);
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, Problem> {
        Ok(self.world().status.nodes.clone())
    }

    async fn suspend_node(&self, node: &str) -> Result<(), Problem> {
        let mut world = self.world();
        let me = world.status.this_node.clone();
        let node = world.node_mut(node)?;
        if node.id == me {
            return Err(Problem::refused(
                "cannot suspend this node",
                "you are talking to it",
                Some("open the console of another node"),
            ));
        }
        node.standing = Standing::Suspended;
        Ok(())
    }

    async fn lift_node(&self, node: &str) -> Result<(), Problem> {
        self.world().node_mut(node)?.standing = Standing::Member;
        Ok(())
    }

    async fn rename_node(&self, node: &str, name: NewName) -> Result<(), Problem> {
        self.world().node_mut(node)?.name = name.name;
        Ok(())
    }

    async fn set_node(&self, node: &str, setting: NodeSetting) -> Result<NodeStatus, Problem> {
        let mut world = self.world();
        let node = world.node_mut(node)?;
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let NodePlace { zone, region, pace, draining, .. } = node.place.clone();
        let draining = setting.draining.unwrap_or(draining);
        node.place = NodePlace {
            zone: setting.zone.map_or(zone, given),
            region: setting.region.map_or(region, given),
            pace: setting.pace.map_or(pace, |pace| Some(pace).filter(|pace| *pace > 0)),
            draining,
            burden: draining.then(Burden::default),
        };
        Ok(node.clone())
    }

    async fn remove_node(&self, node: &str, force: bool, dry_run: bool) -> Result<(), Problem> {
        let mut world = self.world();
        let node = world.node_mut(node)?;
        if !node.place.draining && !force {
            return Err(Problem::refused("cannot remove it", "it holds copies that count", None::<&str>));
        }
        let id = node.id.clone();
        world.status.nodes.retain(|node| node.id != id || dry_run);
        Ok(())
    }

    async fn set_bucket(&self, bucket: &str, change: BucketChange) -> Result<BucketStatus, Problem> {
        let mut world = self.world();
        let known = world.status.buckets.iter_mut().find(|known| known.name == bucket);
        let known = known.ok_or_else(|| no_bucket(bucket))?;
        known.copies = change.copies.unwrap_or(known.copies);
        known.confirm = change.confirm.unwrap_or(known.confirm);
        Ok(known.clone())
    }

    async fn usage(&self) -> Result<Vec<UsageStatus>, Problem> {
        let row = |of, name: &str, limit| UsageStatus {
            of,
            name: name.to_owned(),
            id: None,
            limit,
            used: 6_000_000,
        };
        Ok(vec![
            row(QuotaWhose::Realm, "Smith family", Some(50_000_000_000)),
            row(QuotaWhose::Person("ann".to_owned()), "ann", None),
        ])
    }

    async fn set_quota(&self, setting: QuotaSetting) -> Result<Vec<UsageStatus>, Problem> {
        let mut all = self.usage().await?;
        all.iter_mut().filter(|usage| usage.of == setting.of).for_each(|usage| usage.limit = setting.bytes);
        Ok(all)
    }

    async fn buckets(&self) -> Result<Vec<BucketStatus>, Problem> {
        let mut world = self.world();
        world.count();
        Ok(world.status.buckets.clone())
    }

    async fn create_bucket(&self, wish: NewBucket) -> Result<BucketStatus, Problem> {
        let mut world = self.world();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if wish.name.len() < 3 || !wish.name.chars().all(fits) {
            return Err(Problem::invalid(
                format!("cannot name a bucket {:?}", wish.name),
                "a name has 3 to 63 lower-case letters, digits and hyphens",
                None::<String>,
            ));
        }
        if world.objects.contains_key(&wish.name) {
            return Err(Problem::conflict(
                format!("there is a bucket {} already", wish.name),
                "names are used once",
                None::<String>,
            ));
        }
        world.objects.insert(wish.name.clone(), BTreeMap::new());
        let made = BucketStatus {
            id: format!("{:064x}", world.objects.len()),
            name: wish.name,
            copies: wish.copies,
            confirm: wish.confirm,
            objects: 0,
            bytes: 0,
            protected: Protection::Full,
            waiting: 0,
            oldest_unprotected_ms: None,
            rules: BucketRules::default(),
            good_copies: Vec::new(),
            bytes_waiting: 0,
            checked_ms: None,
            unchecked: 0,
            lacks: None,
            access: freehold_api::BucketAccess::Writes,
            made_ms: None,
            made_by: None,
        };
        world.status.buckets.push(made.clone());
        Ok(made)
    }

    async fn delete_bucket(&self, bucket: &str, dry_run: bool) -> Result<(), Problem> {
        let mut world = self.world();
        if !world.bucket(bucket)?.is_empty() {
            return Err(Problem::conflict(
                format!("cannot delete the bucket {bucket}"),
                "there are objects in it",
                Some("delete them first"),
            ));
        }
        if dry_run {
            return Ok(());
        }
        world.objects.remove(bucket);
        world.status.buckets.retain(|one| one.name != bucket);
        Ok(())
    }

    async fn verify_bucket(&self, bucket: &str, repair: bool) -> Result<VerifyEvents, Problem> {
        let world = self.world();
        let held = world.bucket(bucket)?;
        let bytes: u64 = held.values().map(|stored| stored.bytes.len() as u64).sum();
        let blobs = held.len() as u64;
        let findings = world.damage.iter().filter(|_| bucket == "photos").cloned();
        let findings = findings.map(|finding| VerifyFinding { repaired: repair, ..finding }).collect();
        let report = VerifyReport { entries: blobs, bad_entries: 0, blobs, bytes, findings };
        Ok(stream::iter([
            VerifyEvent::Progress { blobs: blobs / 2, bytes: bytes / 2 },
            VerifyEvent::Done(report),
        ])
        .boxed())
    }

    async fn list_objects(&self, bucket: &str, query: ListQuery) -> Result<Listing, Problem> {
        let world = self.world();
        let mut page = Listing::default();
        for (key, stored) in world.bucket(bucket)?.range(query.prefix.clone()..) {
            let Some(rest) = key.strip_prefix(&query.prefix) else { break };
            let folded = query.delimiter.as_deref().and_then(|delimiter| {
                rest.find(delimiter).map(|at| format!("{}{}", query.prefix, &rest[..at + delimiter.len()]))
            });
            let line = folded.clone().unwrap_or_else(|| key.clone());
            if query.after.as_ref().is_some_and(|after| line <= *after) || page.prefixes.contains(&line) {
                continue;
            }
            if page.objects.len() + page.prefixes.len() >= query.max as usize {
                let last = page.objects.last().map(|object| object.key.clone());
                page.next = last.max(page.prefixes.last().cloned());
                break;
            }
            match folded {
                Some(prefix) => page.prefixes.push(prefix),
                None => page.objects.push(info(key, stored)),
            }
        }
        Ok(page)
    }

    async fn head_object(&self, bucket: &str, key: &str) -> Result<ObjectInfo, Problem> {
        self.world().object(bucket, key).map(|stored| info(key, stored))
    }

    async fn get_object(
        &self,
        bucket: &str,
        key: &str,
        range: Option<ByteRange>,
    ) -> Result<ObjectRead, Problem> {
        let stored = self.world().object(bucket, key)?.clone();
        let size = stored.bytes.len() as u64;
        let range = match range {
            None => 0..size,
            Some(range) => range.resolve(size).ok_or_else(|| {
                Problem::invalid("cannot read that part", format!("there are {size} bytes"), None::<String>)
            })?,
        };
        let part = stored.bytes.slice(range.start as usize..range.end as usize);
        let pieces: Vec<_> = part.chunks(65_536).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(ObjectRead { info: info(key, &stored), range, body: stream::iter(pieces).boxed() })
    }

    async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        options: PutOptions,
        body: ByteStream,
    ) -> Result<ObjectInfo, Problem> {
        self.world().bucket(bucket)?;
        let bytes = body.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        let bytes = bytes.await.map_err(|error| {
            Problem::refused(format!("{key} was not stored"), error.to_string(), Some("send it again"))
        })?;
        if options.len.is_some_and(|len| len != bytes.len() as u64) {
            return Err(Problem::invalid(format!("{key} was not stored"), "it is cut", None::<String>));
        }
        let mut world = self.world();
        let held = world.bucket_mut(bucket)?;
        if options.only_new && held.contains_key(key) {
            return Err(Problem::conflict(
                format!("there is a {key} already"),
                "it was to be written only if it was new",
                None::<String>,
            ));
        }
        let stored = Stored { kind: options.content_type, bytes: bytes.into(), modified_ms: now_ms() };
        let done = info(key, &stored);
        held.insert(key.to_owned(), stored);
        Ok(done)
    }

    async fn delete_object(&self, bucket: &str, key: &str) -> Result<(), Problem> {
        self.world().bucket_mut(bucket)?.remove(key);
        Ok(())
    }

    async fn export_log(&self) -> Result<Bytes, Problem> {
        Ok(Bytes::from_static(b"a realm log"))
    }

    async fn import_log(&self, exported: Bytes) -> Result<ImportReport, Problem> {
        match exported.as_ref() {
            b"a realm log" => Ok(ImportReport { new: 0, known: 47, refused: 0, damaged: 0 }),
            _ => Err(Problem::invalid("cannot import this file", "it is no realm log", None::<String>)),
        }
    }

    async fn audit(&self) -> Result<Audit, Problem> {
        Ok(self.world().audit.clone())
    }

    async fn veto_recovery(&self, recovery: &str) -> Result<(), Problem> {
        let mut world = self.world();
        for one in world.status.recoveries.iter_mut().filter(|one| one.id.starts_with(recovery)) {
            one.effective_in_ms = None;
        }
        Ok(())
    }

    async fn checkpoint(&self) -> Result<Checkpoint, Problem> {
        Ok(Checkpoint { id: "c1".repeat(32), in_force: true, epoch: 2 })
    }

    async fn card(&self) -> Result<Card, Problem> {
        Ok(Card { text: "freehold-card-1-7KD2M9QX4VZ0TB5RNH3C8WFJ6YSAGP1E-192.168.1.20:4433".to_owned() })
    }

    async fn test_guardian(&self, phrase: Phrase) -> Result<GuardianTest, Problem> {
        if phrase.phrase.split_whitespace().count() != 12 {
            return Err(Problem::refused(
                "this is no guardian phrase of this realm",
                "a phrase has twelve words",
                Some("look at the words and their order, and type it again"),
            ));
        }
        let mut world = self.world();
        if let Some(item) = world.status.checklist.iter_mut().find(|item| item.id == "guardians-tested") {
            item.done = true;
        }
        Ok(GuardianTest { guardian: 2, tested: 1, guardians: 3, needed: 2, not_noted: None })
    }
}

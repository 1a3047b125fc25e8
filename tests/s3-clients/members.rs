//! A key of a person is good for as long as the person is.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use freehold_crypt::{Algorithm, BoxSecret, Entropy as _, SigningKey};
use freehold_disk::{KeyStore, OsEntropy};
use freehold_harness::{Node, eventually, story};
use freehold_realm::audit::Export;
use freehold_realm::body::{Lift, MemberAdd, MemberRemove, Target};
use freehold_realm::{Body, Clock, MemberRoles, OpSet, State, Statement, draft, fold};
use freehold_wire::{Bounded, Millis, PersonId};

/// Within how many seconds the realm's word must reach the endpoint.
const SECONDS: u64 = 10;

/// The realm's only admin, who says by a file what no command says yet.
struct Admin<'a> {
    node: &'a Node<'a>,
    device: SigningKey,
}

fn now() -> Result<Millis> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Millis(u64::try_from(since.as_millis())?))
}

impl<'a> Admin<'a> {
    fn of(node: &'a Node<'a>) -> Result<Self> {
        let keys = KeyStore::open(&node.home().join("keys"))?;
        let seed = keys.read("device")?.context("the founder's device lives here")?;
        Ok(Self { node, device: SigningKey::from_seed(Algorithm::Ed25519, &seed) })
    }

    fn say(&self, body: impl FnOnce(&OpSet, &State) -> Body) -> Result<State> {
        let file = self.node.host().folder().join("realm.log");
        let path = file.to_string_lossy();
        self.node.cli(&["realm", "export", &path, "--overwrite"])?.good()?;
        let (mut set, refused) = Export::decode(&std::fs::read(&file)?)?.into_set();
        ensure!(refused.is_empty(), "the log has what nobody believes: {refused:?}");
        let clock = Clock { now: now()?, ..Clock::default() };
        let state = fold(&set, &clock).state;
        set.insert(draft(&set, &state, &self.device, body(&set, &state), clock.now)?)?;
        let state = fold(&set, &clock).state;
        let said = Export::of(&set, clock.now).encode();
        std::io::Write::write_all(&mut std::fs::File::create(&file)?, &said)?;
        self.node.cli(&["realm", "import", &path])?.good()?;
        Ok(state)
    }

    /// Takes somebody into the realm.
    fn welcome(&self) -> Result<PersonId> {
        let device = SigningKey::from_seed(Algorithm::Ed25519, &OsEntropy.secret());
        let box_key = BoxSecret::from_seed(&OsEntropy.secret()).public();
        let founding = Statement::found([9; 16], &device, box_key);
        let chain = Bounded::from_vec(vec![founding]).context("a chain of one")?;
        let key = device.verifying().id();
        let state = self.say(|_, _| MemberAdd { chain, roles: MemberRoles::MEMBER }.into())?;
        state.device(&key).map(|(person, _)| person).context("the newcomer is no member")
    }
}

#[test]
fn a_key_ends_with_its_person() -> Result<()> {
    story("a_key_ends_with_its_person", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let admin = Admin::of(&node)?;
        let bob = admin.welcome()?;

        let file = host.folder().join("bobs-key");
        let out = file.to_string_lossy();
        let id = bob.to_string();
        node.cli(&["key", "create", "--person", &id, "--allow", "read,write,list,admin", "--out", &out])?
            .good()?;
        node.cli(&["key", "create", "--person", &id, "--service", "backup", "--out", &format!("{out}-2")])?
            .good()?;
        let (bobs, backup) =
            (node.s3_with(&ready, &file)?, node.s3_with(&ready, &host.folder().join("bobs-key-2"))?);
        bobs.aws(&["s3", "mb", "s3://bobs-things"])?.good()?;
        backup.aws(&["s3", "ls"])?.good()?;

        admin.say(|set, state| draft::suspend(set, state, Target::Person(bob)).into())?;
        eventually(SECONDS, "the suspended member's keys are refused", || {
            let refused = |s3: &freehold_harness::S3<'_>| -> Result<bool> {
                Ok(s3.aws(&["s3", "ls"])?.failed(&["InvalidAccessKeyId"]).is_ok())
            };
            Ok(refused(&bobs)? && refused(&backup)?)
        })?;
        let listed = node.cli(&["key", "list"])?.good()?.out;
        ensure!(listed.contains("its person is suspended"), "{listed}");
        node.cli(&["key", "create", "--person", &id])?.refused(1, &["its person is suspended"])?;

        admin.say(|_, _| Lift { target: Target::Person(bob) }.into())?;
        eventually(SECONDS, "what was suspended is given back", || {
            Ok(bobs.aws(&["s3", "ls", "s3://bobs-things"])?.good().is_ok())
        })?;

        admin.say(|set, state| {
            let last = draft::suspend(set, state, Target::Person(bob)).last;
            MemberRemove { person: bob, last }.into()
        })?;
        eventually(SECONDS, "who was removed has no keys", || {
            Ok(bobs.aws(&["s3", "ls"])?.failed(&["InvalidAccessKeyId"]).is_ok())
        })?;
        // The realm's owner still reaches what was his.
        node.s3(&ready)?.aws(&["s3", "rb", "s3://bobs-things"])?.good()?;
        node.stop()
    })
}

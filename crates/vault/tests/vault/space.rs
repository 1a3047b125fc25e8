//! A disk that fills up: a clear refusal, and nothing lost.

use std::path::Path;
use std::process::Command;

use freehold_disk::Kind;
use freehold_vault::{DepotError, DepotLimits, PutError};
use freehold_wire::Millis;

use crate::world::{Setup, World, random};

fn is_no_space(error: &PutError) -> bool {
    match error {
        PutError::Depot(DepotError::NoSpace { .. }) => true,
        PutError::Store(error) => matches!(error.kind(), Kind::NoSpace | Kind::Failed),
        _ => false,
    }
}

#[tokio::test]
async fn a_quota() {
    let home = tempfile::tempdir().unwrap();
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: Some(1 << 20) };
    let world = World::with(home.path(), Setup { limits, ..Setup::default() }).await;
    let content = random(300_000);
    let mut kept = 0;
    let error = loop {
        match world.put(&format!("k{kept}"), &content).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(is_no_space(&error), "{error}");
    assert_eq!((kept, world.keys().len()), (3, 3));
    world.delete("k0").await;
    for _ in 0..2 {
        world.vault.sweep(Millis(u64::MAX / 2)).await.unwrap();
    }
    world.put("again", &content).await.unwrap();
    assert_eq!(world.get("k1").await.unwrap(), content);
}

/// A small file system of its own; needs root, and is skipped without.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"])
            .arg(at)
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(at))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk() {
    for reserve_bytes in [0, 3 << 20] {
        let home = tempfile::tempdir().unwrap();
        let Some(_mounted) = Tmpfs::mount(home.path()) else { return };
        let limits = || DepotLimits { reserve_bytes, quota_bytes: None };
        let setup = || Setup { limits: limits(), ..Setup::default() };
        let mut kept = Vec::new();
        let mut world = World::with(home.path(), setup()).await;
        for size in [1 << 20, 100_000, 3000, 1] {
            let error = loop {
                let content = random(size);
                let key = format!("k{}", kept.len());
                match world.put(&key, &content).await {
                    Ok(_) => kept.push((key, content)),
                    Err(error) => break error,
                }
                // One byte at a time would take long, and has been shown by then.
                if kept.len() > 400 {
                    break PutError::Depot(DepotError::NoSpace { free: 0, reserve: 0 });
                }
            };
            assert!(is_no_space(&error), "{error:?}");
            for (key, content) in &kept {
                assert_eq!(&world.get(key).await.unwrap(), content);
            }
            drop(world);
            world = World::with(home.path(), setup()).await;
        }
        assert!(kept.len() > 6);
        for (key, content) in &kept {
            assert_eq!(&world.get(key).await.unwrap(), content);
        }
        assert_eq!(world.vault.verify(None, false).await.unwrap().findings, []);
    }
}

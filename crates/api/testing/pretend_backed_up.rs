//! What lies in the pretended family's backups.

use freehold_api::{
    BackupBytes, BackupEntry, BackupEntryKind, BackupFound, BackupHit, BackupMounted, BackupNode,
    BackupNodeKind, BackupRead, BackupRoot, BackupSnapshot, BackupTree, Problem,
};

/// When the older of the two snapshots was made: 2026-11-21, 14:03 UTC.
const MADE_MS: u64 = 1_795_269_780_000;
const DAY_MS: u64 = 24 * 3_600_000;
/// A picture, and what a page may not run.
const PICTURE: &[u8] = b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\
    \x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\x0d\x49\x44\x41\x54\x78\xda\x63\x64\xf8\xcf\x50\x0f\x00\x03\x86\
    \x01\x80\x5a\x34\x7d\x6b\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";
const PAGE: &[u8] = b"<script>alert(1)</script>";

fn snapshot(of: char, made_ms: u64, paths: &[&str]) -> BackupSnapshot {
    BackupSnapshot {
        id: of.to_string().repeat(64),
        target: "disk".to_owned(),
        made_ms,
        machine: "attic".to_owned(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        files: Some(48_211),
        bytes: Some(61_400_000_000),
    }
}

pub(crate) fn looked(target: &str) -> Result<BackupMounted, Problem> {
    if target != "disk" {
        return Err(Problem::unreachable("nothing was looked up", "no disk is mounted there", None::<&str>));
    }
    let root = |snapshot, tree: &str| BackupRoot { snapshot, tree: tree.to_owned() };
    let snapshots = vec![
        root(snapshot('a', MADE_MS, &["/home/ann"]), "root"),
        root(snapshot('b', MADE_MS + DAY_MS, &["/home/ann", "/srv"]), "root"),
    ];
    Ok(BackupMounted { id: "1".to_owned(), target: target.to_owned(), snapshots })
}

/// What lies where: its tree, its name, and what it is.
fn all() -> Vec<(&'static str, &'static [u8], BackupNodeKind, &'static [u8])> {
    let dir = |tree: &str| BackupNodeKind::Dir(tree.to_owned());
    let file = || BackupNodeKind::File;
    vec![
        ("root", b"home", dir("home"), b""),
        ("home", b"ann", dir("ann"), b""),
        ("ann", b"empty", dir("empty"), b""),
        ("ann", "Stra\u{df}e & M\u{e4}rz".as_bytes(), dir("march"), b""),
        ("ann", b"autumn.png", file(), PICTURE),
        ("ann", b"b\xfccher.txt", file(), b"no text is its name"),
        ("ann", b"latest", BackupNodeKind::Link(BackupBytes::Text("autumn.png".to_owned())), b""),
        ("ann", b"pipe", BackupNodeKind::Pipe, b""),
        ("ann", b"site.html", file(), PAGE),
        ("march", b"broken.mov", file(), b"it is cut off"),
        ("march", b"letter 100%.txt", file(), b"Dear Ann"),
    ]
}

pub(crate) fn nodes(wish: &BackupTree) -> Vec<BackupNode> {
    let below = all().into_iter().filter(|(tree, ..)| *tree == wish.tree).enumerate();
    let only = wish.only.as_ref().map(|only| only.bytes().unwrap());
    let node = |(at, (_, name, kind, content)): (usize, (_, &[u8], BackupNodeKind, &[u8]))| BackupNode {
        at: at as u64,
        name: name.to_vec().into(),
        kind,
        mode: 0o600,
        user: 1000,
        group: 1000,
        size: content.len() as u64,
        links: 1,
        times: vec![(1_795_269_780, 0); 3],
    };
    let nodes = below.map(node);
    nodes.filter(|node| only.as_ref().is_none_or(|only| node.name.bytes().as_ref() == Some(only))).collect()
}

pub(crate) fn bytes(wish: &BackupRead) -> Result<bytes::Bytes, Problem> {
    let below: Vec<_> = all().into_iter().filter(|(tree, ..)| *tree == wish.tree).collect();
    let (_, name, _, content) = below[wish.at as usize];
    if name == b"broken.mov" {
        let next = Some("freehold backup check --read");
        return Err(Problem::corrupt("a part of the backup was not read", "it is damaged", next));
    }
    let from = (wish.offset as usize).min(content.len());
    let to = ((wish.offset + wish.length) as usize).min(content.len());
    Ok(bytes::Bytes::from_static(&content[from..to]))
}

pub(crate) fn found(pattern: &str) -> Result<BackupFound, Problem> {
    if pattern.contains('[') {
        let why = format!("{pattern:?} is no pattern");
        return Err(Problem::invalid("nothing was looked up", why, Some("freehold backup find letter")));
    }
    let path = "/home/ann/Stra\u{df}e & M\u{e4}rz/letter 100%.txt";
    let entry = BackupEntry {
        path: path.to_owned(),
        kind: BackupEntryKind::File,
        size: 8,
        modified_ms: Some(MADE_MS),
    };
    let hit =
        BackupHit { entry, snapshot: snapshot('b', MADE_MS + DAY_MS, &["/home/ann", "/srv"]), snapshots: 2 };
    let found = if path.contains(pattern) { vec![hit] } else { Vec::new() };
    Ok(BackupFound { found, more: false, unread: Vec::new() })
}

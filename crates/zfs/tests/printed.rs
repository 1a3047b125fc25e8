//! What OpenZFS 2.3.9 printed, and what anybody else might.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "outside of test functions, too")]

use freehold_wire::Millis;
use freehold_zfs::{
    BadDeclaration, BadStream, COLUMNS, Dataset, Declaration, HEAD, Head, Kind, Label, holds, is_own,
    is_token, listed, own_name, told,
};
use proptest::prelude::*;

const LISTED: &str = "\
rpool/home\tfilesystem\t822455158020446768\t6\t1795474273\taes-256-gcm\tavailable\toff\t0\t-\t-
rpool/home@freehold-1\tsnapshot\t12505777343345333433\t16\t1795474277\taes-256-gcm\tavailable\t-\t101888\t-\t-
rpool/home#freehold-1:nas\tbookmark\t12505777343345333433\t16\t1795474277\t-\t-\t-\t-\t-\t-
rpool/home/ann\tfilesystem\t1934063914931438727\t15\t1795474280\taes-256-gcm\tunavailable\ton\t19995648\t1-fe02d436f-100-789c63\t-
rpool/home/ann@freehold-2\tsnapshot\t5\t26\t1795474290\taes-256-gcm\tunavailable\t-\t5\t-\t12345
rpool/home/ann@freehold-1\tsnapshot\t4\t25\t1795474290\taes-256-gcm\tunavailable\t-\t5\t-\t-
rpool/home/vol\tvolume\t9955276278210432375\t9\t1795474273\toff\t-\toff\t0\t-\t-
";

const TOKEN: &str = "\
resume token contents:
nvlist version: 0
\tobject = 0x2
\toffset = 0x12e0000
\tbytes = 0x130c90c
\ttoguid = 0x5523e4d0a02fa451
\ttoname = rpool/home/ann@freehold-1
\tcompressok = 1
\trawok = 1
full\trpool/home/ann@freehold-1\t30171124
size\t30171124
";

fn dataset(name: &str) -> Dataset {
    Dataset::new(name).unwrap()
}

#[test]
fn what_is_listed_is_read() {
    let mut shown = listed(LISTED).unwrap();
    holds("rpool/home@freehold-1\tfreehold:nas\tMon Nov 23 22:51 2026\n", &mut shown).unwrap();
    let home = &shown[&dataset("rpool/home")];
    assert!(home.encrypted && home.readable && !home.readonly && home.resume.is_none());
    assert!(home.snapshots[0].holds.contains("freehold:nas"));
    assert_eq!(home.snapshots[0].made, Millis(1_795_474_277_000));
    assert_eq!(
        (home.bookmarks[0].guid, home.bookmarks[0].name.as_str()),
        (home.snapshots[0].guid, "freehold-1:nas")
    );
    let ann = &shown[&dataset("rpool/home/ann")];
    assert_eq!((ann.readable, ann.readonly, ann.written), (false, true, 19_995_648));
    assert_eq!(ann.resume.as_deref(), Some("1-fe02d436f-100-789c63"));
    assert_eq!(ann.newest().map(|newest| newest.received), Some(Some(Millis(12_345))), "in their order");
    let volume = &shown[&dataset("rpool/home/vol")];
    assert!(volume.kind == Kind::Volume && !volume.encrypted);
    assert_eq!(COLUMNS.split(',').count(), 11);
}

#[test]
fn what_a_token_asks_for_is_read() {
    let token = told(TOKEN).unwrap();
    assert_eq!((token.name.as_str(), token.guid), ("rpool/home/ann@freehold-1", 0x5523_e4d0_a02f_a451));
    assert!(token.raw && token.from.is_none() && token.bytes == 0x0130_c90c);
    let plain = told(&TOKEN.replace("\trawok = 1\n", "")).unwrap();
    assert!(!plain.raw, "without that word it would come in plain");
    assert!(told("full\tx@y\t5").is_err());
    for bad in ["", "-t", "1-ab c", "1-ab;ls", "rpool@x"] {
        assert!(!is_token(bad), "{bad}");
    }
}

/// A head as OpenZFS wrote it.
fn head(version: u64, flags: u32, name: &str) -> [u8; HEAD] {
    let mut bytes = [0; HEAD];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(4, &0x404_u32.to_le_bytes());
    put(8, &0x2_f5ba_cbac_u64.to_le_bytes());
    put(16, &version.to_le_bytes());
    put(24, &0x6b04_c36e_u64.to_le_bytes());
    put(32, &2_u32.to_le_bytes());
    put(36, &flags.to_le_bytes());
    put(40, &0xd6f7_49a9_fb0e_e21d_u64.to_le_bytes());
    put(48, &0x5523_e4d0_a02f_a451_u64.to_le_bytes());
    put(56, name.as_bytes());
    bytes
}

#[test]
fn only_one_raw_dataset_without_properties_is_let_through() {
    let name = "rpool/home/ann@freehold-2";
    let raw = Head::read(&head(0x0508_0011, 0xc, name)).unwrap();
    assert_eq!((raw.kind, raw.guid, raw.resumes), (Kind::Filesystem, 0xd6f7_49a9_fb0e_e21d, false));
    assert_eq!((raw.from, raw.name.as_str()), (Some(0x5523_e4d0_a02f_a451), "freehold-2"));
    assert!(Head::read(&head(0x0548_0011, 0xc, name)).unwrap().resumes);
    let refused = |version, flags, name| Head::read(&head(version, flags, name)).unwrap_err();
    assert_eq!(refused(0x11, 0xc, name), BadStream::Plain);
    // `zfs send -p` and `-R`: properties, or several datasets.
    assert_eq!(refused(0x2, 0, name), BadStream::Package);
    assert_eq!(refused(0x0508_0012, 0, name), BadStream::Package);
    assert_eq!(refused(0x0508_0011, 1, name), BadStream::Clone);
    for name in ["rpool/home/ann@mine", "rpool", "a@freehold-1@x", "a@freehold-$(reboot)"] {
        assert_eq!(refused(0x0508_0011, 0xc, name), BadStream::Name, "{name}");
    }
    assert_eq!(Head::read(&[0; HEAD]), Err(BadStream::Other));
}

const DECLARED: &str = r#"
[[backup]]
name = "home"
machine = "laptop"
dataset = "rpool/home"
children = true
except = ["rpool/home/cache"]
every = "15min"
keep = { hourly = 24, daily = 7 }
[[backup.target]]
name = "nas"
machine = "nas"
root = "tank/backups"
keep = { daily = 30 }
limit = "500GiB"
"#;

#[test]
fn both_ends_derive_the_same_places() {
    let declared = Declaration::read(DECLARED).unwrap();
    let (backup, target) = declared.pair("home", "nas").unwrap();
    assert_eq!((backup.every, target.limit), (Millis(900_000), Some(500 << 30)));
    for (source, place) in
        [("rpool/home", "tank/backups/laptop/home"), ("rpool/home/a/b", "tank/backups/laptop/home/a/b")]
    {
        assert_eq!(backup.place(target, &dataset(source)), Some(dataset(place)));
        assert_eq!(backup.placed(target, &dataset(place)), Some(dataset(source)));
    }
    assert!(backup.covers(&dataset("rpool/home/ann")) && !backup.covers(&dataset("rpool/homes")));
    assert!(!backup.covers(&dataset("rpool/home/cache/x")));
    assert_eq!(backup.placed(target, &dataset("tank/backups/laptop/homes")), None);
    assert_eq!(
        (declared.of("laptop").count(), declared.of("nas").count(), declared.at("nas").count()),
        (1, 0, 1)
    );
}

#[test]
fn what_is_no_declaration_is_said() {
    let with = |from: &str, to: &str| Declaration::read(&DECLARED.replace(from, to));
    assert_eq!(Declaration::read(""), Err(BadDeclaration::Empty));
    assert!(matches!(with("15min", "1min"), Err(BadDeclaration::Often(..))));
    assert!(matches!(with("15min", "often"), Err(BadDeclaration::Unreadable(_))));
    assert!(matches!(with("rpool/home/cache", "rpool/x"), Err(BadDeclaration::Outside(..))));
    assert!(matches!(
        with("dataset = \"rpool/home\"", "dataset = \"rpool/home@x\""),
        Err(BadDeclaration::Unreadable(_))
    ));
    assert!(
        matches!(with("children", "childern"), Err(BadDeclaration::Unreadable(_))),
        "a misspelt word is no silence"
    );
    assert!(matches!(
        with("machine = \"nas\"\nroot = \"tank/backups\"", "machine = \"laptop\"\nroot = \"rpool/home/b\""),
        Err(BadDeclaration::Itself(..))
    ));
    let twice = format!("{DECLARED}{}", DECLARED.replace("\"home\"", "\"again\""));
    assert!(matches!(Declaration::read(&twice), Err(BadDeclaration::Shared(..))));
}

#[test]
fn names_of_snapshots_come_in_the_order_of_time() {
    assert_eq!(own_name(Millis(1_795_474_277_042)), "freehold-20261123T225117-042");
    assert!(is_own(&own_name(Millis(u64::MAX))) || own_name(Millis(u64::MAX)).len() > 32);
}

proptest! {
    #[test]
    fn nothing_that_is_printed_breaks_the_readers(text in "(\\PC|[\t\n@#/=-]){0,300}") {
        drop(listed(&text));
        drop(told(&text));
        drop(holds(&text, &mut listed(LISTED).unwrap()));
        drop(Declaration::read(&text));
        prop_assert!(!is_token(&text) || !text.contains([' ', '@', '\n']));
    }

    #[test]
    fn lines_that_were_cut_or_changed_break_nothing(at in 0..LISTED.len(), with in "\\PC{0,3}") {
        let changed = format!("{}{with}{}", &LISTED[..at], &LISTED[(at + 1).min(LISTED.len())..]);
        if let Ok(shown) = listed(&changed) {
            prop_assert!(shown.keys().all(|name| Dataset::new(name.as_str()).is_ok()));
        }
    }

    #[test]
    fn no_head_breaks_the_reader(start in prop::collection::vec(any::<u8>(), HEAD), real in any::<bool>()) {
        let mut bytes: [u8; HEAD] = start.try_into().unwrap();
        if real {
            bytes[..16].copy_from_slice(&head(0, 0, "")[..16]);
        }
        if let Ok(head) = Head::read(&bytes) {
            prop_assert!(is_own(&head.name));
        }
    }

    /// A name that is taken stands for itself in an argument: no option, no snapshot, no way up.
    #[test]
    fn names_are_plain(name in "[a-z@#/.%: -]{0,12}") {
        if let Ok(taken) = Dataset::new(&name) {
            prop_assert!(!name.starts_with(['-', '/']) && !name.contains(['@', '#', '%']));
            prop_assert!(!name.split('/').any(|part| part.is_empty() || part == ".." || part == "."));
            prop_assert_eq!(taken.as_str(), &name);
        }
        prop_assert!(Label::new(&name).is_err() || !name.contains([':', '/', ' ']));
    }
}

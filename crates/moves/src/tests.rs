use std::collections::BTreeMap;

use freehold_crypt::{Algorithm, Secret, SigningKey};
use proptest::prelude::*;

use crate::{
    Closing, Facts, Kept, Line, Model, Next, Page, Plan, Receipt, ReceiptError, Seen, Side, Step, apply,
    bucket_names, closed, field, listing, manifest_line, next, pairs, reopened, seal, settle, steps, verify,
    versions_page,
};

fn seen(id: u64, marker: bool) -> Seen {
    Seen {
        version: format!("v{id}"),
        etag: if marker { String::new() } else { format!("e{id}") },
        size: if marker { 0 } else { id },
        modified: format!("2026-01-01T00:00:00.{id:03}Z"),
        marker,
    }
}

/// A bucket that keeps versions: what S3 does with one.
#[derive(Debug, Clone, Default)]
struct Target {
    versions: Vec<Seen>,
    next: u64,
}

impl Target {
    fn take(&mut self, step: &Step) -> Option<(Seen, String)> {
        match step {
            Step::Remove(id) => {
                self.versions.retain(|one| one.version != *id);
                None
            }
            Step::Copy(from) | Step::Mark(from) => {
                self.next += 1;
                let id = format!("t{}", self.next);
                self.versions.push(Seen { version: id.clone(), ..from.clone() });
                Some((from.clone(), id))
            }
        }
    }
}

fn kept(from: Seen, to: String) -> Kept {
    Kept { from, to, ..Kept::default() }
}

/// What a member does to an object while it is moved.
#[derive(Debug, Clone, Copy)]
enum Does {
    Write,
    Delete,
    /// Takes one version away for good.
    Remove(usize),
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        4 => Just(Does::Write),
        1 => Just(Does::Delete),
        1 => (0_usize..8).prop_map(Does::Remove),
    ]
}

proptest! {
    /// Whatever is done meanwhile, and wherever the move is killed, in the end the new realm has the same versions in
    /// the same order, and nothing else.
    #[test]
    fn killed_anywhere_it_ends_with_the_same(
        rounds in prop::collection::vec((prop::collection::vec(does(), 0..6), 0_usize..6, any::<bool>()), 1..8)
    ) {
        let (mut source, mut target, mut noted) = (Vec::<Seen>::new(), Target::default(), Vec::<Kept>::new());
        let mut number = 0;
        for (done, steps_taken, note_lost) in rounds {
            for one in done {
                number += 1;
                match one {
                    Does::Write => source.push(seen(number, false)),
                    Does::Delete => source.push(seen(number, true)),
                    Does::Remove(at) if at < source.len() => drop(source.remove(at)),
                    Does::Remove(_) => {}
                }
            }
            let todo = steps(&source, &noted, true);
            for (at, step) in todo.iter().enumerate().take(steps_taken) {
                let made = target.take(step);
                // Killed between the write and its note.
                if note_lost && at + 1 == steps_taken {
                    break;
                }
                match (step, made) {
                    (Step::Remove(id), _) => noted.retain(|one| one.to != *id),
                    (_, Some((from, id))) => apply(&mut noted, kept(from, id)),
                    _ => {}
                }
            }
            // Started again: the new realm is asked what it has.
            for stray in settle(&mut noted, &target.versions) {
                target.versions.retain(|one| one.version != stray);
            }
        }
        for step in steps(&source, &noted, true) {
            let made = target.take(&step);
            match (&step, made) {
                (Step::Remove(id), _) => noted.retain(|one| one.to != *id),
                (_, Some((from, id))) => apply(&mut noted, kept(from, id)),
                _ => {}
            }
        }
        prop_assert!(steps(&source, &noted, true).is_empty());
        let same = |one: &Seen| (one.etag.clone(), one.size, one.marker);
        prop_assert_eq!(
            source.iter().map(same).collect::<Vec<_>>(),
            target.versions.iter().map(same).collect::<Vec<_>>()
        );
        prop_assert!(settle(&mut noted, &target.versions).is_empty());
    }

    /// The new realm never counts while something is missing there, was not read back, or may still change.
    #[test]
    fn the_new_realm_counts_only_when_all_is_there(
        rounds in 0_u32..20, steps in 0_u64..200, bytes in 0_u64..1 << 30, unchecked in 0_u64..3, closed: bool,
        said_still: bool, still in 0_u32..4, compared: bool, only_copy: bool,
        old_is_gone: bool
    ) {
        let facts =
            Facts { rounds, steps, bytes, unchecked, closed, said_still, old_is_gone, still, compared, only_copy };
        if next(&facts) == Next::TakeOver && old_is_gone {
            prop_assert!(unchecked == 0 && compared);
        } else if next(&facts) == Next::TakeOver {
            prop_assert!(closed || said_still);
            prop_assert!(still >= 2 && unchecked == 0 && compared && !only_copy && rounds > 0);
        }
        if next(&facts) == Next::Close {
            prop_assert!(!closed && !said_still && !only_copy && unchecked == 0);
        }
    }

    /// However much is written meanwhile, a move comes to its end.
    #[test]
    fn it_comes_to_its_end(writes in prop::collection::vec(0_u64..10_000, 40)) {
        let mut facts = Facts::default();
        let mut writes = writes.into_iter();
        for _ in 0..60 {
            match next(&facts) {
                Next::Round => {
                    facts.rounds += 1;
                    facts.steps = if facts.closed { 0 } else { writes.next().unwrap_or(0) };
                    facts.unchecked = facts.steps;
                    facts.still = if facts.closed && facts.steps == 0 { facts.still + 1 } else { 0 };
                }
                Next::Check => facts.unchecked = 0,
                Next::Close => (facts.closed, facts.still) = (true, 0),
                Next::Compare => facts.compared = true,
                Next::TakeOver => return Ok(()),
                Next::Rest => prop_assert!(false, "nobody asked for it"),
            }
        }
        prop_assert!(false, "it goes on for ever: {:?}", facts);
    }

    /// Whatever an answer is, it is read or refused.
    #[test]
    fn no_answer_is_too_strange(text in ".{0,400}", inner in "(<[A-Za-z]{1,12}>|</[A-Za-z]{1,12}>|[a-z%&;]{0,6}){0,30}") {
        for xml in [&text, &inner, &format!("<R><Version><Key>{inner}</Key></Version></R>")] {
            drop(versions_page(xml));
            drop(bucket_names(xml));
            drop(pairs(xml, "Tag", ["Key", "Value"]));
            drop(field(xml, "Status"));
        }
        drop(verify(text.as_bytes(), None));
        drop(closed(Some(&text), "b", Closing::All));
    }

    /// A bucket that is closed and opened again has the policy that it had.
    #[test]
    fn what_was_closed_is_as_it_was(has: bool, twice: bool) {
        let own = r#"{"Statement":[{"Action":"s3:GetObject","Effect":"Allow","Principal":"*","Resource":"arn:aws:s3:::b/*"}],"Version":"2012-10-17"}"#;
        let before = has.then_some(own);
        let mut policy = closed(before, "b", Closing::Sayings).unwrap();
        if twice {
            policy = closed(Some(&policy), "b", Closing::All).unwrap();
            prop_assert!(policy.contains("s3:DeleteObjectVersion") && policy.contains("arn:aws:s3:::b\""));
        }
        prop_assert_eq!(policy.matches("FreeholdMovingSayings").count(), 1);
        let after = reopened(Some(&policy)).unwrap();
        prop_assert_eq!(after.as_deref(), before);
    }
}

#[test]
fn a_bucket_without_versions_has_the_last_write() {
    let mut there = Vec::new();
    let first = Seen { version: "null".into(), ..seen(1, false) };
    assert_eq!(steps(std::slice::from_ref(&first), &there, false), [Step::Copy(first.clone())]);
    apply(&mut there, kept(first.clone(), "null".into()));
    assert!(steps(std::slice::from_ref(&first), &there, false).is_empty());
    let second = Seen { version: "null".into(), ..seen(2, false) };
    assert_eq!(steps(std::slice::from_ref(&second), &there, false), [Step::Copy(second.clone())]);
    apply(&mut there, kept(second, "null".into()));
    assert_eq!(there.len(), 1);
    assert_eq!(steps(&[], &there, false), [Step::Remove("null".into())]);
    // Killed after the write: what lies there is not what was noted.
    assert_eq!(settle(&mut there, std::slice::from_ref(&first)), ["null"]);
    assert!(there.is_empty());
}

const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Name>b</Name><IsTruncated>true</IsTruncated><NextKeyMarker>a%20b</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>
<Version><Key>a%20b%2B%C3%A9</Key><VersionId>v3</VersionId><ETag>&quot;abc&quot;</ETag><Size>7</Size>
<LastModified>2026-01-01T00:00:02Z</LastModified><Owner><ID>x</ID></Owner></Version>
<Version><Key>a%20b%2B%C3%A9</Key><VersionId>v1</VersionId><ETag>"abd"</ETag><Size>8</Size>
<LastModified>2026-01-01T00:00:01.5Z</LastModified></Version>
<DeleteMarker><Key>a%20b%2B%C3%A9</Key><VersionId>v2</VersionId><LastModified>2026-01-01T00:00:01.75Z</LastModified></DeleteMarker>
</ListVersionsResult>"#;

#[test]
fn a_list_is_read_and_put_in_order() {
    let page = versions_page(PAGE).unwrap();
    assert_eq!(page.next, Some(("a b".into(), "v1".into())));
    let all = listing([page]);
    let versions = &all.objects["a b+é"];
    assert_eq!(versions.iter().map(|seen| &*seen.version).collect::<Vec<_>>(), ["v1", "v2", "v3"]);
    assert_eq!((versions[0].etag.as_str(), versions[2].size, versions[1].marker), ("abd", 7, true));
    assert!(all.unclear.is_empty());
    let tied = Page { lines: vec![("k".into(), seen(1, false)), ("k".into(), seen(1, true))], next: None };
    assert!(listing([tied]).unclear.contains("k"));
    let buckets = "<L><Buckets><Bucket><Name>a</Name></Bucket><Bucket><Name>b</Name></Bucket></Buckets></L>";
    assert_eq!(bucket_names(buckets).unwrap(), ["a", "b"]);
    assert_eq!(field("<V><Status>Enabled</Status></V>", "Status").unwrap().as_deref(), Some("Enabled"));
    let tags = "<T><TagSet><Tag><Key>a</Key><Value>b &amp; c</Value></Tag><Tag><Key>d</Key><Value/></Tag></TagSet></T>";
    let read = pairs(tags, "Tag", ["Key", "Value"]).unwrap();
    assert_eq!(read, [("a", "b & c"), ("d", "")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert!(versions_page("<!DOCTYPE a><R></R>").is_err());
}

fn model() -> Model {
    let side = |endpoint: &str| Side { endpoint: endpoint.into(), key_file: "key".into(), ca: None };
    let buckets = BTreeMap::from([("b".to_owned(), "c".to_owned())]);
    let mut model = Model::default();
    let (one, two) = (seen(5, false), seen(6, true));
    for line in [
        Line::Begun(Plan { from: side("http://old"), to: side("http://new"), buckets }, 1),
        Line::Made("b".into()),
        Line::Keeps("b".into()),
        Line::Kept("b".into(), "k".into(), kept(one, "t1".into())),
        Line::Kept("b".into(), "k".into(), kept(two, "t2".into())),
        Line::Checked("b".into(), "k".into(), "t1".into()),
        Line::Closed(100),
        Line::TakenOver(350),
    ] {
        let text = serde_json::to_string(&line).unwrap();
        model.read(serde_json::from_str(&text).unwrap());
    }
    model
}

#[test]
fn a_receipt_says_what_was_moved_and_cannot_be_altered() {
    let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([7; 32]));
    let model = model();
    assert_eq!(model.unchecked(), 0);
    let list = manifest_line("b", "k", &model.buckets["b"].objects["k"][0]);
    let receipt = Receipt::of(&model, ("A".into(), "B".into()), list.as_bytes(), &key).unwrap();
    let moved = &receipt.buckets[0];
    assert_eq!((moved.objects, moved.versions, moved.markers, moved.bytes), (0, 1, 1, 5));
    assert_eq!(receipt.read_only_ms(), Some(250));
    let file = seal(&receipt, &key);
    assert_eq!(verify(file.as_bytes(), Some(list.as_bytes())).unwrap(), receipt);
    assert_eq!(verify(file.as_bytes(), Some(b"")), Err(ReceiptError::List));
    let altered = file.replace("\"bytes\": 5", "\"bytes\": 6");
    assert_ne!(altered, file);
    assert_eq!(verify(altered.as_bytes(), None), Err(ReceiptError::Altered));
    assert_eq!(verify(b"{}", None), Err(ReceiptError::Unreadable));
}

//! One valid input of each kind that the shells read.

use freehold_crypt::Secret;
use freehold_mesh::{Addresses, probe};
use freehold_node::door::{Answer, Carried, Request};
use freehold_node::gate::Visitors;
use freehold_node::identity::Identity;
use freehold_node::invitation::{Card, Contact, Invitation};
use freehold_wire::{Bounded, Millis, Name, NodeId, OpId, RealmId, to_canonical};

use super::{Seeds, key, named, seal};

fn with(which: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[which], bytes.as_ref()].concat()
}

fn addresses() -> Addresses {
    let text = "192.168.1.7:4433,[2001:db8::7]:4433,http://203.0.113.9:3340/,+http://192.168.1.7:3340/";
    text.parse().unwrap()
}

fn contact() -> Contact {
    Contact { node: NodeId::from_bytes([1; 32]), addresses: addresses().to_bytes() }
}

pub(crate) fn mesh() -> Seeds {
    let pass = probe::pass(&[&key(freehold_crypt::Algorithm::Ed25519, 1)], NodeId::from_bytes([5; 32]));
    let question = [&[0x01], [7; 32].as_slice(), &3u64.to_be_bytes(), &9u64.to_be_bytes()].concat();
    named(vec![
        ("addresses", with(0, addresses().to_bytes())),
        ("text", with(1, addresses().to_string())),
        ("relay", with(2, "http://203.0.113.9:3340/")),
        ("start", with(3, [&[1], b"boot id!".as_slice(), &2u64.to_be_bytes()].concat())),
        ("question", with(3, question)),
        ("pass", with(4, pass.unwrap())),
        ("frames", with(5, [3, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 9])),
    ])
}

pub(crate) fn node() -> Seeds {
    let invitation = Invitation {
        realm: RealmId::from_bytes([7; 32]),
        expires: Millis(1_800_000_000_000),
        key_seed: Secret::from_bytes([9; 32]),
        contacts: vec![contact()],
    };
    let contacts = Bounded::fill(&mut std::iter::once(contact()));
    let card = Card { realm: RealmId::from_bytes([7; 32]), contacts };
    let identity = Identity {
        realm: RealmId::from_bytes([7; 32]),
        phrases_left_in: Some("/home/anna/phrases".to_owned()),
        first_contacts: vec![contact()],
    };
    let visitors = Visitors::default();
    visitors.welcome(NodeId::from_bytes([3; 32]), OpId::from_bytes([4; 32]), Millis(1_800_000_000_000));
    let carried = vec![Carried { entry: vec![1], payload: vec![2, 3] }];
    let redeem = Request::Redeem(vec![4; 40], Name::new("attic").unwrap());
    let payloads =
        seal().into_iter().filter(|(name, _)| name.starts_with("payload") || name.contains("envelope"));
    named(vec![
        ("invitation", with(0, invitation.to_text())),
        ("card", with(0, card.to_text())),
        ("card-inside", with(1, to_canonical(&card))),
        ("identity", with(2, to_canonical(&identity))),
        ("visitors", with(3, visitors.to_bytes())),
        ("log", with(4, to_canonical(&Request::Log(7)))),
        ("redeem", with(4, to_canonical(&redeem))),
        ("piece", with(4, to_canonical(&Answer::Piece(vec![1, 2], 9)))),
        ("carried", with(4, to_canonical(&carried))),
    ])
    .into_iter()
    .chain(payloads.map(|(name, bytes)| (name, with(5, bytes.get(1..).unwrap_or_default()))))
    .collect()
}

pub(crate) fn api() -> Seeds {
    let range = [&100u64.to_be_bytes()[..], b"bytes=7-11"].concat();
    named(vec![
        ("bucket", with(0, r#"{"name":"photos","copies":2,"confirm":1}"#)),
        ("invite", with(0, r#"{"roles":["storage","gateway"],"hours":24,"device":true,"name":"nas"}"#)),
        ("name", with(0, r#"{"name":"attic"}"#)),
        ("phrase", with(0, r#"{"phrase":"edit pole word"}"#)),
        ("code", with(0, r#"{"code":"ABCD-EFGH"}"#)),
        ("range", with(1, range)),
        ("typed", with(2, "abcd efgh")),
        ("kept", with(3, [[5; 32].as_slice(), &1_800_000_000_000u64.to_be_bytes()].concat())),
        ("host", with(4, "nas.lan:8443")),
        ("site", with(4, "same-origin")),
        ("path", with(5, "a folder/ü ?&#%+.txt")),
    ])
}

/// Decisions of the world: all the first, all the last, and a mixture, for each of its two kinds.
pub(crate) fn world() -> Seeds {
    let mixed = |step: u8| (0..=255u8).map(|n| n.wrapping_mul(step).wrapping_add(step)).collect::<Vec<_>>();
    named(vec![
        ("log-first", with(0, [0; 200])),
        ("log-mixed", with(0, mixed(37))),
        ("replica-last", with(1, [0xff; 200])),
        ("replica-mixed", with(1, mixed(91))),
    ])
}

pub(crate) fn documents() -> Seeds {
    let key = freehold_documents::encode_all([Some(&7.into()), None, Some(&"a text".into())]);
    let asked = r#"where a >= 1 and (b starts "te" or n.c has "two") and not $id in ("y", null) order by b desc, a limit 5 select n.c"#;
    named(vec![
        ("key", with(0, key)),
        ("query", with(1, asked)),
        ("cursor", with(2, "0574657874000104bff0000000000000800005780001")),
        (
            "index",
            with(
                3,
                "{\"name\":\"by-tag\",\"fields\":[\"tags\",\"at.city\"],\"unique\":true,\"each\":true}\n{\"tags\":[1,\"x\"],\"at\":{\"city\":\"Rome\"}}",
            ),
        ),
    ])
}

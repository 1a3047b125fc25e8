//! Probes of what the shells read: the mesh's bytes, the node's texts and files, what is asked of the
//! API. In each the first byte says which.

use std::future::Future as _;
use std::task::{Context, Poll, Waker};

use freehold_api::{
    ByteRange, NewBucket, NewInvitation, NewName, Phrase, Sessions, Source, TypedCode, encode_path, own_host,
    same_origin,
};
use freehold_crypt::{BoxSecret, Secret, hash};
use freehold_mesh::{Addresses, RelayUrl, probe};
use freehold_node::directory::{Directory, From, Learned};
use freehold_node::door::{Answer, Carried, Request};
use freehold_node::gate::Visitors;
use freehold_node::identity::Identity;
use freehold_node::invitation::{Card, Contact, Invitation};
use freehold_seal::Recipient;
use freehold_wire::{Hlc, Millis, NodeId, RealmId};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Fixed, done, round_trip};

const FRAME_MAX: usize = 64;

/// What a peer of the mesh sends: addresses, first words, questions for blobs, passes, frames.
pub fn mesh(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let text = std::str::from_utf8(data).ok();
    match which % 6 {
        0 => {
            if let Ok(addresses) = Addresses::from_bytes(data) {
                assert_eq!(addresses.to_bytes(), data, "two spellings of the same addresses");
                let text = addresses.to_string();
                // A text may be too long for what its bytes are short enough for.
                if let Ok(again) = text.parse::<Addresses>() {
                    assert_eq!(again.to_bytes(), data, "bytes and text differ");
                }
            }
        }
        1 => {
            if let Some(Ok(addresses)) = text.map(str::parse::<Addresses>) {
                let bytes = addresses.to_bytes();
                assert_eq!(Addresses::from_bytes(&bytes).map(|again| again.to_bytes()).ok(), Some(bytes));
            }
        }
        2 => {
            if let Some(Ok(url)) = text.map(str::parse::<RelayUrl>) {
                assert_eq!(url.to_string().parse::<RelayUrl>().ok(), Some(url));
            }
        }
        3 => {
            assert!(probe::start(data).is_none_or(|again| again == data));
            assert!(probe::blob_question(data).is_none_or(|again| again == data));
        }
        4 => {
            let newcomer = NodeId::from_bytes([5; 32]);
            assert!(
                text.is_none_or(|text| probe::proven(text, newcomer).is_none_or(|keys| !keys.is_empty()))
            );
        }
        _ => frames(data),
    }
}

/// A stream of frames says the same however it is cut.
fn frames(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
    let (whole, cut) = runtime.block_on(async {
        (
            probe::frames(data, data.len(), FRAME_MAX).await,
            probe::frames(data, usize::from(*size), FRAME_MAX).await,
        )
    });
    assert_eq!(whole, cut);
    assert!(whole.0.iter().all(|frame| frame.len() <= FRAME_MAX));
    if whole.1 {
        let spelled: Vec<u8> = whole
            .0
            .iter()
            .flat_map(|frame| {
                [&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes()[..], frame].concat()
            })
            .collect();
        assert_eq!(spelled, data, "a stream that ends well is its frames and nothing else");
    }
}

/// What a node is given to read: invitations and cards, its identity file, what it kept, what a
/// newcomer asks at the door, what stands in the directory.
pub fn node(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 6 {
        0 => {
            if let Ok(text) = std::str::from_utf8(data) {
                texts(text);
            }
        }
        // With the checksum made right, so that what lies behind it is reached.
        1 => {
            let sum = hash::digest("freehold 2026 text checksum", data);
            let whole = [data, sum.get(..4).unwrap_or_default()].concat();
            let body = data_encoding::BASE32_NOPAD.encode(&whole);
            texts(&format!("FREEHOLD-INVITE:{body}"));
            texts(&format!("FREEHOLD-CARD:{body}"));
        }
        2 => {
            if let Some(identity) = round_trip::<Identity>(data) {
                contacts(&identity.first_contacts);
            }
        }
        3 => {
            let visitors = Visitors::default();
            visitors.restore(data);
            let kept = visitors.to_bytes();
            let again = Visitors::default();
            again.restore(&kept);
            assert_eq!(again.to_bytes(), kept);
        }
        4 => {
            done(round_trip::<Request>(data));
            done(round_trip::<Answer>(data));
            done(round_trip::<Vec<Carried>>(data));
        }
        _ => {
            let secret = BoxSecret::from_seed(&Secret::from_bytes([7; 32]));
            let me = NodeId::from_bytes([1; 32]);
            let mut directory = Directory::new(RealmId::from_bytes([1; 32]), Recipient::Node(me), secret);
            let from = From { origin: me, seq: 1, hlc: Hlc { wall: Millis(1), count: 0 } };
            let learned = directory.absorb(from, data);
            assert!(
                learned.iter().all(|learned| *learned == Learned::Nothing),
                "what nobody sealed was believed"
            );
        }
    }
}

fn texts(text: &str) {
    let same = |again: &str| {
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        assert_eq!(again, plain.to_ascii_uppercase(), "two spellings of one text");
    };
    if let Ok(invitation) = Invitation::from_text(text) {
        same(&invitation.to_text());
        contacts(&invitation.contacts);
    }
    if let Ok(card) = Card::from_text(text) {
        same(&card.to_text());
        contacts(&card.contacts);
    }
}

fn contacts(contacts: &[Contact]) {
    for contact in contacts {
        done(Addresses::from_bytes(&contact.addresses));
    }
}

/// What is asked of the API: wishes in JSON, ranges, codes, cookies, the headers that say from where.
pub fn api(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 6 {
        0 => {
            wish::<NewBucket>(data);
            wish::<NewInvitation>(data);
            wish::<NewName>(data);
            wish::<Phrase>(data);
            wish::<TypedCode>(data);
        }
        1 => {
            let Some((size, text)) = data.split_first_chunk::<8>() else { return };
            let size = u64::from_be_bytes(*size);
            let range = std::str::from_utf8(text).ok().and_then(ByteRange::parse);
            if let Some(range) = range.and_then(|range| range.resolve(size)) {
                assert!(range.start < range.end && range.end <= size);
            }
        }
        2 => {
            let sessions = sessions();
            if let Ok(code) = String::from_utf8(data.to_vec()) {
                let typed = TypedCode { code };
                let mut signing_in = std::pin::pin!(sessions.sign_in(Source::Here, &typed));
                // The first try waits for nobody.
                let said = signing_in.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(said, Poll::Ready(Err(_))), "a code that nobody gave out");
            }
        }
        3 => {
            // What was kept is hashes: no cookie made of it opens anything.
            let sessions = sessions();
            sessions.keep(data, done);
            let cookie = |token: &[u8]| {
                let text = format!("__Host-freehold-ab={}", data_encoding::HEXLOWER.encode(token));
                HeaderValue::try_from(text)
                    .ok()
                    .map(|value| std::iter::once((header::COOKIE, value)).collect())
            };
            for token in data.chunks(32).chain([data]) {
                assert!(!cookie(token).is_some_and(|headers: HeaderMap| sessions.admits(&headers)));
            }
            if let Ok(value) = HeaderValue::from_bytes(data) {
                assert!(!sessions.admits(&std::iter::once((header::COOKIE, value)).collect()));
            }
        }
        4 => {
            let Ok(value) = HeaderValue::from_bytes(data) else { return };
            let uri = Uri::from_static("/");
            let host: HeaderMap = std::iter::once((header::HOST, value.clone())).collect();
            done(own_host(&uri, &host, None));
            let foreign = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"];
            for name in foreign {
                let both = [(header::HOST, HeaderValue::from_static(name)), (header::HOST, value.clone())];
                assert!(!own_host(&uri, &both.into_iter().collect(), None));
            }
            let site = HeaderName::from_static("sec-fetch-site");
            let told = value.as_bytes() == b"same-origin" || value.as_bytes() == b"none";
            let headers = [(site, value), (header::HOST, HeaderValue::from_static("nas.lan"))];
            assert_eq!(same_origin(&Method::POST, &uri, &headers.into_iter().collect()), told);
        }
        _ => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            let path = format!("/{}", encode_path(text));
            assert!(path.parse::<Uri>().is_ok_and(|uri| uri.path() == path), "{path}");
        }
    }
}

fn sessions() -> Sessions {
    Sessions::new("ab", Box::new(Fixed(0)))
}

/// A wish that is read is the same when it is written and read again.
fn wish<T: DeserializeOwned + Serialize>(data: &[u8]) {
    let Ok(wish) = serde_json::from_slice::<T>(data) else { return };
    let Ok(text) = serde_json::to_vec(&wish) else { unreachable!("it came from JSON") };
    let again = serde_json::from_slice::<T>(&text).and_then(|again| serde_json::to_vec(&again));
    assert_eq!(again.ok(), Some(text));
}

//! ClientHellos.

use proptest::prelude::*;

use super::made::done;
use crate::hello::{HELLO_MAX, Hello, NotTls, Peek, read, server_name};

fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(body)].concat()
}

fn named(name: &str) -> Vec<u8> {
    extension(0, &long(&[&[0][..], &long(name.as_bytes())].concat()))
}

/// A handshake message with these extensions.
fn message(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[9; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
    if !extensions.is_empty() {
        body.extend_from_slice(&long(extensions));
    }
    [&[1, 0][..], &long(&body)].concat()
}

/// Records of at most `each` bytes.
fn records(message: &[u8], each: usize) -> Vec<u8> {
    message.chunks(each).flat_map(|part| [&[22, 3, 1][..], &long(part)].concat()).collect()
}

fn one(extensions: &[u8]) -> Peek {
    server_name(&records(&message(extensions), 16_000))
}

proptest! {
    /// However it is cut into records, and wherever it stops.
    #[test]
    fn the_name_is_found(each in 1..400usize, padding in 0..600usize) {
        let padding = extension(21, &vec![0; padding]);
        let bytes = records(&message(&[padding, named("Cloud.Example.org")].concat()), each);
        prop_assert_eq!(server_name(&bytes), Peek::Name("cloud.example.org".to_owned()));
        for end in 0..bytes.len() {
            prop_assert_eq!(server_name(&bytes[..end]), Peek::More);
        }
        let more = [&bytes[..], &[23, 3, 3, 0, 1, 0]].concat();
        prop_assert_eq!(server_name(&more), Peek::Name("cloud.example.org".to_owned()));
    }

    #[test]
    fn any_bytes_are_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), new in any::<u8>()) {
        done(server_name(&bytes));
        let mut hello = records(&message(&[named("a.org"), extension(16, &[0, 3, 2, b'h', b'2'])].concat()), 60);
        let at = at.index(hello.len());
        hello[at] = new;
        if let Peek::Name(name) = server_name(&hello) {
            prop_assert!(name.len() <= 253 && name == name.to_ascii_lowercase());
        }
    }
}

#[test]
fn only_names_are_names() {
    assert_eq!(one(&[]), Peek::None);
    assert_eq!(one(&extension(43, &[2, 3, 4])), Peek::None);
    for good in ["a", "a.b", "xn--bcher-kva.example", "_dmarc.a.org", "1.a"] {
        assert_eq!(one(&named(good)), Peek::Name(good.to_owned()));
    }
    let long = format!("{}.org", "a".repeat(64));
    let longer = vec!["abcdefg"; 32].join(".");
    for bad in [
        "", ".", "a.", ".a", "a..b", "-a.org", "a-.org", "a b", "a/b", "10.0.0.1", "::1", "a\0", &long,
        &longer,
    ] {
        assert_eq!(one(&named(bad)), Peek::Bad, "{bad}");
    }
}

#[test]
fn protocols_are_told() {
    let acme = extension(16, &long(b"\x0aacme-tls/1"));
    let hello = read(&records(&message(&[named("a.org"), acme].concat()), 16_000)).unwrap();
    assert_eq!(
        hello,
        Some(Hello { name: Some("a.org".to_owned()), protocols: vec![b"acme-tls/1".to_vec()] })
    );
    for bad in [&[][..], &[0, 0], &[0, 1, 0], &[0, 2, 2, 1], &[0, 2, 1, 1, 1]] {
        assert_eq!(one(&extension(16, bad)), Peek::Bad);
    }
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_bad() {
    assert_eq!(one(&[named("a.org"), named("b.org")].concat()), Peek::Bad);
    let two = [&[0][..], &long(b"a.org"), &[0], &long(b"b.org")].concat();
    assert_eq!(one(&extension(0, &long(&two))), Peek::Bad);
    let behind = [message(&named("a.org")), message(&named("b.org"))].concat();
    assert_eq!(server_name(&records(&behind, 16_000)), Peek::Bad);
    let mut tail = message(&named("a.org"));
    tail.push(0);
    let tail = records(&tail, 16_000);
    assert_eq!(server_name(&tail), Peek::Bad);
    assert_eq!(server_name(&tail[..tail.len() - 1]), Peek::Bad);
}

#[test]
fn other_tongues_are_known_at_once() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"SSH-2.0",
        &[22, 2],
        &[22, 3, 1, 0, 0],
        &[22, 3, 1, 0xff, 0],
        &[22, 3, 1, 0, 9, 2],
    ] {
        assert_eq!(server_name(bytes), Peek::Bad);
    }
    // One that never ends.
    let endless = records(&[&[1, 0, 0x3f, 0xf0][..], &[0; 16_000]].concat(), 1);
    assert_eq!(read(&endless[..HELLO_MAX - 1]), Ok(None));
    assert_eq!(read(&endless[..HELLO_MAX]), Err(NotTls));
}

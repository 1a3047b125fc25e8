use freehold_wire::{from_canonical, to_canonical};
use proptest::prelude::*;

use super::*;
use crate::fixture::bytes;

fn key(algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::from_seed(algorithm, &Secret::from_bytes([seed; 32]))
}

/// RFC 8032, section 7.1, tests 1 to 3.
#[test]
fn ed25519_as_in_rfc_8032() {
    for (secret, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes(bytes(secret)));
        let message = hex::decode(message).unwrap();
        assert_eq!(key.verifying().ed25519_bytes(), Some(bytes(public)));
        assert_eq!(hex::encode(key.sign(&message).as_bytes()), signature);
        assert_eq!(key.verifying().verify(&message, &Signature::from_bytes(bytes(signature))), Ok(()));
    }
}

/// The P-256 signature with the lower `s`.
fn turned(bytes: &[u8; 64]) -> Signature {
    let signature = p256::ecdsa::Signature::from_slice(bytes).unwrap();
    Signature::from_bytes(signature.normalize_s().to_bytes().into())
}

/// RFC 6979, appendix A.2.5, SHA-256; its first signature has the higher `s`, which is turned.
#[test]
fn p256_as_in_rfc_6979() {
    let secret: [u8; 32] = bytes("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let key = SigningKey(Private::P256(Box::new(p256::ecdsa::SigningKey::from_slice(&secret).unwrap())));
    assert_eq!(
        hex::encode(key.verifying().to_bytes()),
        "020360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    );
    let high = bytes(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    );
    let low = bytes(
        "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
    );
    assert_eq!(key.sign(b"test"), Signature::from_bytes(low));
    assert_eq!(key.sign(b"sample"), turned(&high));
    assert_eq!(key.verifying().verify(b"sample", &key.sign(b"sample")), Ok(()));
    assert_eq!(key.verifying().verify(b"sample", &Signature::from_bytes(high)), Err(BadSignature));
}

#[test]
fn a_signature_is_for_one_message_and_one_key() {
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let signature = key(algorithm, 1).sign(b"one");
        assert_eq!(key(algorithm, 1).verifying().verify(b"one", &signature), Ok(()));
        assert_eq!(key(algorithm, 1).verifying().verify(b"two", &signature), Err(BadSignature));
        assert_eq!(key(algorithm, 2).verifying().verify(b"one", &signature), Err(BadSignature));
        for at in [0, 31, 32, 63] {
            let mut altered = *signature.as_bytes();
            altered[at] ^= 1;
            let altered = Signature::from_bytes(altered);
            assert_eq!(key(algorithm, 1).verifying().verify(b"one", &altered), Err(BadSignature), "{at}");
        }
    }
}

/// A second signature out of a first would let a stranger add to a set of signatures for ever.
#[test]
fn a_signature_is_not_malleable() {
    let group_order = |le: bool| {
        let mut order: [u8; 32] = if le {
            bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        } else {
            bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
        };
        if le {
            order.reverse();
        }
        order
    };
    // Ed25519: s + group order.
    let signature = key(Algorithm::Ed25519, 1).sign(b"one");
    let (mut forged, mut carry) = (*signature.as_bytes(), 0u16);
    for (s, order) in forged[32..].iter_mut().zip(group_order(true).iter().rev()) {
        carry += u16::from(*s) + u16::from(*order);
        *s = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    let forged = Signature::from_bytes(forged);
    assert_eq!(key(Algorithm::Ed25519, 1).verifying().verify(b"one", &forged), Err(BadSignature));
    // P-256: group order - s.
    let signature = key(Algorithm::P256, 1).sign(b"one");
    let (mut forged, mut borrow) = (*signature.as_bytes(), 0i16);
    for (s, order) in forged[32..].iter_mut().zip(group_order(false)).rev() {
        let difference = i16::from(order) - i16::from(*s) - borrow;
        *s = difference.to_le_bytes()[0];
        borrow = i16::from(difference < 0);
    }
    assert_eq!(turned(&forged), signature);
    let forged = Signature::from_bytes(forged);
    assert_eq!(key(Algorithm::P256, 1).verifying().verify(b"one", &forged), Err(BadSignature));
}

/// SEC 1 also has a form that leaves the sign of `y` out.
#[test]
fn a_p256_key_has_one_spelling() {
    let mut bytes = key(Algorithm::P256, 1).verifying().to_bytes();
    for tag in [0, 4, 5, 6] {
        bytes[1] = tag;
        assert_eq!(VerifyingKey::from_bytes(&bytes), Err(KeyError::Malformed), "{tag}");
    }
}

#[test]
fn keys_that_are_none_are_refused() {
    let ed = |hex: &str| VerifyingKey::from_bytes(&[[1].as_slice(), &hex::decode(hex).unwrap()].concat());
    for weak in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        // y = 3 written as 3 + p: a second spelling.
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // Not on the curve.
        "0200000000000000000000000000000000000000000000000000000000000000",
    ] {
        assert_eq!(ed(weak), Err(KeyError::Malformed), "{weak}");
    }
    assert_eq!(ed("00"), Err(KeyError::Malformed));
    assert!(ed("0300000000000000000000000000000000000000000000000000000000000000").is_ok());
    assert_eq!(VerifyingKey::from_bytes(&[]), Err(KeyError::Malformed));
    assert_eq!(VerifyingKey::from_bytes(&[3; 33]), Err(KeyError::Algorithm(3)));
    assert_eq!(VerifyingKey::from_bytes(&[[2].as_slice(), &[0; 33]].concat()), Err(KeyError::Malformed));
    let full = p256::ecdsa::SigningKey::from_slice(&[1; 32]).unwrap();
    let full = [[2].as_slice(), full.verifying_key().to_sec1_point(false).as_bytes()].concat();
    assert_eq!(VerifyingKey::from_bytes(&full), Err(KeyError::Malformed));
}

#[test]
fn keys_and_signatures_have_one_encoding() {
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let public = key(algorithm, 1).verifying();
        assert_eq!(public.algorithm(), algorithm);
        assert_eq!(VerifyingKey::from_bytes(&public.to_bytes()), Ok(public));
        assert_eq!(from_canonical(&to_canonical(&public), 64), Ok(public));
        assert_eq!(public.ed25519_bytes().is_some(), algorithm == Algorithm::Ed25519);
        let signature = key(algorithm, 1).sign(b"one");
        assert_eq!(from_canonical(&to_canonical(&signature), 128), Ok(signature));
        assert!(!format!("{:?}", key(algorithm, 1)).contains("01010101"));
    }
    assert_ne!(key(Algorithm::Ed25519, 1).verifying().id(), key(Algorithm::P256, 1).verifying().id());
    assert!(key(Algorithm::Ed25519, 1).verifying() < key(Algorithm::P256, 1).verifying());
}

proptest! {
    #[test]
    fn any_bytes_are_a_key_with_that_spelling_or_none(algorithm in 0u8..4, tail in prop::collection::vec(any::<u8>(), 30..36)) {
        let bytes = [[algorithm].as_slice(), &tail].concat();
        if let Ok(key) = VerifyingKey::from_bytes(&bytes) {
            prop_assert_eq!(key.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_bytes_as_signature_are_refused(one: [u8; 32], two: [u8; 32]) {
        let signature = Signature::from_bytes([one, two].concat().try_into().unwrap());
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            prop_assert_eq!(key(algorithm, 1).verifying().verify(b"one", &signature), Err(BadSignature));
        }
    }
}

use proptest::prelude::*;

use super::*;
use crate::fixture::Seeded;

/// Multiplication in the field of AES, bit by bit.
fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b > 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1b };
        b >>= 1;
    }
    product
}

fn inverse(a: u8) -> u8 {
    (1..=255).find(|b| times(a, *b) == 1).unwrap()
}

/// Lagrange interpolation at 0, written again from the textbook.
fn joined_by_hand(shares: &[Share]) -> Vec<u8> {
    let mut out = vec![0; 32];
    for share in shares {
        let x = share.expose()[0];
        let others = shares.iter().map(|other| other.expose()[0]).filter(|other| *other != x);
        let weight = others.fold(1, |weight, other| times(weight, times(other, inverse(other ^ x))));
        for (byte, y) in out.iter_mut().zip(&share.expose()[1..]) {
            *byte ^= times(weight, *y);
        }
    }
    out
}

#[test]
fn two_of_three_as_guardians_have_it() {
    let mut entropy = Seeded::new(1);
    let secret = entropy.secret();
    let shares = split(&secret, 2, 3, &mut entropy).unwrap();
    assert_eq!(shares.iter().map(|share| share.expose()[0]).collect::<Vec<_>>(), [1, 2, 3]);
    for pair in [[0, 1], [1, 0], [0, 2], [1, 2]] {
        let pair = pair.map(|at: usize| shares[at].clone());
        assert_eq!(combine(&pair), Ok(secret.clone()));
        assert_eq!(joined_by_hand(&pair), secret.expose());
    }
    assert_eq!(combine(&shares), Ok(secret));
}

#[test]
fn too_few_or_repeated_shares_are_refused() {
    let mut entropy = Seeded::new(1);
    let secret = entropy.secret();
    let shares = split(&secret, 2, 3, &mut entropy).unwrap();
    assert_eq!(combine(&[]), Err(ShareError::Mismatch));
    assert_eq!(combine(&shares[..1]), Err(ShareError::Mismatch));
    assert_eq!(combine(&[shares[0].clone(), shares[0].clone()]), Err(ShareError::Mismatch));
    assert_eq!(Share::from_bytes(&[1; 32]), Err(ShareError::Mismatch));
    let nought = Share::from_bytes(&[0; 33]).unwrap();
    assert_eq!(combine(&[nought, shares[0].clone()]), Err(ShareError::Mismatch));
    assert_eq!(format!("{:?}", shares[0]), "Share(..)");
}

#[test]
fn thresholds_that_make_no_sense_are_refused() {
    let mut entropy = Seeded::new(1);
    let secret = entropy.secret();
    for (threshold, shares) in [(0, 3), (1, 3), (4, 3), (2, 0)] {
        let made = split(&secret, threshold, shares, &mut entropy);
        assert_eq!(made.err(), Some(ShareError::Threshold { threshold, shares }));
    }
    assert_eq!(split(&secret, 2, 255, &mut entropy).unwrap().len(), 255);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn as_many_as_needed_give_the_secret_and_fewer_do_not(seed: u64, threshold in 2u8..6, more in 0u8..4) {
        let mut entropy = Seeded::new(seed);
        let secret = entropy.secret();
        let shares = split(&secret, threshold, threshold + more, &mut entropy).unwrap();
        let enough = &shares[usize::from(more)..];
        prop_assert_eq!(combine(enough), Ok(secret.clone()));
        prop_assert_eq!(joined_by_hand(enough), secret.expose());
        // Two shares of more: what comes out has nothing to do with the secret.
        prop_assert!(threshold == 2 || combine(&enough[1..]) != Ok(secret));
    }

    #[test]
    fn any_bytes_join_to_something_or_nothing(one: [u8; 32], two in prop::collection::vec(any::<u8>(), 32..35)) {
        let one = Share::from_bytes(&[[1].as_slice(), &one].concat()).unwrap();
        if let Ok(two) = Share::from_bytes(&two) {
            let joins = two.expose()[0] > 1;
            prop_assert_eq!(combine(&[one, two]).is_ok(), joins);
        }
    }
}

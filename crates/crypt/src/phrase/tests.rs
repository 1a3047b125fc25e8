use proptest::prelude::*;

use super::*;
use crate::fixture::{Prescribed, Seeded};

const ZERO: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// The first vectors of BIP-39.
#[test]
fn words_as_in_bip_39() {
    for (bits, words) in [
        (0x00, ZERO),
        (0x7f, "legal winner thank year wave sausage worth useful legal winner thank yellow"),
        (0x80, "letter advice cage absurd amount doctor acoustic avoid letter advice cage above"),
        (0xff, "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong"),
    ] {
        let phrase = Phrase::generate(&mut Prescribed(vec![bits; 16]));
        assert_eq!(phrase.words().as_str(), words);
        assert_eq!(Phrase::parse(words).unwrap().words().as_str(), words);
    }
}

/// Pinned: paper outlives programs.
#[test]
fn the_keys_of_a_phrase_stay_what_they_were() {
    let phrase = Phrase::parse(ZERO).unwrap();
    assert_eq!(
        hex::encode(phrase.signing_key().verifying().to_bytes()),
        "014e532ed937c491e6826d81e9de3458e0d97874133635b481d51c2387499f5bba"
    );
    assert_eq!(
        hex::encode(phrase.box_secret().public().as_bytes()),
        "957911df5ade6a087b4f72dcfea67b9feea16951118a599e04433c4b5fe7f10c"
    );
}

#[test]
fn a_phrase_is_read_as_people_type_it() {
    let typed = format!("  {}\n", ZERO.to_uppercase().replace(' ', " \t\n "));
    assert_eq!(Phrase::parse(&typed).unwrap().words().as_str(), ZERO);
    let numbered: Vec<String> =
        ZERO.split(' ').enumerate().map(|(at, word)| format!("{:>2} {word:<10}", at + 1)).collect();
    for typed in [numbered.join(" "), ZERO.replace(' ', ", ")] {
        assert_eq!(Phrase::parse(&typed).unwrap().words().as_str(), ZERO);
    }
}

#[test]
fn what_is_wrong_with_a_phrase_is_said() {
    let error = |text: &str| Phrase::parse(text).err();
    assert_eq!(error(""), Some(PhraseError::Count(0)));
    assert_eq!(error("abandon about"), Some(PhraseError::Count(2)));
    assert_eq!(error(&format!("{ZERO} about")), Some(PhraseError::Count(13)));
    assert_eq!(error(&ZERO.replacen("abandon", "abandom", 1)), Some(PhraseError::Word(1)));
    assert_eq!(error(&ZERO.replace("about", "abuot")), Some(PhraseError::Word(12)));
    assert_eq!(error(&ZERO.replace("about", "abandon")), Some(PhraseError::Checksum));
    assert_eq!(error("über İstanbul a b c d e f g h i j"), Some(PhraseError::Word(1)));
}

#[test]
fn a_phrase_is_never_printed() {
    assert_eq!(format!("{:?}", Phrase::generate(&mut Seeded::new(1))), "Phrase(..)");
}

proptest! {
    #[test]
    fn any_phrase_reads_back(seed: u64) {
        let phrase = Phrase::generate(&mut Seeded::new(seed));
        let read = Phrase::parse(&phrase.words()).unwrap();
        prop_assert_eq!(read.signing_key().verifying(), phrase.signing_key().verifying());
        prop_assert_eq!(read.box_secret().public(), phrase.box_secret().public());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        if let Ok(phrase) = Phrase::parse(&text) {
            prop_assert_eq!(phrase.words().split(' ').count(), 12);
        }
    }
}

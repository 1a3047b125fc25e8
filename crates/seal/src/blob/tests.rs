use proptest::prelude::*;

use super::*;

const HEADER: BlobHeader =
    BlobHeader { algorithm: Algorithm::Aes256GcmStream, salt: [1; 32], commitment: [2; 32] };

#[test]
fn a_header_reads_back_and_names_its_blob() {
    let bytes = HEADER.to_bytes();
    assert_eq!(BlobHeader::decode(&bytes), Ok(HEADER));
    assert_eq!(BlobHeader::decode(&[bytes.as_slice(), b"chunks"].concat()), Ok(HEADER));
    assert_eq!(HEADER.name(), BlobName::from_bytes([1; 32]));
}

#[test]
fn what_a_header_must_not_say_is_named() {
    let with = |at: usize, byte: u8| {
        let mut bytes = HEADER.to_bytes();
        bytes[at] = byte;
        BlobHeader::decode(&bytes)
    };
    assert_eq!(with(0, b'f'), Err(HeaderError::NotABlob));
    assert_eq!(with(8, 2), Err(HeaderError::Format(2)));
    assert_eq!(with(9, 0), Err(HeaderError::Algorithm(0)));
    assert_eq!(with(10, 12), Err(HeaderError::ChunkSize(12)));
    assert_eq!(with(15, 1), Err(HeaderError::Reserved));
    for short in [0, 7, 8, 15, 16, 79] {
        assert_eq!(BlobHeader::decode(&HEADER.to_bytes()[..short]), Err(HeaderError::Short(short)));
    }
}

#[test]
fn lengths_at_the_edges() {
    let chunk = CHUNK_LEN as u64;
    for (plain, chunks) in
        [(0, 1), (1, 1), (chunk - 1, 1), (chunk, 1), (chunk + 1, 2), (2 * chunk, 2), (PLAIN_MAX, 1 << 24)]
    {
        assert_eq!(chunk_count(plain), chunks, "{plain}");
        let cipher = 80 + plain + 16 * chunks;
        assert_eq!(cipher_len(plain), Some(cipher));
        assert_eq!(plain_len(cipher), Some(plain));
    }
    assert_eq!(cipher_len(PLAIN_MAX + 1), None);
    // A second chunk is never empty, and nothing is shorter than an empty blob.
    for none in [0, 79, 95, 80 + SEALED_CHUNK_LEN as u64 + 16, u64::MAX] {
        assert_eq!(plain_len(none), None, "{none}");
    }
}

proptest! {
    #[test]
    fn lengths_go_there_and_back(plain in 0..=PLAIN_MAX) {
        prop_assert_eq!(plain_len(cipher_len(plain).unwrap()), Some(plain));
    }

    #[test]
    fn a_ciphertext_length_has_one_plaintext_length_or_none(cipher: u64) {
        if let Some(plain) = plain_len(cipher) {
            prop_assert_eq!(cipher_len(plain), Some(cipher));
        }
    }

    #[test]
    fn garbage_is_refused_and_what_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(header) = BlobHeader::decode(&bytes) {
            prop_assert!(bytes.starts_with(&header.to_bytes()));
        }
    }
}

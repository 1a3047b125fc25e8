use super::*;

fn secret() -> Secret {
    Secret::from_bytes([5; 32])
}

fn pack(name: [u8; 32], blobs: &[&[u8]]) -> (Vec<u8>, Sealed) {
    let mut out = Vec::new();
    let mut sealer = Sealer::new(&secret(), &name);
    let mut rows = Vec::new();
    for (number, blob) in blobs.iter().enumerate() {
        sealer.push(blob, &mut out);
        let name = BlobName::from_bytes([number as u8; 32]);
        rows.push(Row { name, len: blob.len() as u64, at: 1 });
    }
    let index = Index { seq: 3, at: 4, blobs: Bounded::from_vec(rows).unwrap() }.encode();
    let zeros = sealer.padding(&index);
    sealer.push(&vec![0; zeros as usize], &mut out);
    let sealed = sealer.finish(&index, &mut out);
    assert_eq!(sealed.len, out.len() as u64);
    (out, sealed)
}

fn read(name: [u8; 32], pack: &[u8], range: Range<u64>) -> Result<Vec<u8>, Tampered> {
    let opener = Opener::new(&secret(), &name, pack.len() as u64).ok_or(Tampered)?;
    let at = opener.sealed(&range);
    opener.open(&range, pack.get(at.start as usize..at.end as usize).ok_or(Tampered)?.to_vec())
}

#[test]
fn every_range_comes_back_and_the_index_too() {
    let large = (0..200_000u32).map(|at| at as u8).collect::<Vec<_>>();
    for blobs in [vec![], vec![&large[..0]], vec![&large[..1], &large[..70_000]], vec![&large[..], &large]] {
        let (pack, _) = pack([1; 32], &blobs);
        let plain = blobs.concat();
        for range in [0..0, 0..1, 0..65_536, 65_535..65_537, 65_536..131_072, 100..200_000, 131_072..200_001]
        {
            if range.end <= plain.len() as u64 {
                let want = &plain[range.start as usize..range.end as usize];
                assert_eq!(read([1; 32], &pack, range).unwrap(), want);
            }
        }
        let opener = Opener::new(&secret(), &[1; 32], pack.len() as u64).unwrap();
        let tail = read([1; 32], &pack, opener.tail()).unwrap();
        let at = opener.index_range(&tail).unwrap();
        let index = Index::decode(&read([1; 32], &pack, at.clone()).unwrap(), at.start).unwrap();
        assert_eq!(index.blobs.len(), blobs.len());
        assert_eq!(index.seq, 3);
    }
}

#[test]
fn nothing_altered_cut_moved_or_of_another_pack_opens() {
    let content = vec![7; 100_000];
    let (first, _) = pack([1; 32], &[&content]);
    let (second, _) = pack([2; 32], &[&content]);
    assert_ne!(first, second);
    let whole = 0..100_000;
    assert!(read([1; 32], &first, whole.clone()).is_ok());
    assert!(read([1; 32], &second, whole.clone()).is_err(), "another pack in its place");
    assert!(read([1; 32], &first[..first.len() - 1], whole.clone()).is_err());
    assert!(read([1; 32], &first[..SEALED as usize], 0..100).is_err(), "cut at a chunk's edge");
    let mut swapped = first.clone();
    swapped.rotate_left(SEALED as usize);
    assert!(read([1; 32], &swapped, whole.clone()).is_err());
    for at in [0, 70_000, SEALED as usize - 1] {
        let mut flipped = first.clone();
        flipped[at] ^= 1;
        assert!(read([1; 32], &flipped, whole.clone()).is_err());
    }
    assert!(Opener::new(&secret(), &[1; 32], 0).is_none());
    assert!(Opener::new(&secret(), &[1; 32], SEALED + 3).is_none());
}

#[test]
fn an_onlooker_sees_one_of_few_lengths_and_no_content() {
    let mut lengths = std::collections::BTreeSet::new();
    for len in (0..600_000).step_by(7_777) {
        let (pack, sealed) = pack([1; 32], &[&vec![0x41; len]]);
        assert!(!pack.windows(24).any(|window| window == [0x41; 24]));
        lengths.insert(sealed.len);
    }
    assert_eq!(lengths.len(), 7, "{lengths:?}");
}

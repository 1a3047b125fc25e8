//! The checksum of an object put together from parts, out of the parts' own checksums.

use crc_fast::{CrcAlgorithm, checksum_combine};
use data_encoding::BASE64;
use freehold_seal::{Checksum, PartSums};
use freehold_vault::PartMeta;
use freehold_wire::Text;

use crate::digest::Algorithm;

/// What is kept for the whole: a checksum of the whole where it is asked for and can be derived,
/// else a checksum of the parts' checksums, with their number.
pub(crate) fn of(parts: &[&PartMeta], ask_whole: bool) -> Vec<Checksum> {
    let Some(algorithm) = common_algorithm(parts) else { return Vec::new() };
    let value = if ask_whole || algorithm == Algorithm::Crc64Nvme {
        whole(algorithm, parts)
    } else {
        composite(algorithm, parts)
    };
    value.and_then(|value| algorithm.checksum(&value)).into_iter().collect()
}

/// The parts' own checksums, if all have one of one algorithm.
pub(crate) fn each(parts: &[&PartMeta]) -> Option<PartSums> {
    let algorithm = common_algorithm(parts)?;
    let values: Option<Vec<_>> = parts.iter().map(|part| decoded(algorithm, part)).collect();
    PartSums::of(algorithm.kept(), values?)
}

/// A part's own checksum, as an answer shows it.
pub(crate) fn of_part(sums: &PartSums, place: usize) -> Option<Checksum> {
    let value = BASE64.encode(sums.at(place)?);
    Some(Checksum { algorithm: sums.algorithm, value: Text::new(value).ok()? })
}

/// Only the CRCs can be combined; a SHA of the whole needs the whole.
pub(crate) fn whole(algorithm: Algorithm, parts: &[&PartMeta]) -> Option<String> {
    let (crc, width) = match algorithm {
        Algorithm::Crc32 => (CrcAlgorithm::Crc32IsoHdlc, 4),
        Algorithm::Crc32c => (CrcAlgorithm::Crc32Iscsi, 4),
        Algorithm::Crc64Nvme => (CrcAlgorithm::Crc64Nvme, 8),
        Algorithm::Sha1 | Algorithm::Sha256 => return None,
    };
    let mut sum: Option<u64> = None;
    for part in parts {
        let bytes = decoded(algorithm, part)?;
        let next = bytes.iter().fold(0u64, |n, &b| (n << 8) | u64::from(b));
        sum = Some(match sum {
            None => next,
            Some(before) => checksum_combine(crc, before, next, part.size),
        });
    }
    let bytes = sum?.to_be_bytes();
    Some(BASE64.encode(bytes.get(bytes.len() - width..)?))
}

fn composite(algorithm: Algorithm, parts: &[&PartMeta]) -> Option<String> {
    let mut hasher = algorithm.hasher();
    for part in parts {
        hasher.update(&decoded(algorithm, part)?);
    }
    Some(format!("{}-{}", algorithm.finish(hasher)?, parts.len()))
}

fn common_algorithm(parts: &[&PartMeta]) -> Option<Algorithm> {
    let first = parts.first()?.checksums.first()?;
    Algorithm::of(first)
}

fn decoded(algorithm: Algorithm, part: &PartMeta) -> Option<Vec<u8>> {
    let kept = part.checksums.iter().find(|c| c.algorithm == algorithm.kept())?;
    BASE64.decode(kept.value.as_str().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use freehold_wire::Millis;

    use super::*;

    fn part(number: u16, algorithm: Algorithm, bytes: &[u8]) -> PartMeta {
        let mut hasher = algorithm.hasher();
        hasher.update(bytes);
        let value = algorithm.finish(hasher).unwrap();
        PartMeta {
            number,
            etag: String::new(),
            size: u64::try_from(bytes.len()).unwrap(),
            modified: Millis(0),
            checksums: vec![algorithm.checksum(&value).unwrap()],
        }
    }

    #[test]
    fn crcs_of_parts_combine_to_the_crc_of_the_whole() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let parts = [part(1, algorithm, b"1234"), part(2, algorithm, b""), part(3, algorithm, b"56789")];
            let whole_part = part(1, algorithm, b"123456789");
            let parts: Vec<&PartMeta> = parts.iter().collect();
            assert_eq!(
                whole(algorithm, &parts).unwrap(),
                whole_part.checksums[0].value.as_str(),
                "{algorithm:?}"
            );
        }
    }

    #[test]
    fn a_composite_carries_the_number_of_parts() {
        let parts = [part(1, Algorithm::Sha256, b"a"), part(2, Algorithm::Sha256, b"b")];
        let parts: Vec<&PartMeta> = parts.iter().collect();
        let sums = of(&parts, true);
        assert!(sums.is_empty(), "a SHA of the whole cannot be derived");
        let sums = of(&parts, false);
        assert!(sums[0].value.as_str().ends_with("=-2"));
    }

    #[test]
    fn parts_without_checksums_give_none() {
        let mut bare = part(2, Algorithm::Crc32, b"b");
        bare.checksums.clear();
        let first = part(1, Algorithm::Crc32, b"a");
        assert!(of(&[&first, &bare], false).is_empty());
    }
}

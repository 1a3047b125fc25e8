//! What verifications found damaged on this node, until a later one finds all well again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use freehold_vault::VerifyReport;
use freehold_wire::BucketId;

/// Damaged parts and entries, by bucket.
#[derive(Debug, Default)]
pub struct Damages(Mutex<BTreeMap<BucketId, u64>>);

impl Damages {
    /// Takes in what a verification of a bucket saw.
    pub fn note(&self, bucket: BucketId, report: &VerifyReport) {
        let unmended = report.findings.iter().filter(|finding| !finding.repaired).count() as u64;
        self.set(bucket, unmended.saturating_add(report.bad_entries));
    }

    fn set(&self, bucket: BucketId, damaged: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if damaged == 0 {
            all.remove(&bucket);
        } else {
            all.insert(bucket, damaged);
        }
    }

    /// How much of a bucket is damaged.
    pub fn of(&self, bucket: &BucketId) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).copied().unwrap_or_default()
    }

    /// As bytes, for the store: an alarm does not end with a restart.
    pub fn to_bytes(&self) -> Vec<u8> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().flat_map(|(bucket, n)| [&bucket.as_bytes()[..], &n.to_be_bytes()].concat()).collect()
    }

    /// Takes back what [`Self::to_bytes`] gave.
    pub fn restore(&self, bytes: &[u8]) {
        for row in bytes.as_chunks::<40>().0 {
            if let (Some(bucket), Some(damaged)) = (row.first_chunk::<32>(), row.last_chunk::<8>()) {
                self.set(BucketId::from_bytes(*bucket), u64::from_be_bytes(*damaged));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_remembered_until_all_is_well() {
        let (one, other) = (BucketId::from_bytes([1; 32]), BucketId::from_bytes([2; 32]));
        let before = Damages::default();
        before.note(one, &VerifyReport { bad_entries: 2, ..VerifyReport::default() });
        let after = Damages::default();
        after.restore(&before.to_bytes());
        assert_eq!([after.of(&one), after.of(&other)], [2, 0]);
        after.note(one, &VerifyReport::default());
        assert_eq!(after.of(&one), 0);
        assert!(after.to_bytes().is_empty());
    }
}

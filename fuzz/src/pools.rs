//! Probe of what members of a pool send each other.

use freehold_pools::{Account, Notice, Signed, Standing, allot, balance};

use super::round_trip;

/// A charter, a notice, an account: read, written the same, and worth nothing without the signatures of those bound.
pub fn pools(data: &[u8]) {
    if let Some(paper) = round_trip::<Signed>(data) {
        let (pool, signers) = (paper.charter.id(), paper.signers());
        let standing = Standing::of(pool, std::slice::from_ref(&paper), &[]);
        let all = paper.charter.members.iter().all(|member| signers.contains(&member.key.to_bytes()));
        assert!(standing.is_none() || all, "a pool of members who have not signed");
        if let Some(standing) = standing {
            let shares = allot(standing.staying());
            for member in &standing.charter.members {
                let lent = shares.iter().filter(|share| share.lender == member.realm);
                assert!(lent.map(|share| share.bytes).sum::<u64>() <= member.gives, "more than they give");
            }
            assert_eq!(balance(&standing, &shares, &[]).len(), standing.charter.members.len());
        }
    }
    if let Some(notice) = round_trip::<Notice>(data) {
        let again = Notice::from_bytes(data).is_ok_and(|again| again.is_signed());
        assert_eq!(notice.is_signed(), again, "one notice, judged in two ways");
    }
    drop(round_trip::<Account>(data));
}

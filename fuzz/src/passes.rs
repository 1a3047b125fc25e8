//! Probe of what machines of other realms show and say.

use std::collections::BTreeMap;

use freehold_passes::{
    Answer, Call, Errand, Ground, Outcome, Pass, Recall, Recalls, Receipt, judge, judge_recall,
};
use freehold_wire::{Millis, RealmId};

use super::round_trip;

/// A pass, a recall, a question, an answer, an errand and what comes of it, a receipt: read, written the same, and worth nothing where no grant names a key.
pub fn passes(data: &[u8]) {
    let (grants, mut recalls, now) = (BTreeMap::new(), Recalls::default(), Millis(1_800_000_000_000));
    if let Some(pass) = round_trip::<Pass>(data) {
        let ground = Ground { realm: pass.claim.lender, grants: &grants, recalls: &recalls, now };
        assert!(judge(&ground, &pass, pass.claim.node, |_| false).is_err(), "a pass without a grant counts");
    }
    if let Some(recall) = round_trip::<Recall>(data) {
        let ground = Ground { realm: RealmId::from_bytes([0; 32]), grants: &grants, recalls: &recalls, now };
        assert!(judge_recall(&ground, &recall).is_err(), "a recall without a grant counts");
        recalls.note(&recall, now);
    }
    if let Ok(call) = Call::from_bytes(data) {
        assert_eq!(call.to_bytes(), data, "two spellings of one question");
    }
    if let Ok(answer) = Answer::from_bytes(data) {
        assert_eq!(answer.to_bytes(), data, "two spellings of one answer");
    }
    drop((round_trip::<Errand>(data), round_trip::<Outcome>(data)));
    if let Some(receipt) = round_trip::<Receipt>(data) {
        let again = Receipt::from_bytes(data).is_ok_and(|again| again.is_signed());
        assert_eq!(receipt.is_signed(), again, "one receipt, judged in two ways");
    }
}

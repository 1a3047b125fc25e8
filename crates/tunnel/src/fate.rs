//! Packets that IP itself has split: the first piece has the ports and is judged, the others follow it.

use std::collections::VecDeque;
use std::net::IpAddr;

use freehold_packet::Head;
use freehold_wire::Millis;

/// First pieces of one peer that are remembered.
const REMEMBERED: usize = 64;
/// For how long others may follow.
const PATIENCE: Millis = Millis::from_secs(2);

/// Which first pieces passed.
#[derive(Debug, Default)]
pub(crate) struct Fates(VecDeque<(IpAddr, IpAddr, u8, u32, Millis)>);

impl Fates {
    /// Notes a packet that passed, if it is a first piece.
    pub(crate) fn passed(&mut self, now: Millis, head: &Head) {
        if let Some(piece) = head.piece.filter(|piece| piece.first) {
            if self.0.len() >= REMEMBERED {
                self.0.pop_front();
            }
            let flow = &head.flow;
            self.0.push_back((flow.src, flow.dst, flow.proto, piece.id, now));
        }
    }

    /// Whether a later piece may pass, since the first one did.
    pub(crate) fn may_follow(&self, now: Millis, head: &Head) -> bool {
        let Some(piece) = head.piece else { return false };
        let flow = &head.flow;
        let key = (flow.src, flow.dst, flow.proto, piece.id);
        self.0
            .iter()
            .any(|(src, dst, proto, id, at)| (*src, *dst, *proto, *id) == key && now.since(*at) <= PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use freehold_packet::{Flow, Piece};

    use super::*;

    fn piece(id: u32, first: bool) -> Head {
        let (src, dst) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
        let flow = Flow { src, dst, proto: 17, sport: 0, dport: 0 };
        let piece = Some(Piece { id, first });
        Head { flow, l4: 48, payload: 48, total: 100, tcp: None, icmp: None, piece }
    }

    #[test]
    fn later_pieces_follow_a_first_one_that_passed_and_no_other() {
        let (mut fates, now) = (Fates::default(), Millis(1000));
        assert!(!fates.may_follow(now, &piece(7, false)));
        fates.passed(now, &piece(7, true));
        assert!(fates.may_follow(now, &piece(7, false)));
        assert!(!fates.may_follow(now, &piece(8, false)));
        assert!(!fates.may_follow(now.plus(Millis(2001)), &piece(7, false)));
        for id in 100..164 {
            fates.passed(now, &piece(id, true));
        }
        assert!(!fates.may_follow(now, &piece(7, false)), "no more are remembered than that");
    }
}

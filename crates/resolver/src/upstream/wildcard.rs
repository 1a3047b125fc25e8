//! Answers that were made from a wildcard, which count only if it is proven that nothing closer to the name
//! is there (RFC 4035, 5.3.4). The engine takes none with NSEC whose wildcard is one label above the name,
//! and its own proof of others is asked for first.

use hickory_net::proto::dnssec::Proof;
use hickory_net::proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_net::proto::op::Message;
use hickory_net::proto::rr::{Name, RData};

/// Whether every set of the answer that was made from a wildcard has its proof. The records' own signatures
/// are judged elsewhere.
pub(super) fn is_proven(message: &Message) -> bool {
    let nsecs: Vec<(&Name, &NSEC)> = message
        .authorities
        .iter()
        .filter(|record| record.proof == Proof::Secure)
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some((&record.name, nsec)),
            _ => None,
        })
        .collect();
    let mut made = message.answers.iter().filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) if rrsig.input().num_labels < record.name.num_labels() => {
            Some((record, rrsig.input()))
        }
        _ => None,
    });
    let is_one = made.clone().next().is_some();
    is_one
        && made.all(|(record, signed)| {
            // One label more than the wildcard stands for: with it nothing below it is there either.
            let closer = record.name.trim_to(usize::from(signed.num_labels) + 1);
            let is_ours = |owner: &Name| signed.signer_name.zone_of(owner);
            record.proof == Proof::Secure
                && nsecs.iter().any(|(owner, nsec)| is_ours(owner) && denies(owner, nsec, &closer))
        })
}

/// Whether it says that a name, and all below it, is not there.
fn denies(owner: &Name, nsec: &NSEC, name: &Name) -> bool {
    let next = nsec.next_domain_name();
    // The last one of a zone leads back to its start.
    let before_next = name < next || (next <= owner && next.zone_of(name));
    // The parent's word at a cut says nothing of what is below it, and a name on the way to the next one is
    // there, if empty.
    let says_nothing = nsec.is_ancestor_delegation() && owner.zone_of(name);
    owner < name && before_next && !says_nothing && !name.zone_of(next)
}

#[cfg(test)]
mod tests {
    use hickory_net::proto::rr::RecordType;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn nsec(next: &str, types: &[RecordType]) -> NSEC {
        NSEC::new(name(next), types.iter().copied())
    }

    #[test]
    fn what_lies_between_is_not_there() {
        let plain = [RecordType::A];
        let cut = [RecordType::NS];
        for (owner, next, types, asked, denied) in [
            ("*.w.good.", "z.good.", &plain[..], "x.w.good.", true),
            ("a.good.", "c.good.", &plain, "b.good.", true),
            ("a.good.", "c.good.", &plain, "c.good.", false),
            ("a.good.", "c.good.", &plain, "a.good.", false),
            ("a.good.", "c.good.", &plain, "d.good.", false),
            // On the way to the next one.
            ("a.good.", "x.b.good.", &plain, "b.good.", false),
            // The last of the zone.
            ("y.good.", "good.", &plain, "z.good.", true),
            ("y.good.", "good.", &plain, "z.other.", false),
            // Below a cut.
            ("b.good.", "c.good.", &cut, "x.b.good.", false),
            ("b.good.", "d.good.", &cut, "c.good.", true),
        ] {
            let said = denies(&name(owner), &nsec(next, types), &name(asked));
            assert_eq!(said, denied, "{owner} {next} {asked}");
        }
    }
}

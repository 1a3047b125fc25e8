//! What is taken of an answer of others.

use freehold_names::{Message, Rcode, Section, Why};
use hickory_net::proto::dnssec::Proof;
use hickory_net::proto::op::{DnsResponse, Message as Parsed};
use hickory_net::proto::rr::{Name, RData, Record, RecordType};
use hickory_net::{DnsError, NetError};

use super::wildcard;
use crate::store::Ask;

const AUTHENTIC: u8 = 0x20;

/// An answer that nobody verified.
pub(super) fn plain(said: DnsResponse, ask: &Ask) -> Result<Vec<u8>, Why> {
    let mut bytes = said.into_buffer();
    tidy(&mut bytes, ask).ok_or(Why::Unreachable)?;
    // That they verified it is their word, and anybody's on the way.
    if let Some(flags) = bytes.get_mut(3) {
        *flags &= !AUTHENTIC;
    }
    Ok(bytes)
}

/// An answer with what its signatures are worth.
pub(super) fn verified(said: Result<DnsResponse, NetError>, ask: &Ask) -> Result<Vec<u8>, Why> {
    let (mut message, secure) = match said {
        Ok(said) => {
            let message = said.into_message();
            let secure = worth(&message)?;
            (message, secure)
        }
        Err(NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. })) => {
            (response.into_message(), false)
        }
        Err(NetError::Dns(DnsError::Nsec { response, .. })) if wildcard::is_proven(&response) => {
            let message = response.into_message();
            let secure = worth(&message)?;
            (message, secure)
        }
        Err(NetError::Dns(DnsError::Nsec { .. })) => return Err(Why::Bogus),
        Err(_) => return Err(Why::Unreachable),
    };
    message.metadata.authentic_data = secure;
    in_order(&mut message);
    // Hangers-on of an answer that is there: nobody needs them, and nobody has signed them.
    if !message.answers.is_empty() {
        message
            .authorities
            .retain(|record| record.proof == Proof::Secure || record.record_type().is_dnssec());
    }
    message.additionals.clear();
    message.edns = None;
    let message = message.maybe_strip_dnssec_records(ask.signatures);
    let mut bytes = message.to_vec().map_err(|_| Why::Unreachable)?;
    tidy(&mut bytes, ask).ok_or(Why::Unreachable)?;
    Ok(bytes)
}

/// Whether all of it is signed; nothing of it may be signed wrongly.
fn worth(message: &Parsed) -> Result<bool, Why> {
    let says = |record: &&Record| record.record_type() != RecordType::RRSIG;
    let told = if message.answers.is_empty() { &message.authorities } else { &message.answers };
    let proofs: Vec<Proof> = told.iter().filter(says).map(|record| record.proof).collect();
    if proofs.iter().any(|proof| matches!(proof, Proof::Bogus | Proof::Indeterminate)) {
        return Err(Why::Bogus);
    }
    Ok(!proofs.is_empty() && proofs.iter().all(|proof| *proof == Proof::Secure))
}

/// Verifying leaves records in no order; there are clients that want each alias before what it leads to.
fn in_order(message: &mut Parsed) {
    let Some(asked) = message.queries.first().map(|query| query.name().clone()) else { return };
    let mut chain: Vec<Name> = vec![asked];
    while let Some(next) = message.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(to) if chain.last() == Some(&record.name) && !chain.contains(&to.0) => {
            Some(to.0.clone())
        }
        _ => None,
    }) {
        chain.push(next);
    }
    let place = |record: &Record| {
        let along = chain.iter().position(|name| *name == record.name).unwrap_or(chain.len());
        (along, record.record_type() == RecordType::RRSIG)
    };
    message.answers.sort_by_key(place);
}

/// Leaves what answers the question, if it is that one, and what was said to us alone out.
fn tidy(bytes: &mut Vec<u8>, ask: &Ask) -> Option<()> {
    let message = Message::parse(bytes)?;
    let same = message.name().eq_ignore_ascii_case(ask.name.as_wire())
        && (message.kind(), message.class()) == (ask.kind, freehold_names::IN);
    if !same || message.is_cut() || !matches!(message.rcode(), Rcode::GOOD | Rcode::NO_NAME) {
        return None;
    }
    let mut end = None;
    for record in message.records() {
        let record = record.ok()?;
        if record.section == Section::Additional {
            end = end.or(Some(record.start));
        }
    }
    if let Some(end) = end {
        bytes.truncate(end);
    }
    for count in bytes.get_mut(10..12)? {
        *count = 0;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use freehold_names::Domain;
    use proptest::prelude::*;

    use super::*;

    fn ask() -> Ask {
        let name: Domain = "a.example".parse().unwrap();
        Ask { name, kind: 1, signatures: false, unchecked: false, upstream: 0 }
    }

    /// An answer with so many addresses, and EDNS behind them.
    fn said(addresses: u8) -> Vec<u8> {
        let mut bytes = vec![0, 7, 0x81, 0xa0, 0, 1, 0, addresses, 0, 0, 0, 1];
        bytes.extend(b"\x01A\x07exAmple\x00\x00\x01\x00\x01");
        for last in 0..addresses {
            bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
        }
        bytes.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn what_was_said_to_us_alone_goes_and_nothing_else() {
        let whole = said(3);
        let mut bytes = whole.clone();
        tidy(&mut bytes, &ask()).unwrap();
        assert_eq!(bytes.len(), whole.len() - 11);
        assert_eq!(Message::parse(&bytes).unwrap().records().count(), 3);
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        for other in ["b.example", "a.example.org"] {
            let ask = Ask { name: other.parse().unwrap(), ..ask() };
            assert_eq!(tidy(&mut said(1), &ask), None);
        }
        assert_eq!(tidy(&mut said(1), &Ask { kind: 28, ..ask() }), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_left_in_form_or_not_taken(
            at in 0usize..64, byte: u8, cut in 0usize..80, addresses in 0u8..4,
        ) {
            let mut bytes = said(addresses);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            if tidy(&mut bytes, &ask()).is_some() {
                let message = Message::parse(&bytes).unwrap();
                prop_assert!(message.records().all(|record| record.is_ok_and(|r| r.section != Section::Additional)));
            }
        }
    }
}

//! The question in the path of a GET, and why a request is not answered.

use data_encoding::BASE64URL_NOPAD;

use super::QUESTION;

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("questions go to /dns-query")]
    NoSuchPath,
    #[error("questions come by GET or POST")]
    Method,
    #[error("questions are application/dns-message")]
    Form,
    #[error("the question is too long or did not come")]
    Long,
    #[error("there is no DNS message in the request")]
    NoQuestion,
    #[error("too many questions of yours wait for an answer")]
    Busy,
}

/// The message in `dns=`, in base64url without padding (RFC 8484, 4.1). Exactly one of that name.
pub(super) fn in_query(query: &str) -> Result<Vec<u8>, Refused> {
    let mut all = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "dns");
    let (Some((_, text)), None) = (all.next(), all.next()) else { return Err(Refused::NoQuestion) };
    if text.len() > QUESTION * 4 / 3 {
        return Err(Refused::Long);
    }
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Refused::NoQuestion)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_read_wherever_it_stands(
            message in prop::collection::vec(any::<u8>(), 0..300), before: bool, after: bool,
        ) {
            let text = BASE64URL_NOPAD.encode(&message);
            let before = if before { "ct=x&" } else { "" };
            let after = if after { "&dnsx=1" } else { "" };
            prop_assert_eq!(in_query(&format!("{before}dns={text}{after}")), Ok(message));
        }

        #[test]
        fn no_query_is_more_than_refused(query in "(dns=[A-Za-z0-9_=+%-]{0,12}|[a-z]{0,4}=.{0,9}|.{0,20})(&(dns=[A-Z]{0,8}|.{0,9})){0,2}") {
            let said = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "dns");
            let said: Vec<_> = said.map(|(_, text)| BASE64URL_NOPAD.decode(text.as_bytes())).collect();
            match in_query(&query) {
                Ok(message) => prop_assert_eq!(said, [Ok(message)]),
                Err(_) => prop_assert!(said.len() != 1 || said.iter().any(Result::is_err)),
            }
        }
    }

    #[test]
    fn one_question_and_no_padding() {
        for bad in ["", "dns", "dns=AAAA==", "dns=AA+A", "dns=AAAA&dns=AAAA", "DNS=AAAA"] {
            let read = in_query(bad);
            assert!(read == Err(Refused::NoQuestion) || (bad == "dns" && read == Ok(Vec::new())), "{bad}");
        }
        assert_eq!(in_query(&format!("dns={}", "A".repeat(8000))), Err(Refused::Long));
    }
}

use http::{HeaderMap, HeaderValue, Method, Uri, header};

use super::*;

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(31).wrapping_add(7);
            *byte = self.0;
        }
    }
}

fn sessions() -> Sessions {
    Sessions::new("ab/12", Box::new(Counting(3)))
}

fn typed(code: &str) -> TypedCode {
    TypedCode { code: code.to_owned() }
}

fn with_cookie(cookie: &SessionCookie) -> HeaderMap {
    let pair = cookie.as_header().split(';').next().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_str(&format!("other=1; {pair}")).unwrap());
    headers
}

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn a_code_opens_the_console_once_however_it_is_typed() {
    let sessions = sessions();
    let code = sessions.issue_code(HOUR);
    assert_eq!(code.code.len(), 9, "four and four letters");
    let sloppy =
        format!(" {} ", code.code.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l"));
    let cookie = sessions.sign_in(&typed(&sloppy)).unwrap();
    assert!(sessions.admits(&with_cookie(&cookie)));
    assert_eq!(sessions.sign_in(&typed(&code.code)).unwrap_err().kind, crate::ProblemKind::Refused);
    for wanted in ["__Host-freehold-ab12=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.as_header().contains(wanted), "{wanted}");
    }
}

#[test]
fn a_code_and_a_session_lapse() {
    let sessions = sessions();
    let code = sessions.issue_code(HOUR);
    assert!(sessions.sign_in_at(&typed(&code.code), Instant::now() + HOUR).is_err());
    let code = sessions.issue_code(HOUR);
    let cookie = sessions.sign_in(&typed(&code.code)).unwrap();
    assert!(!sessions.admits_at(&with_cookie(&cookie), Instant::now() + SESSION_LASTS));
}

#[test]
fn signing_out_ends_the_session() {
    let sessions = sessions();
    let cookie = sessions.sign_in(&typed(&sessions.issue_code(HOUR).code)).unwrap();
    let headers = with_cookie(&cookie);
    assert!(sessions.sign_out(&headers).as_header().contains("Max-Age=0"));
    assert!(!sessions.admits(&headers));
}

#[test]
fn guessing_is_slowed_down_and_then_goes_on() {
    let sessions = sessions();
    let code = sessions.issue_code(HOUR);
    let now = Instant::now();
    for _ in 0..TRIES_MAX {
        assert!(sessions.sign_in_at(&typed("0000-0000"), now).is_err());
    }
    assert!(sessions.sign_in_at(&typed(&code.code), now).unwrap_err().why.contains("too many"));
    assert!(sessions.sign_in_at(&typed(&code.code), now + TRIES_WINDOW).is_ok());
}

#[test]
fn what_another_site_sends_is_told_apart() {
    let check = |method: &Method, pairs: &[(&'static str, &'static str)]| {
        let headers = pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        same_origin(method, &Uri::from_static("/x"), &headers)
    };
    let post = &Method::POST;
    assert!(check(&Method::GET, &[("sec-fetch-site", "cross-site")]));
    assert!(check(post, &[("sec-fetch-site", "same-origin")]));
    assert!(!check(post, &[("sec-fetch-site", "cross-site")]));
    assert!(!check(post, &[("sec-fetch-site", "same-site")]));
    assert!(check(post, &[("origin", "https://nas.lan:8443"), ("host", "nas.lan:8443")]));
    assert!(!check(post, &[("origin", "https://evil.example"), ("host", "nas.lan:8443")]));
    assert!(!check(post, &[("origin", "null"), ("host", "nas.lan:8443")]));
    assert!(check(post, &[]), "no browser");
}

use std::sync::Arc;

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

impl Sessions {
    fn enter(&self, typed: &TypedCode) -> Result<SessionCookie, Problem> {
        self.sign_in_at(typed, Now::read())
    }
}

const HOUR: Duration = Duration::from_hours(1);

fn later(by: Duration) -> Now {
    let now = Now::read();
    Now { steady: now.steady + by, wall: now.wall + by }
}

#[test]
fn a_code_opens_the_console_once_however_it_is_typed() {
    let sessions = sessions();
    let code = sessions.issue_code(HOUR);
    assert_eq!(code.code.len(), 9, "four and four letters");
    let sloppy =
        format!(" {} ", code.code.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l"));
    let cookie = sessions.enter(&typed(&sloppy)).unwrap();
    assert!(sessions.admits(&with_cookie(&cookie)));
    assert_eq!(sessions.enter(&typed(&code.code)).unwrap_err().kind, crate::ProblemKind::Refused);
    for wanted in ["__Host-freehold-ab12=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.as_header().contains(wanted), "{wanted}");
    }
}

#[test]
fn a_code_and_a_session_lapse() {
    let sessions = sessions();
    let code = sessions.issue_code(HOUR);
    assert!(sessions.sign_in_at(&typed(&code.code), later(HOUR)).is_err());
    let code = sessions.issue_code(HOUR);
    let cookie = sessions.enter(&typed(&code.code)).unwrap();
    let headers = with_cookie(&cookie);
    assert!(sessions.admits_at(&headers, later(29 * 24 * HOUR)));
    assert!(!sessions.admits_at(&headers, later(SESSION_LASTS)));
    let clock = |wall| Now { wall, ..Now::read() };
    let long_ago = Now::read().wall.saturating_sub(CLOCK_SLACK + HOUR);
    assert!(sessions.admits_at(&headers, clock(Now::read().wall.saturating_sub(HOUR))));
    assert!(!sessions.admits_at(&headers, clock(long_ago)), "made while the clock was wrong");
}

#[test]
fn a_restart_forgets_no_session_and_no_sign_out() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let start = || {
        let sessions = Sessions::new("ab12", Box::new(Counting(9)));
        let (before, into) = (kept.lock().unwrap().clone(), Arc::clone(&kept));
        sessions.keep(&before, move |bytes| *into.lock().unwrap() = bytes);
        sessions
    };
    let first = start();
    let cookie = first.enter(&typed(&first.issue_code(HOUR).code)).unwrap();
    let headers = with_cookie(&cookie);
    let token = cookie.as_header().split(['=', ';']).nth(1).unwrap();
    let token = data_encoding::HEXLOWER.decode(token.as_bytes()).unwrap();
    assert!(!kept.lock().unwrap().windows(32).any(|part| part == token), "the token itself is kept");
    let second = start();
    assert!(second.admits(&headers));
    second.sign_out(&headers);
    assert!(!start().admits(&headers));
    // Whatever lies there, nobody comes in by it.
    kept.lock().unwrap().clone_from(&vec![0xff; 99]);
    assert!(!start().admits(&headers));
}

#[test]
fn signing_out_everywhere_ends_every_session_and_code() {
    let sessions = sessions();
    let cookies = [(); 3].map(|()| sessions.enter(&typed(&sessions.issue_code(HOUR).code)).unwrap());
    let code = sessions.issue_code(HOUR);
    sessions.sign_out_everywhere();
    assert!(!cookies.iter().any(|cookie| sessions.admits(&with_cookie(cookie))));
    assert!(sessions.enter(&typed(&code.code)).is_err());
}

#[test]
fn a_name_that_anybody_can_own_is_not_ours() {
    let check = |host: &'static str| {
        let headers = std::iter::once((header::HOST, HeaderValue::from_static(host))).collect();
        own_host(&Uri::from_static("/"), &headers, None)
    };
    for ours in [
        "localhost",
        "localhost:8443",
        "127.0.0.1:8443",
        "192.168.1.7",
        "[::1]:8443",
        "[fd00::7]",
        "nas",
        "NAS.local:8443",
        "nas.fritz.home.arpa",
        "freehold.internal",
        "nas.lan.",
    ] {
        assert!(check(ours), "{ours}");
    }
    for foreign in
        ["evil.example", "localhost.evil.example:8443", "127.0.0.1.nip.io", "a.com", "local.com", "", "[x"]
    {
        assert!(!check(foreign), "{foreign}");
    }
    let second = Uri::from_static("https://evil.example:8443/");
    assert!(!own_host(&second, &HeaderMap::new(), None), "HTTP/2 says it in the target");
    assert!(own_host(&Uri::from_static("/"), &HeaderMap::new(), None), "no browser");
}

#[test]
fn the_name_of_a_key_counts_where_a_connection_came_by_it() {
    let known = KnownAs("abc.onion".into());
    let check = |host: &'static str, known| {
        let headers = std::iter::once((header::HOST, HeaderValue::from_static(host))).collect();
        own_host(&Uri::from_static("/"), &headers, known)
    };
    assert!(check("abc.onion", Some(&known)) && check("ABC.onion:443", Some(&known)));
    for foreign in ["abd.onion", "x.abc.onion", "evil.example", ""] {
        assert!(!check(foreign, Some(&known)), "{foreign}");
    }
    assert!(!check("abc.onion", None), "by every other way it is somebody's");
    assert!(!check("", Some(&KnownAs("".into()))));
}

#[test]
fn signing_out_ends_the_session() {
    let sessions = sessions();
    let cookie = sessions.enter(&typed(&sessions.issue_code(HOUR).code)).unwrap();
    let headers = with_cookie(&cookie);
    assert!(sessions.sign_out(&headers).as_header().contains("Max-Age=0"));
    assert!(!sessions.admits(&headers));
}

fn source(last: u8) -> Source {
    Source::V4([192, 0, 2, last])
}

#[tokio::test]
async fn wrong_codes_lock_nobody_out() {
    let sessions = sessions();
    let [first, second] = [(); 2].map(|()| sessions.issue_code(HOUR));
    let wrong = typed("0000-0000");
    let began = Instant::now();
    for _ in 0..30 {
        assert!(sessions.sign_in(source(1), &wrong).await.unwrap_err().why.contains("mistyped"));
    }
    assert!(began.elapsed() > Duration::from_millis(300), "guessing was not slowed down");
    assert!(sessions.sign_in(source(2), &typed(&first.code)).await.is_ok());
    assert!(
        sessions.sign_in(source(1), &typed(&second.code)).await.is_ok(),
        "nor where the guesses come from"
    );
}

#[tokio::test]
async fn a_crowd_of_guesses_from_one_place_does_not_hold_up_another() {
    let sessions = sessions();
    let code = sessions.issue_code(HOUR);
    let (wrong, right) = (typed("0000-0000"), typed(&code.code));
    for round in 0..2 {
        let crowd = (0..100).map(|_| sessions.sign_in(source(1), &wrong));
        let honest = sessions.sign_in(source(2), if round == 0 { &wrong } else { &right });
        let (crowd, honest) = futures::join!(futures::future::join_all(crowd), honest);
        let unseen =
            crowd.into_iter().filter(|said| said.as_ref().is_err_and(|p| p.why.contains("too many")));
        assert!(unseen.count() > 50);
        assert_eq!(honest.is_ok(), round == 1);
    }
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

#[tokio::test]
async fn a_link_opens_while_others_guess_where_one_is() {
    let sessions = Arc::new(sessions());
    let code = sessions.issue_code(HOUR);
    assert_eq!(code.link.len(), 26, "128 bits");
    // Guesses without end: those that wait leave no place for another.
    let guesses = (0..100).map(|_| {
        let sessions = Arc::clone(&sessions);
        async move { sessions.sign_in(Source::Here, &typed("0000-0000")).await }
    });
    let link = typed(&code.link);
    let opened = sessions.sign_in(Source::Here, &link);
    let (guessed, opened) = tokio::join!(biased; futures::future::join_all(guesses), opened);
    assert!(guessed.iter().all(Result::is_err));
    assert!(sessions.admits(&with_cookie(&opened.unwrap())));
    let again = sessions.sign_in(Source::Here, &typed(&code.code)).await;
    assert!(again.is_err(), "one code in two spellings is good once");
}

#[tokio::test]
async fn a_session_looks_into_backups_by_another_code_and_for_an_hour() {
    let sessions = sessions();
    let enter = || with_cookie(&sessions.enter(&typed(&sessions.issue_code(HOUR).code)).unwrap());
    let (mine, other) = (enter(), enter());
    let open = async |headers: &HeaderMap, code: &str| {
        sessions.open_backups(source(1), headers, &typed(code)).await.is_ok()
    };
    assert!(!sessions.reads_backups(&mine));
    assert!(!open(&mine, &sessions.issue_code(HOUR).code).await, "what signs in does not open backups");
    let code = sessions.issue_reading_code(HOUR);
    assert!(sessions.enter(&typed(&code.code)).is_err(), "nor the other way round");
    assert!(!open(&HeaderMap::new(), &code.code).await, "nobody is nobody");
    assert!(open(&mine, &code.code).await && sessions.reads_backups(&mine));
    assert!(!open(&other, &code.code).await && !sessions.reads_backups(&other), "once, and for that session");
    let in_an_hour = Instant::now() + HOUR + Duration::from_secs(1);
    assert!(!sessions.reads_backups_at(&mine, in_an_hour));
    drop(sessions.sign_out(&mine));
    assert!(!sessions.reads_backups(&mine));
    assert!(open(&other, &sessions.issue_reading_code(HOUR).link).await && sessions.reads_backups(&other));
    let left = sessions.issue_reading_code(HOUR);
    sessions.sign_out_everywhere();
    let back = enter();
    assert!(!sessions.reads_backups(&other) && !open(&back, &left.code).await);
}

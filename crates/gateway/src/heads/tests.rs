use std::time::Duration;

use super::*;

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

fn sent(lines_in: &[(&str, &str)]) -> Vec<String> {
    let mut headers = map(lines_in);
    let host = HeaderValue::from_static("cloud.example.org");
    let origin = Origin { client: "192.0.2.7".parse().unwrap(), host: &host, scheme: "https" };
    let to = upgrade(&headers).cloned();
    forward(&mut headers, origin, to, &HeaderRules::default());
    lines(&headers)
}

const SAID: [&str; 6] = [
    "forwarded: for=192.0.2.7;host=\"cloud.example.org\";proto=https",
    "host: cloud.example.org",
    "x-forwarded-for: 192.0.2.7",
    "x-forwarded-host: cloud.example.org",
    "x-forwarded-proto: https",
    "x-real-ip: 192.0.2.7",
];

#[test]
fn what_a_client_says_of_itself_is_not_passed_on() {
    let forged = [
        ("host", "cloud.example.org"),
        ("x-forwarded-for", "10.0.0.1"),
        ("X-Forwarded-Host", "evil"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", "1"),
        ("x_forwarded_for", "10.0.0.1"),
        ("x-real_ip", "10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("true-client-ip", "10.0.0.1"),
        ("x-original-url", "/admin"),
        ("proxy", "http://evil"),
        ("proxy-authorization", "Basic eA=="),
    ];
    assert_eq!(sent(&forged), SAID);
}

/// By each of these some software takes a client for another, or a request for another one.
#[test]
fn nothing_that_services_believe_of_a_door_comes_from_a_client() {
    let believed = [
        "x-forwarded",
        "x-forwarded-user",
        "x-forwarded-client-cert",
        "x-original-uri",
        "x-original-method",
        "x-original-forwarded-for",
        "x-originating-ip",
        "x-remote-addr",
        "x-remote-ip",
        "x-remote-user",
        "remote-addr",
        "Remote_User",
        "remote-groups",
        "x-host",
        "x-scheme",
        "x-url-scheme",
        "front-end-https",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-client-cert",
        "x-client-verified",
        "x-ssl-client-verify",
        "ssl-client-cert",
        "X_SSL_CLIENT_S_DN",
        "x-auth-request-email",
        "x-webauth-user",
        "x-authentik-username",
        "x-azure-clientip",
        "cf-connecting-ip",
        "x-envoy-external-address",
        "x-middleware-subrequest",
        "x-sendfile-type",
        "x-accel-mapping",
    ];
    for name in believed {
        assert_eq!(sent(&[(name, "root")]), SAID, "{name}");
    }
    assert!(WORD_OF_THE_DOOR.is_sorted(), "it is searched");
    // What clients have to say themselves goes through.
    for name in ["authorization", "x-requested-with", "x-csrf-token", "x-auth-token", "x-api-key", "range"] {
        assert!(sent(&[(name, "mine")]).contains(&format!("{name}: mine")), "{name}");
    }
}

#[test]
fn what_is_for_one_hop_ends_here() {
    let hop = [
        ("connection", "close, x-mine"),
        ("connection", "content-length, host"),
        ("keep-alive", "timeout=5"),
        ("x-mine", "1"),
        ("te", "gzip, trailers"),
        ("transfer-encoding", "chunked"),
        ("expect", "100-continue"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ];
    let expected: Vec<&str> = [&["cookie: a=1; b=2"], &SAID[..2], &["te: trailers"], &SAID[2..]].concat();
    assert_eq!(sent(&hop), expected);
}

#[test]
fn a_websocket_goes_through_and_http_does_not_change_itself() {
    let asks =
        |to: &str, connection: &str| upgrade(&map(&[("upgrade", to), ("connection", connection)])).is_some();
    assert!(asks("websocket", "keep-alive, Upgrade"));
    assert!(!asks("websocket", "keep-alive"));
    for to in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "http/1.1"] {
        assert!(!asks(to, "upgrade"), "{to}");
    }
    let through = sent(&[("upgrade", "websocket"), ("connection", "Upgrade")]);
    assert!(through.contains(&"upgrade: websocket".to_owned()));
    assert!(through.contains(&"connection: upgrade".to_owned()));
}

#[test]
fn a_body_is_framed_in_one_way() {
    let refused = |lines: &[(&str, &str)]| check(&map(lines)).err();
    assert_eq!(refused(&[("content-length", "5")]), None);
    assert_eq!(refused(&[("transfer-encoding", "Chunked")]), None);
    assert_eq!(refused(&[("content-length", "5"), ("transfer-encoding", "chunked")]), Some(BadHead::Length));
    assert_eq!(refused(&[("content-length", "5"), ("content-length", "5")]), Some(BadHead::Length));
    for coding in ["gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked;x"] {
        assert_eq!(refused(&[("transfer-encoding", coding)]), Some(BadHead::Coding), "{coding}");
    }
    let twice = [("transfer-encoding", "chunked"), ("transfer-encoding", "identity")];
    assert_eq!(refused(&twice), Some(BadHead::Coding));
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket"), ("content-length", "5")];
    assert_eq!(refused(&upgrade), Some(BadHead::UpgradeWithBody));
}

#[test]
fn rules_change_heads_but_no_framing() {
    let name = HeaderName::from_static;
    let value = HeaderValue::from_static;
    let rules = HeaderRules {
        answer_drop: vec![name("server"), header::CONTENT_LENGTH],
        answer_set: vec![(name("x-frame-options"), value("DENY")), (header::CONTENT_LENGTH, value("1"))],
        ..HeaderRules::default()
    };
    let mut headers = map(&[
        ("server", "x/1"),
        ("content-length", "7"),
        ("connection", "close"),
        ("strict-transport-security", "max-age=1"),
    ]);
    let hsts = Hsts { age: Duration::from_hours(24), below: true };
    back(&mut headers, false, &rules, Some(hsts));
    let left = [
        "content-length: 7",
        "strict-transport-security: max-age=86400; includeSubDomains",
        "x-frame-options: DENY",
    ];
    assert_eq!(lines(&headers), left);
}

proptest::proptest! {
    #[test]
    fn nothing_of_the_door_is_ever_said_by_a_client(
        lines_in in proptest::collection::vec(("[a-zA-Z_-]{1,20}|[xX][-_][fF]orwarded[-_][a-z]{1,9}", "[a-z, -]{0,20}"), 0..12)
    ) {
        let mut headers = HeaderMap::new();
        for (name, text) in &lines_in {
            if let (Ok(name), Ok(text)) = (name.parse::<HeaderName>(), text.parse::<HeaderValue>()) {
                headers.append(name, text);
            }
        }
        let host = HeaderValue::from_static("a.b");
        let origin = Origin { client: "2001:db8::1".parse().unwrap(), host: &host, scheme: "https" };
        forward(&mut headers, origin, None, &HeaderRules::default());
        for (name, text) in &headers {
            let forged = is_word_of_the_door(name.as_str())
                && !["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"]
                    .contains(&name.as_str());
            proptest::prop_assert!(!forged, "{}", name);
            if name == "x-forwarded-for" {
                proptest::prop_assert_eq!(text.to_str().unwrap(), "2001:db8::1");
            }
        }
        proptest::prop_assert!(!headers.contains_key("connection") && !headers.contains_key("transfer-encoding"));
    }
}

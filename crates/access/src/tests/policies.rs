use super::*;
use crate::{Right, Why};

const ANYBODY: &str = "{\"AWS\":\"*\"}";

#[test]
fn without_a_word_the_owner_may_and_nobody_else() {
    let scene = Scene::new();
    let other = Principal::Service(Account::Realm, "other".parse().unwrap());
    for (who, expected) in [
        (Principal::REALM, true),
        (main(), true),
        (other, false),
        (person(), false),
        (Principal::Anonymous, false),
    ] {
        assert_eq!(scene.allows(&who, "GetObject", Some("a")), expected, "{who}");
        assert_eq!(scene.allows(&who, "PutBucketPolicy", None), expected, "{who}");
    }
}

#[test]
fn a_policy_allows_what_it_names() {
    let scene = Scene::with_policy(&policy(&[
        statement("Allow", ANYBODY, "s3:GetObject", "photos/shown/*", ""),
        statement(
            "Allow",
            &format!("{{\"AWS\":\"arn:aws:iam:::user/{}\"}}", alt()),
            "s3:ListBucket",
            "photos",
            "",
        ),
        statement("Allow", &format!("{{\"AWS\":\"{}\"}}", person()), "s3:Put*", "photos/*", ""),
    ]));
    for (who, action, key, expected) in [
        (Principal::Anonymous, "GetObject", Some("shown/a"), true),
        (Principal::Anonymous, "GetObject", Some("hidden/a"), false),
        (Principal::Anonymous, "GetObjectVersion", Some("shown/a"), false),
        (Principal::Anonymous, "ListBucket", None, false),
        (alt(), "ListBucket", None, true),
        (alt(), "PutObject", Some("a"), false),
        (person(), "PutObject", Some("a"), true),
        (person(), "PutObjectTagging", Some("a"), true),
        (person(), "DeleteObject", Some("a"), false),
    ] {
        assert_eq!(scene.allows(&who, action, key), expected, "{who} {action} {key:?}");
    }
}

#[test]
fn a_denial_wins_over_the_owner_but_does_not_lock_the_account_out_of_the_policy() {
    let scene = Scene::with_policy(&policy(&[
        statement("Allow", ANYBODY, "*", "photos*", ""),
        statement("Deny", "\"*\"", "s3:*", "photos*", ""),
    ]));
    assert_eq!(scene.decide(&main(), "GetObject", Some("a")), Decision::Denied(Why::Policy("2".into())));
    assert!(!scene.allows(&Principal::REALM, "GetObject", Some("a")));
    assert!(scene.allows(&Principal::REALM, "DeleteBucketPolicy", None));
    assert!(!scene.allows(&main(), "DeleteBucketPolicy", None), "a service is no account");
    assert!(!scene.allows(&person(), "DeleteBucketPolicy", None));
}

#[test]
fn what_is_said_of_a_person_takes_from_their_services_and_gives_them_nothing() {
    let backup = Principal::Service(
        Account::Person(freehold_wire::PersonId::from_bytes([7; 32])),
        "backup".parse().unwrap(),
    );
    let named = format!("{{\"AWS\":\"{}\"}}", person());
    let mut scene = Scene::with_policy(&policy(&[
        statement("Allow", &named, "s3:*Object", "photos/*", ""),
        statement("Deny", &named, "s3:DeleteObject", "photos/*", ""),
    ]));
    assert!(scene.allows(&person(), "GetObject", Some("a")));
    assert!(!scene.allows(&backup, "GetObject", Some("a")));
    scene.rights.buckets.insert("photos".to_owned());
    assert!(scene.allows(&backup, "GetObject", Some("a")), "the key was made for this bucket");
    assert!(!scene.allows(&backup, "DeleteObject", Some("a")));
}

#[test]
fn a_key_can_do_no_more_than_its_rights() {
    let mut scene = Scene::new();
    scene.rights = Rights {
        buckets: std::iter::once("photos".to_owned()).collect(),
        prefix: "2026/".to_owned(),
        allow: [Right::Read, Right::List].into_iter().collect(),
        until_ms: Some(2000),
    };
    assert!(scene.allows(&alt(), "GetObject", Some("2026/a")), "a service's key for a bucket of its account");
    assert!(!scene.allows(&person(), "GetObject", Some("2026/a")), "somebody else's bucket");
    for (action, key, why) in [
        ("GetObject", Some("2025/a"), Why::KeyPrefix("2026/".into())),
        ("PutObject", Some("2026/a"), Why::KeyRight(Right::Write)),
        ("ListBucket", None, Why::KeyPrefix("2026/".into())),
        ("GetBucketAcl", None, Why::KeyPrefix("2026/".into())),
    ] {
        assert_eq!(scene.decide(&Principal::REALM, action, key), Decision::Denied(why), "{action}");
    }
    scene.context.add("s3:prefix", "2026/05");
    assert!(scene.allows(&main(), "ListBucket", None));
    scene.rights.buckets = std::iter::once("music".to_owned()).collect();
    assert_eq!(
        scene.decide(&main(), "GetObject", Some("2026/a")),
        Decision::Denied(Why::KeyBucket("photos".into()))
    );
    scene.rights.until_ms = Some(1000);
    assert_eq!(scene.decide(&main(), "GetObject", Some("2026/a")), Decision::Denied(Why::KeyEnded));
}

#[test]
fn what_is_not_understood_to_the_last_word_is_refused() {
    let good = statement("Allow", ANYBODY, "s3:GetObject", "photos/*", "");
    let one = |statement: String| policy(&[statement]);
    let refused = [
        String::new(),
        "{}".to_owned(),
        "{\"Statement\":[]}".to_owned(),
        policy(std::slice::from_ref(&good)).replace("2012-10-17", "2020-01-01"),
        good.replace("\"Effect\"", "\"effect\""),
        one(good.replace("Allow", "Permit")),
        one(good.replace("\"Action\"", "\"Actions\"")),
        one(good.replace("\"Effect\":\"Allow\"", "\"Effect\":\"Allow\",\"Effect\":\"Deny\"")),
        one(good.replace("\"Principal\":{\"AWS\":\"*\"},", "")),
        one(good.replace("\"Principal\"", "\"NotPrincipal\"")),
        one(good.replace("\"AWS\":\"*\"", "\"AWS\":\"somebody\"")),
        one(good.replace("\"AWS\":\"*\"", "\"AWS\":\"arn:aws:iam::*:root\"")),
        one(good.replace("\"AWS\":\"*\"", "\"Azure\":\"*\"")),
        one(good.replace("\"AWS\":\"*\"", "\"AWS\":[]")),
        one(good.replace("s3:GetObject", "s3:GetObjekt")),
        one(good.replace("s3:GetObject", "iam:*")),
        one(good.replace("arn:aws:s3:::photos/*", "photos/*")),
        one(good.replace("photos/*", "photos/${aws:username}/*")),
        one(statement(
            "Allow",
            ANYBODY,
            "s3:GetObject",
            "photos/*",
            "{\"StringSame\":{\"s3:prefix\":\"a\"}}",
        )),
        one(statement(
            "Allow",
            ANYBODY,
            "s3:GetObject",
            "photos/*",
            "{\"StringEquals\":{\"s3:prefix\":\"a\",\"s3:prefix\":\"b\"}}",
        )),
        one(statement(
            "Allow",
            ANYBODY,
            "s3:GetObject",
            "photos/*",
            "{\"StringEquals\":{\"s3:mood\":\"a\"}}",
        )),
        format!("{}{}", policy(std::slice::from_ref(&good)), " ".repeat(crate::POLICY_MAX)),
    ];
    for text in refused {
        assert!(Policy::read(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Policy::read(one(good.clone()).as_bytes()).is_ok());
    let flag = statement("Deny", ANYBODY, "s3:*", "photos/*", "{\"Bool\":{\"aws:SecureTransport\":false}}");
    assert!(Policy::read(one(flag).as_bytes()).is_ok(), "JSON's own booleans");
    let foreign = good.replace("\"AWS\":\"*\"", "\"AWS\":\"arn:aws:iam::s3tenant1:root\"");
    assert!(Policy::read(one(foreign).as_bytes()).is_ok(), "somebody who is nobody here");
}

#[test]
fn a_policy_is_for_its_bucket() {
    for (resource, expected) in [
        ("photos", true),
        ("photos/*", true),
        ("*", true),
        ("*/*", true),
        ("photo", false),
        ("music/*", false),
    ] {
        let policy = policy(&[statement("Allow", ANYBODY, "s3:GetObject", resource, "")]);
        let policy = Policy::read(policy.as_bytes()).unwrap();
        assert_eq!(policy.check_bucket("photos").is_ok(), expected, "{resource}");
    }
}

#[test]
fn what_is_public() {
    for (principal, condition, expected) in [
        (ANYBODY, "", true),
        ("\"*\"", "", true),
        ("{\"AWS\":\"freehold\"}", "", false),
        (ANYBODY, "{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/32\"}}", false),
        (ANYBODY, "{\"IpAddress\":{\"aws:SourceIp\":\"0.0.0.0/1\"}}", true),
        (ANYBODY, "{\"NotIpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}}", true),
        (ANYBODY, "{\"StringEquals\":{\"s3:prefix\":\"a\"}}", true),
    ] {
        let text = policy(&[statement("Allow", principal, "s3:GetObject", "photos/*", condition)]);
        let mut scene = Scene::with_policy(&text);
        assert_eq!(scene.policy.as_ref().unwrap().is_public(), expected, "{principal} {condition}");
        scene.block.restrict_public_buckets = true;
        assert!(!scene.allows(&Principal::Anonymous, "GetObject", Some("a")));
    }
}

#[test]
fn a_refusal_says_why() {
    let scene = Scene::new();
    let Decision::Denied(why) = scene.decide(&alt(), "GetObject", Some("a")) else { panic!("allowed") };
    assert_eq!(why.to_string(), "nothing allows s3:GetObject to alt");
}

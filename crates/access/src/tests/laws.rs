use proptest::prelude::*;

use super::*;

fn principals() -> impl Strategy<Value = String> {
    let named = [
        "\"*\"".to_owned(),
        "{\"AWS\":\"*\"}".to_owned(),
        format!("{{\"AWS\":\"{}\"}}", alt()),
        format!("{{\"AWS\":\"{}\"}}", person()),
        "{\"AWS\":\"arn:aws:iam::123456789012:root\"}".to_owned(),
    ];
    prop::sample::select(named.to_vec())
}

fn a_statement(effect: &'static str) -> impl Strategy<Value = String> {
    let actions = prop::sample::select(vec!["*", "s3:*", "s3:GetObject", "s3:Put*", "s3:ListBucket"]);
    let resources = prop::sample::select(vec!["photos", "photos/*", "*", "photos/a*", "other/*"]);
    let conditions = prop::sample::select(vec![
        "",
        "{\"StringEquals\":{\"s3:prefix\":\"a\"}}",
        "{\"StringNotEquals\":{\"s3:prefix\":\"a\"}}",
        "{\"Null\":{\"s3:prefix\":\"true\"}}",
    ]);
    (principals(), actions, resources, conditions).prop_map(move |(who, action, resource, condition)| {
        statement(effect, &who, action, resource, condition)
    })
}

fn askers() -> impl Strategy<Value = Principal> {
    prop::sample::select(vec![Principal::Anonymous, Principal::REALM, main(), alt(), person()])
}

fn questions() -> impl Strategy<Value = (&'static str, Option<&'static str>)> {
    prop::sample::select(vec![
        ("GetObject", Some("a1")),
        ("PutObject", Some("b")),
        ("ListBucket", None),
        ("DeleteObject", Some("a")),
        ("PutBucketPolicy", None),
    ])
}

proptest! {
    #[test]
    fn a_further_denial_never_allows_more(
        allows in prop::collection::vec(a_statement("Allow"), 1..4),
        denies in prop::collection::vec(a_statement("Deny"), 0..3),
        further in a_statement("Deny"),
        who in askers(),
        (action, key) in questions(),
        prefix in prop::option::of("[ab]"),
    ) {
        let mut statements = [allows, denies].concat();
        let mut before = Scene::with_policy(&policy(&statements));
        statements.insert(0, further);
        let mut after = Scene::with_policy(&policy(&statements));
        for scene in [&mut before, &mut after] {
            if let Some(prefix) = &prefix {
                scene.context.add("s3:prefix", prefix.as_str());
            }
        }
        if after.allows(&who, action, key) {
            prop_assert!(before.allows(&who, action, key) || action == "PutBucketPolicy");
        }
    }

    #[test]
    fn fewer_rights_never_allow_more(
        allows in prop::collection::vec(a_statement("Allow"), 1..4),
        who in askers(),
        (action, key) in questions(),
        prefix in "[ab]{0,1}",
        drop in prop::sample::select(crate::Right::ALL.to_vec()),
    ) {
        let mut scene = Scene::with_policy(&policy(&allows));
        let before = scene.allows(&who, action, key);
        scene.rights.prefix = prefix;
        scene.rights.allow.remove(&drop);
        if scene.allows(&who, action, key) {
            prop_assert!(before);
        }
    }

    #[test]
    fn an_unknown_operator_refuses_the_document(operator in "[A-Za-z:]{1,20}") {
        let known = ["Bool", "Null", "IpAddress", "NotIpAddress"].contains(&operator.as_str())
            || ["String", "Numeric", "Date", "Arn", "For"].iter().any(|start| operator.starts_with(start));
        prop_assume!(!known);
        let condition = format!("{{\"{operator}\":{{\"s3:prefix\":\"true\"}}}}");
        for effect in ["Allow", "Deny"] {
            let text = policy(&[statement(effect, "\"*\"", "s3:*", "photos", &condition)]);
            prop_assert!(Policy::read(text.as_bytes()).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _read = Policy::read(&bytes);
        let _list = Acl::from_bytes(&bytes);
    }
}

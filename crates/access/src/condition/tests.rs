use super::*;

fn context(pairs: &[(&str, &str)]) -> Context {
    let mut context = Context::default();
    for (key, value) in pairs {
        context.add(key, *value);
    }
    context
}

fn holds(operator: &str, key: &str, values: &[&str], pairs: &[(&str, &str)]) -> bool {
    let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
    Condition::read(operator, key, &values).unwrap().holds(&context(pairs))
}

#[test]
fn what_the_operators_say() {
    let prefix = "s3:prefix";
    let home = [(prefix, "home/a")];
    for (operator, key, values, pairs, expected) in [
        ("StringEquals", prefix, &["home/a"][..], &home[..], true),
        ("StringEquals", "S3:Prefix", &["home/b", "home/a"], &home, true),
        ("StringEquals", prefix, &["home/b"], &home, false),
        ("StringEquals", prefix, &["home/a"], &[], false),
        ("StringEqualsIfExists", prefix, &["home/a"], &[], true),
        ("StringNotEquals", prefix, &["home/b"], &home, true),
        ("StringNotEquals", prefix, &["home/b", "home/a"], &home, false),
        ("StringNotEquals", prefix, &["home/a"], &[], true),
        ("StringEqualsIgnoreCase", prefix, &["HOME/A"], &home, true),
        ("StringLike", prefix, &["home/*"], &home, true),
        ("StringNotLike", prefix, &["home/*"], &home, false),
        ("NumericLessThan", "s3:max-keys", &["10"], &[("s3:max-keys", "9")], true),
        ("NumericLessThan", "s3:max-keys", &["10"], &[("s3:max-keys", "10")], false),
        ("NumericLessThanEquals", "s3:max-keys", &["10"], &[("s3:max-keys", "10")], true),
        ("NumericNotEquals", "s3:max-keys", &["10"], &[("s3:max-keys", "10")], false),
        ("NumericEquals", "s3:max-keys", &["10"], &[("s3:max-keys", "ten")], false),
        ("Bool", "aws:SecureTransport", &["false"], &[("aws:SecureTransport", "false")], true),
        ("Bool", "aws:SecureTransport", &["true"], &[("aws:SecureTransport", "false")], false),
        ("Null", prefix, &["true"], &[], true),
        ("Null", prefix, &["true"], &home, false),
        ("Null", prefix, &["false"], &home, true),
        ("IpAddress", "aws:SourceIp", &["10.0.0.0/8"], &[("aws:SourceIp", "10.9.8.7")], true),
        ("IpAddress", "aws:SourceIp", &["10.0.0.0/8"], &[("aws:SourceIp", "::ffff:10.9.8.7")], true),
        ("IpAddress", "aws:SourceIp", &["10.0.0.0/8"], &[("aws:SourceIp", "11.0.0.1")], false),
        ("IpAddress", "aws:SourceIp", &["0.0.0.0/0"], &[("aws:SourceIp", "11.0.0.1")], true),
        ("IpAddress", "aws:SourceIp", &["fd00::/8"], &[("aws:SourceIp", "fd12::1")], true),
        ("NotIpAddress", "aws:SourceIp", &["10.1.2.3"], &[("aws:SourceIp", "10.1.2.3")], false),
        (
            "DateGreaterThan",
            "aws:CurrentTime",
            &["2026-01-01T00:00:00Z"],
            &[("aws:CurrentTime", "2026-02-28T12:00:00Z")],
            true,
        ),
        (
            "DateLessThan",
            "aws:CurrentTime",
            &["2024-03-01"],
            &[("aws:CurrentTime", "2024-02-29T23:59:59Z")],
            true,
        ),
        (
            "ForAnyValue:StringEquals",
            "s3:RequestObjectTagKeys",
            &["a"],
            &[("s3:RequestObjectTagKeys", "b"), ("s3:RequestObjectTagKeys", "a")],
            true,
        ),
        (
            "ForAllValues:StringEquals",
            "s3:RequestObjectTagKeys",
            &["a"],
            &[("s3:RequestObjectTagKeys", "b"), ("s3:RequestObjectTagKeys", "a")],
            false,
        ),
        ("ForAllValues:StringEquals", "s3:RequestObjectTagKeys", &["a"], &[], true),
        ("StringEquals", "s3:ExistingObjectTag/Team", &["x"], &[("s3:existingobjecttag/Team", "x")], true),
        ("StringEquals", "s3:ExistingObjectTag/Team", &["x"], &[("s3:ExistingObjectTag/team", "x")], false),
    ] {
        assert_eq!(holds(operator, key, values, pairs), expected, "{operator} {key} {values:?} of {pairs:?}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for (operator, key, values) in [
        ("StringEqual", "s3:prefix", &["a"][..]),
        ("stringequals", "s3:prefix", &["a"]),
        ("StringLikeIfExist", "s3:prefix", &["a"]),
        ("NullIfExists", "s3:prefix", &["true"]),
        ("BinaryEquals", "s3:prefix", &["a"]),
        ("StringEquals", "s3:prefixes", &["a"]),
        ("StringEquals", "s3:ExistingObjectTag/", &["a"]),
        ("StringEquals", "s3:prefix", &[]),
        ("NumericLessThan", "s3:max-keys", &["many"]),
        ("Bool", "aws:SecureTransport", &["maybe"]),
        ("IpAddress", "aws:SourceIp", &["10.0.0.0/33"]),
        ("DateLessThan", "aws:CurrentTime", &["tomorrow"]),
    ] {
        let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        assert!(Condition::read(operator, key, &values).is_err(), "{operator} {key} {values:?}");
    }
}

#[test]
fn dates() {
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2000-03-01", Some(951_868_800)),
        ("2024-02-29T00:00:00Z", Some(1_709_164_800)),
        ("2026-11-21T16:14:10Z", Some(1_795_277_650)),
        ("2026-11-21T16:14:10.5Z", Some(1_795_277_650)),
        ("1795277650", Some(1_795_277_650)),
        ("2026-13-01", None),
        ("2026-11-21T16:14", None),
    ] {
        assert_eq!(seconds(text), expected, "{text}");
    }
}

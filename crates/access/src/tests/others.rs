//! Who but its owner may use a bucket.

use freehold_wire::PersonId;

use crate::{Account, Acl, Canned, Grant, Grantee, Permission, Policy, Principal};

fn ann() -> Account {
    Account::Person(PersonId::from_bytes([1; 32]))
}

fn service(of: Account) -> Principal {
    Principal::Service(of, "main".parse().unwrap())
}

fn policy(effect: &str, who: &str) -> Policy {
    let text = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "{effect}", "Principal": {who}, "Action": "s3:*",
            "Resource": "arn:aws:s3:::photos/*"}}}}"#
    );
    Policy::read(text.as_bytes()).unwrap()
}

#[test]
fn a_policy_that_names_the_owner_alone_or_denies_lets_in_nobody_else() {
    let aws = |who: &dyn std::fmt::Display| format!(r#"{{"AWS": "{who}"}}"#);
    let bob = Account::Person(PersonId::from_bytes([2; 32]));
    for (policy, lets_in) in [
        (policy("Allow", r#""*""#), true),
        (policy("Deny", r#""*""#), false),
        (policy("Allow", &aws(&ann())), false),
        (policy("Allow", &aws(&service(ann()))), false),
        (policy("Allow", &aws(&bob)), true),
        (policy("Allow", &aws(&service(bob))), true),
        (policy("Allow", &aws(&Account::Realm)), true),
        (policy("Deny", &aws(&bob)), false),
        (policy("Allow", r#"{"AWS": "123456789012"}"#), false),
    ] {
        assert_eq!(policy.lets_in_others(ann()), lets_in, "{policy:?}");
    }
}

#[test]
fn a_list_lets_in_whom_it_grants_something() {
    let owner = || Principal::Account(ann());
    for (canned, lets_in) in [
        (Canned::Private, false),
        (Canned::PublicRead, true),
        (Canned::AuthenticatedRead, true),
        (Canned::LogDeliveryWrite, false),
    ] {
        assert_eq!(Acl::canned(canned, owner(), None).lets_in_others(ann()), lets_in, "{canned:?}");
    }
    let mut list = Acl::private(service(ann()));
    assert!(!list.lets_in_others(ann()), "a program of theirs");
    list.grants.push(Grant { to: Grantee::One(Principal::REALM), may: Permission::Read });
    assert!(list.lets_in_others(ann()));
    assert!(Acl::private(Principal::REALM).lets_in_others(ann()), "somebody else wrote it");
}

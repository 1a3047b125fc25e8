//! Probes of the words that S3's users set: policies, lists, principals. The first byte says which.

use freehold_access::{
    Account, Acl, Action, Asked, Context, Decision, Documents, Ownership, Permission, Policy, Principal,
    PublicAccessBlock, Rights, decide,
};
use freehold_wire::Millis;

/// A policy and questions to it, a list, a grant's header, a principal.
pub fn access(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 3 {
        0 => policy(data),
        1 => {
            if let Ok(list) = Acl::from_bytes(data) {
                assert_eq!(Acl::from_bytes(&list.to_bytes()).as_ref(), Ok(&list), "kept and read again");
            }
        }
        _ => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            drop(Acl::of_header(Permission::Read, text));
            if let Ok(principal) = text.parse::<Principal>() {
                assert_eq!(principal.to_string(), text, "two spellings of one principal");
            }
        }
    }
}

fn policy(data: &[u8]) {
    let Ok(policy) = Policy::read(data) else { return };
    drop(policy.check_bucket("photos"));
    let service = |name: &str| name.parse().ok().map(|name| Principal::Service(Account::Realm, name));
    let (Some(owner), Some(other)) = (service("main"), service("alt")) else { return };
    let mut context = Context::default();
    context.add("s3:prefix", "a");
    context.add("aws:SourceIp", "10.0.0.1");
    let documents = |policy| Documents {
        owner: &owner,
        policy,
        acl: None,
        object_acl: None,
        block: PublicAccessBlock::default(),
        ownership: Ownership::default(),
    };
    let rights = Rights::all();
    for who in [&owner, &other, &Principal::Anonymous] {
        for (name, key) in [("GetObject", Some("a")), ("ListBucket", None), ("PutBucketAcl", None)] {
            let Some(action) = Action::named(name) else { continue };
            let asked = Asked {
                who,
                rights: &rights,
                action,
                bucket: "photos",
                key,
                context: &context,
                now: Millis(1),
            };
            let with = decide(&asked, &documents(Some(&policy)));
            // Whoever is let in without being the owner was let in by the policy.
            let without = decide(&asked, &documents(None));
            assert!(*who == owner || without != Decision::Allowed);
            drop(with);
        }
    }
}

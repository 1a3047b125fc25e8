use super::*;
use crate::{AclError, Canned, Grant, Grantee, Permission};

#[test]
fn canned_lists() {
    let cases = [
        ("private", [false, false, false]),
        ("public-read", [true, true, false]),
        ("public-read-write", [true, true, true]),
        ("authenticated-read", [false, true, false]),
    ];
    for (name, [anonymous_lists, alt_lists, alt_writes]) in cases {
        let mut scene = Scene::new();
        scene.acl = Some(Acl::canned(Canned::named(name).unwrap(), main(), None));
        let stranger = Principal::Anonymous;
        assert_eq!(scene.allows(&stranger, "ListBucket", None), anonymous_lists, "{name}");
        assert_eq!(scene.allows(&alt(), "ListBucket", None), alt_lists, "{name}");
        assert_eq!(scene.allows(&alt(), "PutObject", Some("a")), alt_writes, "{name}");
        assert!(!scene.allows(&alt(), "GetObject", Some("a")), "a bucket's list says nothing of objects");
        assert!(!scene.allows(&alt(), "PutBucketAcl", None), "{name}");
        assert_eq!(scene.acl.as_ref().unwrap().is_public(), name != "private");
        scene.block.ignore_public_acls = true;
        assert!(!scene.allows(&alt(), "ListBucket", None), "{name}");
    }
    assert!(Canned::named("public").is_err());
}

#[test]
fn the_object_is_its_writers_unless_the_bucket_owner_enforces_it() {
    let mut scene = Scene::new();
    scene.object_acl = Some(Acl::private(alt()));
    assert!(scene.allows(&alt(), "GetObject", Some("a")));
    assert!(scene.allows(&alt(), "PutObjectAcl", Some("a")));
    assert!(!scene.allows(&main(), "GetObject", Some("a")));
    assert!(scene.allows(&main(), "DeleteObject", Some("a")), "whoever owns the bucket can clear it");
    scene.object_acl = Some(Acl::canned(Canned::BucketOwnerRead, alt(), Some(&main())));
    assert!(scene.allows(&main(), "GetObject", Some("a")));
    assert!(!scene.allows(&main(), "GetObjectAcl", Some("a")));
    scene.ownership = Ownership::BucketOwnerEnforced;
    assert!(!scene.allows(&alt(), "GetObject", Some("a")));
    assert!(scene.allows(&main(), "GetObjectAcl", Some("a")));
}

#[test]
fn each_permission_is_for_itself() {
    let all = [
        ("GetObject", Permission::Read),
        ("GetObjectAcl", Permission::ReadAcp),
        ("PutObjectAcl", Permission::WriteAcp),
    ];
    for may in Permission::ALL {
        let mut scene = Scene::new();
        let grants = vec![Grant { to: Grantee::One(alt()), may }];
        scene.object_acl = Some(Acl { owner: main(), grants });
        for (action, wanted) in all {
            let expected = may == wanted || may == Permission::FullControl;
            assert_eq!(scene.allows(&alt(), action, Some("a")), expected, "{may:?} {action}");
            assert!(!scene.allows(&person(), action, Some("a")));
        }
    }
}

#[test]
fn grants_in_headers() {
    let id = alt().to_string();
    let read = |text: &str| Acl::of_header(Permission::Read, text);
    let grants = read(&format!("id=\"{id}\", uri=http://acs.amazonaws.com/groups/global/AllUsers")).unwrap();
    let to: Vec<_> = grants.iter().map(|grant| grant.to.clone()).collect();
    assert_eq!(to, [Grantee::One(alt()), Grantee::AllUsers]);
    assert_eq!(read("emailAddress=a@example.com"), Err(AclError::Email));
    assert!(read("id=nobody").is_err() && read("uri=http://x").is_err() && read("who=x").is_err());
}

#[test]
fn a_list_is_kept_and_read_again() {
    let list = Acl::canned(Canned::LogDeliveryWrite, person(), None);
    assert_eq!(Acl::from_bytes(&list.to_bytes()).unwrap(), list);
    assert!(Acl::from_bytes(b"{\"owner\":\"nobody\",\"grants\":[]}").is_err());
    assert!(Acl::from_bytes(b"{\"owner\":\"freehold\",\"grants\":[],\"more\":1}").is_err());
}

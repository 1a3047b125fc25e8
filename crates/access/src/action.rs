//! What can be asked for, in the words of AWS's policies, and which operation asks for what.

use crate::acl::Permission;
use crate::rights::Right;

/// Which list may permit an action, if neither the owner asks nor a policy allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// None: it is the owner's.
    Owner,
    /// The bucket's list.
    Bucket(Permission),
    /// The object's list.
    Object(Permission),
}

/// Something that can be allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// Its name in policies, without `s3:`.
    pub name: &'static str,
    /// The right that a key must have.
    pub right: Right,
    /// The list that may permit it.
    pub need: Need,
}

const fn action(name: &'static str, right: Right, need: Need) -> Action {
    Action { name, right, need }
}

const OWNER: Need = Need::Owner;
const READ: Need = Need::Object(Permission::Read);
const WRITE: Need = Need::Object(Permission::Write);
const IN_BUCKET: Need = Need::Bucket(Permission::Write);
const LISTED: Need = Need::Bucket(Permission::Read);

/// Every action that a policy may name; the last ones are here so that policies made elsewhere are taken.
const ALL: [Action; 82] = [
    action("ListAllMyBuckets", Right::List, OWNER),
    action("CreateBucket", Right::Admin, OWNER),
    action("DeleteBucket", Right::Admin, OWNER),
    action("ListBucket", Right::List, LISTED),
    action("ListBucketVersions", Right::List, LISTED),
    action("ListBucketMultipartUploads", Right::List, LISTED),
    action("GetBucketLocation", Right::List, LISTED),
    action("ListMultipartUploadParts", Right::List, IN_BUCKET),
    action("AbortMultipartUpload", Right::Write, IN_BUCKET),
    action("GetObject", Right::Read, READ),
    action("GetObjectVersion", Right::Read, READ),
    action("GetObjectAttributes", Right::Read, READ),
    action("GetObjectVersionAttributes", Right::Read, READ),
    action("GetObjectTagging", Right::Read, READ),
    action("GetObjectVersionTagging", Right::Read, READ),
    action("GetObjectAcl", Right::Read, Need::Object(Permission::ReadAcp)),
    action("GetObjectVersionAcl", Right::Read, Need::Object(Permission::ReadAcp)),
    action("GetObjectRetention", Right::Read, OWNER),
    action("GetObjectLegalHold", Right::Read, OWNER),
    action("GetObjectTorrent", Right::Read, READ),
    action("PutObject", Right::Write, IN_BUCKET),
    action("PutObjectTagging", Right::Write, WRITE),
    action("PutObjectVersionTagging", Right::Write, WRITE),
    action("DeleteObjectTagging", Right::Write, WRITE),
    action("DeleteObjectVersionTagging", Right::Write, WRITE),
    action("PutObjectAcl", Right::Admin, Need::Object(Permission::WriteAcp)),
    action("PutObjectVersionAcl", Right::Admin, Need::Object(Permission::WriteAcp)),
    action("PutObjectRetention", Right::Admin, OWNER),
    action("PutObjectLegalHold", Right::Admin, OWNER),
    action("BypassGovernanceRetention", Right::Admin, OWNER),
    action("RestoreObject", Right::Write, OWNER),
    action("DeleteObject", Right::Delete, IN_BUCKET),
    action("DeleteObjectVersion", Right::Delete, OWNER),
    action("GetBucketAcl", Right::List, Need::Bucket(Permission::ReadAcp)),
    action("PutBucketAcl", Right::Admin, Need::Bucket(Permission::WriteAcp)),
    action("GetBucketPolicy", Right::Admin, OWNER),
    action("PutBucketPolicy", Right::Admin, OWNER),
    action("DeleteBucketPolicy", Right::Admin, OWNER),
    action("GetBucketPolicyStatus", Right::List, OWNER),
    action("GetBucketPublicAccessBlock", Right::List, OWNER),
    action("PutBucketPublicAccessBlock", Right::Admin, OWNER),
    action("GetBucketOwnershipControls", Right::List, OWNER),
    action("PutBucketOwnershipControls", Right::Admin, OWNER),
    action("GetBucketCORS", Right::List, OWNER),
    action("PutBucketCORS", Right::Admin, OWNER),
    action("GetBucketVersioning", Right::List, OWNER),
    action("PutBucketVersioning", Right::Admin, OWNER),
    action("GetBucketObjectLockConfiguration", Right::List, OWNER),
    action("PutBucketObjectLockConfiguration", Right::Admin, OWNER),
    action("GetLifecycleConfiguration", Right::List, OWNER),
    action("PutLifecycleConfiguration", Right::Admin, OWNER),
    action("GetBucketTagging", Right::List, OWNER),
    action("PutBucketTagging", Right::Admin, OWNER),
    action("GetEncryptionConfiguration", Right::List, OWNER),
    action("PutEncryptionConfiguration", Right::Admin, OWNER),
    action("GetBucketWebsite", Right::List, OWNER),
    action("PutBucketWebsite", Right::Admin, OWNER),
    action("DeleteBucketWebsite", Right::Admin, OWNER),
    action("GetBucketNotification", Right::List, OWNER),
    action("PutBucketNotification", Right::Admin, OWNER),
    action("GetBucketLogging", Right::List, OWNER),
    action("PutBucketLogging", Right::Admin, OWNER),
    action("GetBucketRequestPayment", Right::List, OWNER),
    action("PutBucketRequestPayment", Right::Admin, OWNER),
    action("GetReplicationConfiguration", Right::List, OWNER),
    action("PutReplicationConfiguration", Right::Admin, OWNER),
    action("GetAccelerateConfiguration", Right::List, OWNER),
    action("PutAccelerateConfiguration", Right::Admin, OWNER),
    action("GetAnalyticsConfiguration", Right::List, OWNER),
    action("PutAnalyticsConfiguration", Right::Admin, OWNER),
    action("GetInventoryConfiguration", Right::List, OWNER),
    action("PutInventoryConfiguration", Right::Admin, OWNER),
    action("GetMetricsConfiguration", Right::List, OWNER),
    action("PutMetricsConfiguration", Right::Admin, OWNER),
    action("GetIntelligentTieringConfiguration", Right::List, OWNER),
    action("PutIntelligentTieringConfiguration", Right::Admin, OWNER),
    action("GetObjectVersionForReplication", Right::Read, OWNER),
    action("GetObjectVersionTorrent", Right::Read, OWNER),
    action("ReplicateObject", Right::Write, OWNER),
    action("ReplicateDelete", Right::Delete, OWNER),
    action("ReplicateTags", Right::Write, OWNER),
    action("ObjectOwnerOverrideToBucketOwner", Right::Admin, OWNER),
];

/// An operation of the protocol, what it asks for, and what it asks for if it names a version.
const OPERATIONS: [(&str, &str, Option<&str>); 64] = [
    ("ListBuckets", "ListAllMyBuckets", None),
    ("CreateBucket", "CreateBucket", None),
    ("DeleteBucket", "DeleteBucket", None),
    ("HeadBucket", "ListBucket", None),
    ("ListObjects", "ListBucket", None),
    ("ListObjectsV2", "ListBucket", None),
    ("ListObjectVersions", "ListBucketVersions", None),
    ("ListMultipartUploads", "ListBucketMultipartUploads", None),
    ("GetBucketLocation", "GetBucketLocation", None),
    ("ListParts", "ListMultipartUploadParts", None),
    ("AbortMultipartUpload", "AbortMultipartUpload", None),
    ("GetObject", "GetObject", Some("GetObjectVersion")),
    ("HeadObject", "GetObject", Some("GetObjectVersion")),
    ("SelectObjectContent", "GetObject", None),
    ("GetObjectAttributes", "GetObjectAttributes", Some("GetObjectVersionAttributes")),
    ("GetObjectTagging", "GetObjectTagging", Some("GetObjectVersionTagging")),
    ("GetObjectAcl", "GetObjectAcl", Some("GetObjectVersionAcl")),
    ("GetObjectRetention", "GetObjectRetention", None),
    ("GetObjectLegalHold", "GetObjectLegalHold", None),
    ("GetObjectTorrent", "GetObjectTorrent", None),
    ("PutObject", "PutObject", None),
    ("PostObject", "PutObject", None),
    ("CopyObject", "PutObject", None),
    ("CreateMultipartUpload", "PutObject", None),
    ("UploadPart", "PutObject", None),
    ("UploadPartCopy", "PutObject", None),
    ("CompleteMultipartUpload", "PutObject", None),
    ("PutObjectTagging", "PutObjectTagging", Some("PutObjectVersionTagging")),
    ("DeleteObjectTagging", "DeleteObjectTagging", Some("DeleteObjectVersionTagging")),
    ("PutObjectAcl", "PutObjectAcl", Some("PutObjectVersionAcl")),
    ("PutObjectRetention", "PutObjectRetention", None),
    ("PutObjectLegalHold", "PutObjectLegalHold", None),
    ("RestoreObject", "RestoreObject", None),
    ("DeleteObject", "DeleteObject", Some("DeleteObjectVersion")),
    ("GetBucketAcl", "GetBucketAcl", None),
    ("PutBucketAcl", "PutBucketAcl", None),
    ("GetBucketPolicy", "GetBucketPolicy", None),
    ("PutBucketPolicy", "PutBucketPolicy", None),
    ("DeleteBucketPolicy", "DeleteBucketPolicy", None),
    ("GetBucketPolicyStatus", "GetBucketPolicyStatus", None),
    ("GetPublicAccessBlock", "GetBucketPublicAccessBlock", None),
    ("PutPublicAccessBlock", "PutBucketPublicAccessBlock", None),
    ("DeletePublicAccessBlock", "PutBucketPublicAccessBlock", None),
    ("GetBucketOwnershipControls", "GetBucketOwnershipControls", None),
    ("PutBucketOwnershipControls", "PutBucketOwnershipControls", None),
    ("DeleteBucketOwnershipControls", "PutBucketOwnershipControls", None),
    ("GetBucketCors", "GetBucketCORS", None),
    ("PutBucketCors", "PutBucketCORS", None),
    ("DeleteBucketCors", "PutBucketCORS", None),
    ("GetBucketVersioning", "GetBucketVersioning", None),
    ("PutBucketVersioning", "PutBucketVersioning", None),
    ("GetObjectLockConfiguration", "GetBucketObjectLockConfiguration", None),
    ("PutObjectLockConfiguration", "PutBucketObjectLockConfiguration", None),
    ("GetBucketLifecycleConfiguration", "GetLifecycleConfiguration", None),
    ("PutBucketLifecycleConfiguration", "PutLifecycleConfiguration", None),
    ("DeleteBucketLifecycle", "PutLifecycleConfiguration", None),
    ("GetBucketTagging", "GetBucketTagging", None),
    ("PutBucketTagging", "PutBucketTagging", None),
    ("DeleteBucketTagging", "PutBucketTagging", None),
    ("GetBucketEncryption", "GetEncryptionConfiguration", None),
    ("PutBucketEncryption", "PutEncryptionConfiguration", None),
    ("DeleteBucketEncryption", "PutEncryptionConfiguration", None),
    ("GetBucketRequestPayment", "GetBucketRequestPayment", None),
    ("PutBucketRequestPayment", "PutBucketRequestPayment", None),
];

impl Action {
    /// The action of that name, without `s3:`.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|action| action.name == name)
    }

    /// What an operation of the protocol asks for. One that nobody thought of is the owner's alone;
    /// its configuration is read by those who may list, and changed by those who may administer.
    pub fn of_operation(operation: &str, names_version: bool) -> Self {
        let row = OPERATIONS.iter().find(|(name, _, _)| *name == operation);
        let name = match row {
            Some((_, _, Some(of_version))) if names_version => of_version,
            Some((_, name, _)) => name,
            None => operation,
        };
        let reads = operation.starts_with("Get") || operation.starts_with("List");
        let other = if reads { Right::List } else { Right::Admin };
        Self::named(name).unwrap_or(action("OtherOperation", other, OWNER))
    }

    /// Whether it is about the bucket's policy itself.
    pub(crate) fn is_of_policy(self) -> bool {
        self.name.ends_with("BucketPolicy")
    }
}

/// Whether a pattern of a policy names any action at all.
pub(crate) fn is_known(pattern: &str) -> bool {
    let Some(pattern) = without_service(pattern) else { return false };
    ALL.iter().any(|action| crate::pattern::fits_any_case(pattern, action.name))
}

/// Whether a pattern of a policy names this action.
pub(crate) fn named_by(pattern: &str, action: Action) -> bool {
    without_service(pattern).is_some_and(|pattern| crate::pattern::fits_any_case(pattern, action.name))
}

fn without_service(pattern: &str) -> Option<&str> {
    if pattern == "*" {
        return Some(pattern);
    }
    let (service, action) = pattern.split_once(':')?;
    service.eq_ignore_ascii_case("s3").then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_asks_for_an_action_that_policies_can_name() {
        for (operation, name, of_version) in OPERATIONS {
            assert!(Action::named(name).is_some(), "{operation}: {name}");
            assert!(of_version.is_none_or(|name| Action::named(name).is_some()), "{operation}");
        }
        assert_eq!(Action::of_operation("PutBucketMagic", false).right, Right::Admin);
        assert_eq!(Action::of_operation("GetObject", true).name, "GetObjectVersion");
    }

    #[test]
    fn patterns_name_actions() {
        let get = Action::named("GetObject").unwrap();
        for (pattern, expected) in [
            ("*", true),
            ("s3:*", true),
            ("S3:getobject", true),
            ("s3:Get*", true),
            ("s3:GetObjectVersion", false),
            ("GetObject", false),
            ("iam:*", false),
        ] {
            assert_eq!(named_by(pattern, get), expected, "{pattern}");
        }
        assert!(is_known("s3:*Acl") && !is_known("s3:GetObjekt") && !is_known("ec2:RunInstances"));
    }
}

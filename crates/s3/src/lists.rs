//! Access control lists of buckets and objects, and what a write says of the new object's.

use freehold_access::{Acl, AclError, Canned, Grant, Grantee, Ownership, Permission, Principal, owns};
use freehold_seal::{Aspect, Setting};
use freehold_vault::{Annotations, Note};
use freehold_wire::BucketId;
use http::{Extensions, HeaderMap};
use s3s::dto::{
    AccessControlPolicy, GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput, GetObjectAclOutput,
    Grant as GrantDto, Grantee as GranteeDto, Owner, Permission as PermissionDto, PutBucketAclInput,
    PutBucketAclOutput, PutObjectAclInput, PutObjectAclOutput, Type,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::access::{Asker, Guard, known};
use crate::front::Front;
use crate::papers::Paper;
use crate::refusal::{self, custom};
use crate::versions::version;

const FULL_CONTROL: &str = "bucket-owner-full-control";

pub(crate) fn of_list(error: &AclError) -> S3Error {
    match error {
        AclError::Email => custom(
            "UnresolvableGrantByEmailAddress",
            http::StatusCode::BAD_REQUEST,
            "Nobody is known here by an e-mail address; name an id.",
        ),
        AclError::TooMany => s3_error!(MalformedACLError, "{}", error),
        _ => s3_error!(InvalidArgument, "{}", error),
    }
}

fn lists_are_off() -> S3Error {
    s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs.")
}

/// A principal as answers show it.
pub(crate) fn owner_of(who: &Principal) -> Owner {
    Owner { display_name: Some(who.shown()), id: Some(who.to_string()) }
}

/// Groups first, as clients sort what they compare.
fn shown(acl: &Acl) -> Vec<GrantDto> {
    let (ones, groups): (Vec<_>, Vec<_>) =
        acl.grants.iter().partition(|grant| matches!(grant.to, Grantee::One(_)));
    groups.into_iter().chain(ones).map(shown_grant).collect()
}

fn shown_grant(grant: &Grant) -> GrantDto {
    let mut grantee = GranteeDto {
        display_name: None,
        email_address: None,
        id: None,
        type_: Type::from_static(Type::GROUP),
        uri: grant.to.uri(),
    };
    if let Grantee::One(who) = &grant.to {
        grantee.display_name = Some(who.shown());
        grantee.id = Some(who.to_string());
        grantee.type_ = Type::from_static(Type::CANONICAL_USER);
    }
    GrantDto { grantee: Some(grantee), permission: Some(PermissionDto::from_static(grant.may.name())) }
}

impl Guard {
    fn known(&self, acl: Acl) -> S3Result<Acl> {
        acl.check().map_err(|e| of_list(&e))?;
        for grant in &acl.grants {
            if let Grantee::One(who) = &grant.to
                && *who != acl.owner
                && !self.keys.knows(who)
            {
                return Err(of_list(&AclError::Id(who.to_string())));
            }
        }
        Ok(acl)
    }

    /// The list that headers ask for: a canned one, or grants. None asks for none.
    fn list_of_headers(
        &self,
        headers: &HeaderMap,
        owner: &Principal,
        bucket_owner: Option<&Principal>,
    ) -> S3Result<Option<Acl>> {
        let mut grants = Vec::new();
        for may in Permission::ALL {
            for text in headers.get_all(may.header()) {
                let text = text.to_str().unwrap_or_default();
                grants.extend(Acl::of_header(may, text).map_err(|e| of_list(&e))?);
            }
        }
        match (known::text(headers, "x-amz-acl"), grants.is_empty()) {
            (None, true) => Ok(None),
            (Some(_), false) => {
                Err(s3_error!(InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed"))
            }
            (Some(name), true) => {
                let canned = Canned::named(name).map_err(|e| of_list(&e))?;
                Ok(Some(Acl::canned(canned, owner.clone(), bucket_owner)))
            }
            (None, false) => self.known(Acl { owner: owner.clone(), grants }).map(Some),
        }
    }

    fn list_of_body(&self, body: AccessControlPolicy, owner: &Principal) -> S3Result<Acl> {
        let named = body.owner.and_then(|owner| owner.id);
        if named.is_some_and(|id| id != owner.to_string()) {
            return Err(s3_error!(AccessDenied, "Access Denied: a list does not give away what it is of."));
        }
        let malformed = || s3_error!(MalformedACLError, "The list is not well-formed.");
        let mut grants = Vec::new();
        for grant in body.grants.unwrap_or_default() {
            let may =
                grant.permission.and_then(|may| Permission::named(may.as_str())).ok_or_else(malformed)?;
            let to = grant.grantee.ok_or_else(malformed)?;
            let to = match (to.id, to.uri, to.email_address) {
                (Some(id), None, None) => {
                    Grantee::One(id.parse().map_err(|_| of_list(&AclError::Id(id.clone())))?)
                }
                (None, Some(uri), None) => {
                    Grantee::of_uri(&uri).ok_or_else(|| of_list(&AclError::Group(uri.clone())))?
                }
                (None, None, Some(_)) => return Err(of_list(&AclError::Email)),
                _ => return Err(malformed()),
            };
            grants.push(Grant { to, may });
        }
        self.known(Acl { owner: owner.clone(), grants })
    }

    /// The list that a request sets: by headers or by its body.
    fn asked_list(
        &self,
        headers: &HeaderMap,
        body: Option<AccessControlPolicy>,
        owner: &Principal,
        bucket_owner: Option<&Principal>,
        paper: &Paper,
    ) -> S3Result<Acl> {
        if !paper.ownership.lists_count() {
            return Err(lists_are_off());
        }
        let acl = match (self.list_of_headers(headers, owner, bucket_owner)?, body) {
            (Some(_), Some(_)) => {
                return Err(s3_error!(UnexpectedContent, "This request does not support content"));
            }
            (Some(acl), None) => acl,
            (None, Some(body)) => self.list_of_body(body, owner)?,
            (None, None) => {
                return Err(s3_error!(MissingSecurityHeader, "Your request was missing a required header."));
            }
        };
        if paper.block.block_public_acls && acl.is_public() {
            return Err(blocked());
        }
        Ok(acl)
    }

    /// The list of a bucket that is to be made.
    pub(crate) fn list_of_new_bucket(
        &self,
        headers: &HeaderMap,
        owner: &Principal,
        ownership: Ownership,
    ) -> S3Result<Option<Acl>> {
        let acl = self.list_of_headers(headers, owner, None)?;
        let acl = acl.filter(|acl| *acl != Acl::private(owner.clone()));
        if acl.is_some() && !ownership.lists_count() {
            return Err(custom(
                "InvalidBucketAclWithObjectOwnership",
                http::StatusCode::BAD_REQUEST,
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
            ));
        }
        Ok(acl)
    }

    /// What a write says of the new object: its list, unless it is the bucket owner's alone.
    fn list_of_write(
        &self,
        bucket: &BucketId,
        bucket_name: &str,
        asker: &Asker,
        headers: &HeaderMap,
    ) -> S3Result<Option<Vec<u8>>> {
        let paper = self.papers.of_bucket(*bucket)?;
        let canned = known::text(headers, "x-amz-acl");
        if !paper.ownership.lists_count() {
            let asks = Permission::ALL.iter().any(|may| headers.contains_key(may.header()));
            let fits = canned.is_none_or(|canned| canned == FULL_CONTROL) && !asks;
            return if fits { Ok(None) } else { Err(lists_are_off()) };
        }
        let host = &paper.owner;
        let preferred = paper.ownership == Ownership::BucketOwnerPreferred && canned == Some(FULL_CONTROL);
        // What a stranger writes is nobody's but the bucket owner's.
        let is_host = asker.who == Principal::Anonymous || owns(&asker.who, &asker.rights, bucket_name, host);
        let owner = if preferred || is_host { host } else { &asker.who };
        let acl = self.list_of_headers(headers, owner, Some(host))?;
        let acl = acl.unwrap_or_else(|| Acl::private(owner.clone()));
        if paper.block.block_public_acls && acl.is_public() {
            return Err(blocked());
        }
        Ok((acl != Acl::private(host.clone())).then(|| acl.to_bytes()))
    }

    /// The same, for the handler to find with its request.
    pub(crate) fn set_list<T>(&self, req: &mut S3Request<T>, bucket_name: &str) -> S3Result<()> {
        let Some((bucket, _)) = self.papers.vault.bucket_named(bucket_name) else { return Ok(()) };
        let list = self.list_of_write(&bucket, bucket_name, Asker::of(&req.extensions)?, &req.headers)?;
        if let Some(list) = list {
            req.extensions.insert(NewList(list));
        }
        Ok(())
    }
}

/// The list that a new object is written with.
#[derive(Debug, Clone)]
struct NewList(Vec<u8>);

/// Adds the new object's list to what else is said of it.
pub(crate) fn with_list(mut said: Annotations, extensions: &Extensions) -> Annotations {
    if let Some(NewList(list)) = extensions.get() {
        said.insert(Aspect::Acl, list.clone());
    }
    said
}

impl Front {
    /// Whose a bucket is, as answers show it.
    pub(crate) fn owner(&self, bucket: &BucketId) -> S3Result<Owner> {
        Ok(owner_of(&self.guard.papers.of_bucket(*bucket)?.owner))
    }

    /// Whose the object will be that an upload makes.
    pub(crate) fn owner_of_upload(&self, bucket: &BucketId, said: Option<&Annotations>) -> S3Result<Owner> {
        let list = said.and_then(|said| said.get(&Aspect::Acl)).and_then(|list| Acl::from_bytes(list).ok());
        list.map_or_else(|| self.owner(bucket), |list| Ok(owner_of(&list.owner)))
    }

    pub(crate) fn bucket_list_shown(
        &self,
        input: &GetBucketAclInput,
    ) -> S3Result<S3Response<GetBucketAclOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let acl = self.guard.papers.of_bucket(bucket)?.list();
        Ok(S3Response::new(GetBucketAclOutput {
            grants: Some(shown(&acl)),
            owner: Some(owner_of(&acl.owner)),
        }))
    }

    pub(crate) async fn set_bucket_list(
        &self,
        req: S3Request<PutBucketAclInput>,
    ) -> S3Result<S3Response<PutBucketAclOutput>> {
        let bucket = self.bucket(&req.input.bucket)?;
        let paper = self.guard.papers.of_bucket(bucket)?;
        let body = req.input.access_control_policy;
        let acl = self.guard.asked_list(&req.headers, body, &paper.owner, None, &paper)?;
        self.say(&bucket, Setting::Acl, Some(acl.to_bytes())).await?;
        Ok(S3Response::new(PutBucketAclOutput::default()))
    }

    pub(crate) async fn object_list_shown(
        &self,
        input: GetObjectAclInput,
    ) -> S3Result<S3Response<GetObjectAclOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let named = version(input.version_id.as_deref())?;
        self.vault.head(&bucket, &input.key, named).await.map_err(|e| refusal::of_get(&e))?;
        let paper = self.guard.papers.of_bucket(bucket)?;
        let acl = self.guard.papers.acl_of(bucket, &input.key, input.version_id.as_deref()).await?;
        let acl = acl.filter(|_| paper.ownership.lists_count());
        let acl = acl.unwrap_or_else(|| Acl::private(paper.owner));
        Ok(S3Response::new(GetObjectAclOutput {
            grants: Some(shown(&acl)),
            owner: Some(owner_of(&acl.owner)),
            ..Default::default()
        }))
    }

    pub(crate) async fn set_object_list(
        &self,
        req: S3Request<PutObjectAclInput>,
    ) -> S3Result<S3Response<PutObjectAclOutput>> {
        let input = req.input;
        let bucket = self.bucket(&input.bucket)?;
        let named = version(input.version_id.as_deref())?;
        let paper = self.guard.papers.of_bucket(bucket)?;
        let there = self.guard.papers.acl_of(bucket, &input.key, input.version_id.as_deref()).await?;
        let owner = there.map_or_else(|| paper.owner.clone(), |acl| acl.owner);
        let body = input.access_control_policy;
        let acl = self.guard.asked_list(&req.headers, body, &owner, Some(&paper.owner), &paper)?;
        let note = Note { aspect: Aspect::Acl, document: Some(acl.to_bytes()), bypass: false };
        let done = self.vault.annotate(&bucket, &input.key, named, note).await;
        done.map_err(|e| refusal::of_write(&e))?;
        Ok(S3Response::new(PutObjectAclOutput::default()))
    }
}

fn blocked() -> S3Error {
    s3_error!(
        AccessDenied,
        "Access Denied: the bucket's public access block refuses lists that let strangers in."
    )
}

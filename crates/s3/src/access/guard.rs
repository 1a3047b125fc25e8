//! The one place where requests are allowed or denied. Operations on one bucket or object, and the
//! sources of copies, are asked about before their body is read; what only the body tells (the keys to
//! delete, tags) right after.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use freehold_access::{Action, Asked, Context, Decision, Principal, Right, Rights, Why, decide, owns};
use freehold_vault::{BucketInfo, GetError, PolicyMark, Vault};
use freehold_wire::BucketId;
use http::{Extensions, HeaderMap};
use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::{
    CopyObjectInput, CopySource, CreateMultipartUploadInput, DeleteObjectsInput, PutObjectInput,
    PutObjectTaggingInput,
};
use s3s::path::S3Path;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::{check_signed_parts, known};
use crate::extras;
use crate::keys::{Keys, unknown};
use crate::papers::Papers;
use crate::pass::Pass;
use crate::refusal;

const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";
const EXPECTED_SOURCE_OWNER: &str = "x-amz-source-expected-bucket-owner";

/// Who asks, as it goes with the request to its handler.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) who: Principal,
    pub(crate) rights: Rights,
    pub(crate) ip: Option<IpAddr>,
}

/// Where a request comes from, as the server puts it with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From(pub(crate) IpAddr);

impl Asker {
    /// Who asks this request.
    pub(crate) fn of(extensions: &Extensions) -> S3Result<&Self> {
        // `check` puts it there before any handler runs.
        extensions.get().ok_or_else(|| s3_error!(AccessDenied, "Nobody was asked about this request."))
    }
}

/// The policy that a request was judged by, as it goes with the request: a write counts under that one alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JudgedBy(Option<PolicyMark>);

impl JudgedBy {
    /// What holds now; asked before the request is judged.
    pub(crate) fn now(vault: &Vault, bucket: &str) -> Self {
        Self(vault.bucket_named(bucket).map(|(bucket, _)| vault.policy_mark(&bucket)))
    }

    /// The policy that this request was judged by.
    pub(crate) fn of(extensions: &Extensions) -> Option<PolicyMark> {
        extensions.get::<Self>().and_then(|judged| judged.0)
    }
}

/// What a request wants to do.
pub(crate) struct Wish<'a> {
    pub(crate) action: Action,
    pub(crate) bucket: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
    pub(crate) context: Context,
}

/// Says what may be done.
pub(crate) struct Guard {
    pub(crate) papers: Papers,
    pub(crate) keys: Arc<dyn Keys>,
}

impl Guard {
    pub(crate) fn new(vault: Arc<Vault>, keys: Arc<dyn Keys>) -> Self {
        Self { papers: Papers::new(vault), keys }
    }

    fn asker(&self, cx: &mut S3AccessContext<'_>) -> S3Result<Asker> {
        let ip = cx.extensions_mut().get::<From>().map(|from| from.0);
        let Some(credentials) = cx.credentials() else {
            return Ok(Asker { who: Principal::Anonymous, rights: Rights::all(), ip });
        };
        let holder = self.keys.holder(&credentials.access_key).ok_or_else(unknown)?;
        check_signed_parts(cx.uri(), cx.headers())?;
        Ok(Asker { who: holder.who, rights: holder.rights, ip })
    }

    /// Whether the asker may do it; an error says why not, or that there is no such thing.
    pub(crate) async fn may(&self, asker: &Asker, wish: &Wish<'_>) -> S3Result<()> {
        let Some((bucket, _)) = self.papers.vault.bucket_named(wish.bucket) else {
            // Neither a stranger nor a key that is for other buckets hears which there are.
            let rights = &asker.rights;
            return Err(if asker.who == Principal::Anonymous {
                denied(&Why::Unsigned(wish.action.name))
            } else if rights.ended(known::now()) {
                denied(&Why::KeyEnded)
            } else if !rights.reaches(wish.bucket) {
                denied(&Why::KeyBucket(wish.bucket.to_owned()))
            } else {
                refusal::no_such_bucket()
            });
        };
        let paper = self.papers.of_bucket(bucket)?;
        let mut context = std::borrow::Cow::Borrowed(&wish.context);
        if let Some(key) = wish.key
            && paper.policy.as_ref().is_some_and(|policy| policy.asks_for_tags())
        {
            let tags = self.papers.tags(bucket, key, wish.version).await?;
            let tags = form_urlencoded::parse(tags.as_bytes());
            known::add_tags(context.to_mut(), "Existing", tags);
        }
        let object_acl = match wish.key {
            Some(key) if paper.ownership.lists_count() && asker.who != Principal::REALM => {
                self.papers.acl_of(bucket, key, wish.version).await?
            }
            _ => None,
        };
        let asked = |action, key, context| Asked {
            who: &asker.who,
            rights: &asker.rights,
            action,
            bucket: wish.bucket,
            key,
            context,
            now: known::now(),
        };
        let documents = paper.documents(object_acl.as_ref());
        let decision = decide(&asked(wish.action, wish.key, &context), &documents);
        let Some(key) = wish.key.filter(|_| wish.action.right == Right::Read) else {
            return answer(&decision);
        };
        // Whether a key is there is for those to know who may list it, and for nobody else.
        let mut listing = context.clone().into_owned();
        listing.set("s3:prefix", key);
        let lists = Action::of_operation("ListObjectsV2", false);
        let lists = decide(&asked(lists, None, &listing), &documents) == Decision::Allowed;
        if lists == (decision == Decision::Allowed) || self.papers.is_there(bucket, key, wish.version).await?
        {
            return answer(&decision);
        }
        if lists {
            Err(refusal::of_get(&GetError::NoSuchKey))
        } else {
            Err(denied(&Why::Nothing { who: asker.who.shown(), action: "ListBucket" }))
        }
    }

    /// What headers ask for besides the operation itself: locks, and to pass over them.
    pub(crate) async fn may_besides(
        &self,
        asker: &Asker,
        wish: &Wish<'_>,
        headers: &HeaderMap,
    ) -> S3Result<()> {
        let bypass = known::text(headers, "x-amz-bypass-governance-retention");
        let besides = [
            (bypass.is_some_and(|on| on.eq_ignore_ascii_case("true")), "BypassGovernanceRetention"),
            (headers.contains_key("x-amz-object-lock-mode"), "PutObjectRetention"),
            (headers.contains_key("x-amz-object-lock-legal-hold"), "PutObjectLegalHold"),
        ];
        for (_, action) in besides.into_iter().filter(|(asked, _)| *asked) {
            let action = Action::of_operation(action, false);
            self.may(asker, &Wish { action, context: wish.context.clone(), ..*wish }).await?;
        }
        Ok(())
    }

    /// What concerns no bucket, or one that is not there yet.
    fn may_at_large(asker: &Asker, operation: &str, bucket: Option<&str>) -> S3Result<()> {
        let action = Action::of_operation(operation, false);
        let rights = &asker.rights;
        let why = if asker.who == Principal::Anonymous {
            Some(Why::Unsigned(action.name))
        } else if rights.ended(known::now()) {
            Some(Why::KeyEnded)
        } else if let Some(bucket) = bucket.filter(|bucket| !rights.reaches(bucket)) {
            Some(Why::KeyBucket(bucket.to_owned()))
        } else {
            (!rights.allow.contains(&action.right)).then_some(Why::KeyRight(action.right))
        };
        why.map_or(Ok(()), |why| Err(denied(&why)))
    }

    async fn may_read_source(
        &self,
        asker: &Asker,
        wish: &Wish<'_>,
        header: &str,
        expected: Option<&str>,
    ) -> S3Result<()> {
        // What is not readable is refused with its own words where it is used.
        let Ok(CopySource::Bucket { bucket, key, version_id }) = CopySource::parse(header) else {
            return Ok(());
        };
        let version_id = version_id.filter(|version| !version.is_empty());
        let source = Wish {
            action: Action::of_operation("GetObject", version_id.is_some()),
            bucket: &bucket,
            key: Some(&key),
            version: version_id.as_deref(),
            context: wish.context.clone(),
        };
        self.may(asker, &source).await?;
        self.is_owned_as_expected(&bucket, expected)
    }

    /// Some clients say whose they take a bucket for, lest they write into a stranger's.
    fn is_owned_as_expected(&self, bucket: &str, expected: Option<&str>) -> S3Result<()> {
        let Some(expected) = expected else { return Ok(()) };
        let Some((bucket, _)) = self.papers.vault.bucket_named(bucket) else { return Ok(()) };
        let owner = self.papers.of_bucket(bucket)?.owner;
        if owner.to_string() == expected {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "Access Denied: the bucket is not owned by {}.", expected))
    }

    /// The buckets that a principal sees in its list: its own, and those that its key names. The
    /// realm's owner sees all.
    pub(crate) fn shown(
        &self,
        asker: &Asker,
        buckets: BTreeMap<BucketId, BucketInfo>,
    ) -> S3Result<Vec<BucketInfo>> {
        let mut shown = Vec::new();
        for (id, info) in buckets {
            let rights = &asker.rights;
            if rights.reaches(&info.name)
                && (rights.names(&info.name)
                    || owns(&asker.who, rights, &info.name, &self.papers.of_bucket(id)?.owner))
            {
                shown.push(info);
            }
        }
        Ok(shown)
    }

    /// Takes out of a list the keys that may not be deleted, and says why of each.
    pub(crate) async fn strain(
        &self,
        req: &mut S3Request<DeleteObjectsInput>,
    ) -> S3Result<Vec<(s3s::dto::ObjectIdentifier, S3Error)>> {
        let asker = Asker::of(&req.extensions)?;
        let context = known::context(asker, "DeleteObjects", &req.uri, &req.headers);
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        for object in std::mem::take(&mut req.input.delete.objects) {
            let version = object.version_id.as_deref().filter(|version| !version.is_empty());
            let wish = Wish {
                action: Action::of_operation("DeleteObject", version.is_some()),
                bucket: &req.input.bucket,
                key: Some(&object.key),
                version,
                context: context.clone(),
            };
            let may = match self.may(asker, &wish).await {
                Ok(()) => self.may_besides(asker, &wish, &req.headers).await,
                refused => refused,
            };
            match may {
                Ok(()) => kept.push(object),
                Err(error) => refused.push((object, error)),
            }
        }
        req.input.delete.objects = kept;
        Ok(refused)
    }
}

fn answer(decision: &Decision) -> S3Result<()> {
    match decision {
        Decision::Allowed => Ok(()),
        Decision::Denied(why) => Err(denied(why)),
    }
}

pub(crate) fn denied(why: &Why) -> S3Error {
    s3_error!(AccessDenied, "Access Denied: {}.", why)
}

/// The guard as `s3s` asks it.
pub(crate) struct Shared(pub(crate) Arc<Guard>);

#[async_trait::async_trait]
impl S3Access for Shared {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let guard = &self.0;
        let asker = guard.asker(cx)?;
        let operation = cx.s3_op().name();
        let (bucket, key) = match cx.s3_path() {
            S3Path::Root => (None, None),
            S3Path::Bucket { bucket } => (Some(&**bucket), None),
            S3Path::Object { bucket, key } => (Some(&**bucket), Some(&**key)),
        };
        let version = known::field(cx.uri(), "versionId").filter(|version| !version.is_empty());
        let judged = bucket.map(|bucket| JudgedBy::now(&guard.papers.vault, bucket));
        match (bucket, operation) {
            (None, _) | (_, "CreateBucket") => Guard::may_at_large(&asker, operation, bucket)?,
            // Asked when the body is there.
            (Some(_), "DeleteObjects" | "PutObjectTagging") => {}
            (Some(bucket), _) => {
                let wish = Wish {
                    action: Action::of_operation(operation, version.is_some()),
                    bucket,
                    key,
                    version: version.as_deref(),
                    context: known::context(&asker, operation, cx.uri(), cx.headers()),
                };
                guard.may(&asker, &wish).await?;
                guard.may_besides(&asker, &wish, cx.headers()).await?;
                guard.is_owned_as_expected(bucket, known::text(cx.headers(), EXPECTED_OWNER))?;
                if let Some(source) = known::text(cx.headers(), "x-amz-copy-source") {
                    let expected = known::text(cx.headers(), EXPECTED_SOURCE_OWNER);
                    guard.may_read_source(&asker, &wish, source, expected).await?;
                }
            }
        }
        extras::check_read(operation, cx.headers())?;
        extras::check(cx.headers())?;
        // What somebody unknown asks in a body is not allowed yet.
        if asker.who != Principal::Anonymous || !matches!(operation, "DeleteObjects" | "PutObjectTagging") {
            Pass::let_in(cx.extensions_mut());
        }
        cx.extensions_mut().insert(asker);
        if let Some(judged) = judged {
            cx.extensions_mut().insert(judged);
        }
        Ok(())
    }

    async fn put_object(&self, req: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        let bucket = req.input.bucket.clone();
        self.0.set_list(req, &bucket)
    }

    async fn copy_object(&self, req: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        let bucket = req.input.bucket.clone();
        self.0.set_list(req, &bucket)
    }

    async fn create_multipart_upload(&self, req: &mut S3Request<CreateMultipartUploadInput>) -> S3Result<()> {
        let bucket = req.input.bucket.clone();
        self.0.set_list(req, &bucket)
    }

    async fn put_object_tagging(&self, req: &mut S3Request<PutObjectTaggingInput>) -> S3Result<()> {
        let asker = Asker::of(&req.extensions)?;
        let mut context = known::context(asker, "PutObjectTagging", &req.uri, &req.headers);
        let tags = req.input.tagging.tag_set.iter().filter_map(|tag| {
            Some((tag.key.as_deref()?.into(), tag.value.as_deref().unwrap_or_default().into()))
        });
        known::add_tags(&mut context, "Request", tags);
        let version = req.input.version_id.as_deref().filter(|version| !version.is_empty());
        let wish = Wish {
            action: Action::of_operation("PutObjectTagging", version.is_some()),
            bucket: &req.input.bucket,
            key: Some(&req.input.key),
            version,
            context,
        };
        self.0.may(asker, &wish).await
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

//! Buckets that are somebody's: made with an owner, a list, and a word on whose their objects are.

use freehold_access::{Acl, Ownership, Principal};
use freehold_seal::Setting;
use freehold_wire::BucketId;
use s3s::dto::CreateBucketInput;
use s3s::{S3Request, S3Result, s3_error};

use crate::access::Asker;
use crate::front::Front;

/// What is said of a bucket when it is made.
pub(crate) struct NewBucket {
    owner: Principal,
    acl: Option<Acl>,
    ownership: Option<Ownership>,
}

impl Front {
    /// What a request to make a bucket says of it.
    pub(crate) fn new_bucket(&self, req: &S3Request<CreateBucketInput>) -> S3Result<NewBucket> {
        let owner = Asker::of(&req.extensions)?.who.clone();
        let ownership = match &req.input.object_ownership {
            None => None,
            Some(name) => Some(Ownership::named(name.as_str()).ok_or_else(|| {
                s3_error!(InvalidArgument, "Invalid x-amz-object-ownership header: {}", name.as_str())
            })?),
        };
        let acl = self.guard.list_of_new_bucket(&req.headers, &owner, ownership.unwrap_or_default())?;
        Ok(NewBucket { owner, acl, ownership })
    }

    /// The name is taken: by the asker with the same words, which is as good as made now (as in Amazon's
    /// first region), by somebody else, or with other words.
    pub(crate) fn exists(&self, name: &str, new: &NewBucket) -> S3Result<()> {
        let paper = self.bucket(name).and_then(|bucket| self.guard.papers.of_bucket(bucket));
        let private = Acl::private(new.owner.clone());
        match paper {
            Ok(paper)
                if paper.owner == new.owner
                    && paper.acl.as_ref().unwrap_or(&private) == new.acl.as_ref().unwrap_or(&private) =>
            {
                Ok(())
            }
            _ => Err(s3_error!(
                BucketAlreadyExists,
                "The requested bucket name is not available. Choose another."
            )),
        }
    }

    /// Writes down what was said of a bucket that was just made. Until then it is the realm owner's.
    pub(crate) async fn belongs(&self, bucket: &BucketId, new: NewBucket) -> S3Result<()> {
        let NewBucket { owner, acl, ownership } = new;
        if let Some(ownership) = ownership {
            self.say(bucket, Setting::OwnershipControls, Some(ownership.name().into())).await?;
        }
        if let Some(acl) = acl {
            self.say(bucket, Setting::Acl, Some(acl.to_bytes())).await?;
        }
        if owner != Principal::REALM {
            self.say(bucket, Setting::Owner, Some(owner.to_string().into_bytes())).await?;
        }
        Ok(())
    }
}

//! Keys of buckets, asked of a node.

use axum::body::Body;
use bytes::Bytes;
use http::Method;

use super::{Client, collect, request, segment};
use crate::{
    BucketKeys, BucketStatus, Erasure, ErasurePlan, LOG_MAX, NewPrivateBucket, ObjectErasurePlan,
    ObjectToErase, Problem, Rewrapped, Rotated, Rotation, Share,
};

impl Client {
    /// A bucket's keys.
    pub async fn bucket_keys(&self, bucket: &str) -> Result<BucketKeys, Problem> {
        self.get(&format!("/buckets/{}/keys", segment(bucket))).await
    }

    /// Makes new keys.
    pub async fn rotate(&self, wish: &Rotation) -> Result<Rotated, Problem> {
        self.send(Method::POST, "/rotations", wish).await
    }

    /// Seals with a bucket's newest key what earlier ones sealed, as much as a minute allows.
    pub async fn rewrap(&self, bucket: &str) -> Result<Rewrapped, Problem> {
        self.send(Method::POST, &format!("/buckets/{}/rewrap", segment(bucket)), &()).await
    }

    /// Lets somebody have a bucket's keys.
    pub async fn share(&self, bucket: &str, wish: &Share) -> Result<BucketKeys, Problem> {
        self.send(Method::POST, &format!("/buckets/{}/holders", segment(bucket)), wish).await
    }

    /// Gives them no key that is made from now on.
    pub async fn unshare(&self, bucket: &str, with: &str) -> Result<BucketKeys, Problem> {
        let path = format!("/buckets/{}/holders/{}", segment(bucket), segment(with));
        self.send(Method::DELETE, &path, &()).await
    }

    /// What erasing a bucket would come to.
    pub async fn plan_erasure(&self, bucket: &str) -> Result<ErasurePlan, Problem> {
        self.get(&format!("/buckets/{}/erasure", segment(bucket))).await
    }

    /// Erases a bucket with all that is in it.
    pub async fn erase(&self, bucket: &str) -> Result<Erasure, Problem> {
        self.send(Method::POST, &format!("/buckets/{}/erasure", segment(bucket)), &()).await
    }

    /// What erasing an object would come to.
    pub async fn plan_object_erasure(
        &self,
        bucket: &str,
        wish: &ObjectToErase,
    ) -> Result<ObjectErasurePlan, Problem> {
        let path = format!("/buckets/{}/object-erasure-plans", segment(bucket));
        self.send(Method::POST, &path, wish).await
    }

    /// Erases an object with all its versions.
    pub async fn erase_object(&self, bucket: &str, wish: &ObjectToErase) -> Result<Erasure, Problem> {
        self.send(Method::POST, &format!("/buckets/{}/object-erasures", segment(bucket)), wish).await
    }

    /// Every erasure, the newest first.
    pub async fn erasures(&self) -> Result<Vec<Erasure>, Problem> {
        self.get("/erasures").await
    }

    /// The receipt of an erasure, as a file.
    pub async fn receipt(&self, erasure: &str) -> Result<Bytes, Problem> {
        let path = format!("/erasures/{}/receipt", segment(erasure));
        collect(self.ask(request(Method::GET, &path, Body::empty())?).await?, LOG_MAX).await
    }

    /// Makes a bucket whose key only those get who are named.
    pub async fn create_private_bucket(&self, wish: &NewPrivateBucket) -> Result<BucketStatus, Problem> {
        self.send(Method::POST, "/private-buckets", wish).await
    }
}

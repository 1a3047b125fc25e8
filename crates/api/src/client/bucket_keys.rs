//! Keys of buckets, asked of a node.

use http::Method;

use super::{Client, segment};
use crate::{BucketKeys, BucketStatus, NewPrivateBucket, Problem, Rewrapped, Rotated, Rotation, Share};

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

    /// Makes a bucket whose key only those get who are named.
    pub async fn create_private_bucket(&self, wish: &NewPrivateBucket) -> Result<BucketStatus, Problem> {
        self.send(Method::POST, "/private-buckets", wish).await
    }
}

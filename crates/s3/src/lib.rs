//! The S3 front: what rclone, the AWS tools and SDKs say, in the vault's words. It must never
//! do anything that `freehold-access` did not allow, hold an object in memory, or keep anything itself:
//! objects are the vault's, access keys ([`Keys`]) and making or ending a bucket ([`Buckets`]) the
//! node's. What is supported and what is not stands in `docs/s3-compatibility.md`. Start reading at
//! [`serve`], then `gate`, then `access::guard`, then `front`.

mod access;
mod answer;
mod body;
mod buckets;
mod chunked;
mod condition;
mod copy;
mod cors;
mod credentials;
mod digest;
mod extras;
mod form;
mod front;
mod gate;
mod hosts;
mod keys;
mod lifecycle;
mod listing;
mod lists;
mod lock;
mod meta;
mod object;
mod owned;
mod papers;
mod parts_sum;
mod pass;
mod policies;
mod post;
mod refusal;
mod server;
mod straining;
mod tagging;
mod upload;
mod versions;
mod website;

pub use buckets::{Buckets, BucketsError};
pub use credentials::Credentials;
pub use hosts::Hosts;
pub use keys::{Holder, Keys};
pub use server::{Limits, ServeError, serve, serve_within};

//! Who may do what to a bucket and its objects: principals, bucket policies in AWS's language, access
//! control lists, what a public access block forbids, and the rights of an access key. It must never
//! do I/O, read a clock or draw randomness. Start reading at [`decide`].
//!
//! A document that is not understood to the last word is refused when it is set: a condition that is
//! skipped, or a principal that nobody is, may allow more than its author meant.

mod acl;
mod action;
mod condition;
mod context;
mod decide;
mod pattern;
mod policy;
mod principal;
mod public;
mod rights;

pub use acl::{Acl, AclError, Canned, Grant, Grantee, Permission};
pub use action::{Action, Need};
pub use condition::ConditionError;
pub use context::Context;
pub use decide::{Asked, Decision, Documents, Why, decide, owns};
pub use policy::{POLICY_MAX, Policy, PolicyError};
pub use principal::{Account, Principal, PrincipalError, ServiceName};
pub use public::{Ownership, PublicAccessBlock};
pub use rights::{Right, Rights, RightsError};

#[cfg(test)]
mod tests;

//! What the entries of a bucket add up to: which versions of which objects there are, what is said of
//! them, how the bucket is set, what is needed no longer. It is a pure fold: the same entries give the
//! same index in any order of arrival, on every node, with no leader. It must never do I/O or read a
//! clock. Start reading at [`Fact`], then [`State`], then [`Index`].

mod etag;
mod fact;
mod history;
mod index;
mod lifecycle;
mod list;
mod lock;
mod settings;
mod state;
mod version;
mod words;
mod writers;

pub use etag::{Etag, EtagError};
pub use fact::{Fact, Says};
pub use history::{History, Living};
pub use index::{BucketIndex, Carried, Due, Index};
pub use lifecycle::{
    Action, DAY, Expiration, Filter, Lifecycle, Noncurrent, RULES_MAX, Rule, Seen, Spelled, due,
};
pub use list::{Item, ListQuery, Listed, VersionItem, VersionQuery, versions, walk};
pub use lock::{
    DefaultRetention, Locked, Locks, Mode, ObjectLock, Period, Retention, may_remove, may_retain,
};
pub use settings::{Settings, Unsettable, Versioning};
pub use state::{Plan, State, plan_delete};
pub use version::{Locator, Row, Stamp, Version, VersionError};
pub use words::{Word, is_of_each};
pub use writers::Writers;

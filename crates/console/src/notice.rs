//! What just happened, said once on the page that a form leads to.

use serde::{Deserialize, Serialize};

/// A fixed set, so that a link from elsewhere cannot put words into our mouth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    Sent,
    Deleted,
    BucketMade,
    BucketDeleted,
    Renamed,
    Suspended,
    Lifted,
    Withdrawn,
}

impl Notice {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Sent => "It is stored.",
            Self::Deleted => "It is deleted.",
            Self::BucketMade => "The bucket is ready: put something in.",
            Self::BucketDeleted => "The bucket is gone.",
            Self::Renamed => "It has its new name.",
            Self::Suspended => "Its rights are taken away until you lift the suspension.",
            Self::Lifted => "It has its rights back.",
            Self::Withdrawn => "Nobody can use that invitation any more.",
        }
    }
}

/// Behind the question mark of a page's address.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Told {
    pub(crate) notice: Option<Notice>,
}

impl Told {
    pub(crate) fn text(&self) -> &'static str {
        self.notice.map_or("", Notice::text)
    }
}

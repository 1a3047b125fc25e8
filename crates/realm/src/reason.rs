//! Why an operation of the set has no effect, or not yet. Plain data, with words for people.

use std::fmt;

use freehold_wire::OpId;

/// Why an operation has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// `prev` is not its author's operation with the number before.
    BrokenChain,
    /// The author's key signed two operations with one number, at or before this one.
    Equivocation {
        /// One of the two.
        proof: OpId,
    },
    /// It comes after the last operation that a revocation of its author accepts.
    Revoked {
        /// The revocation.
        by: OpId,
    },
    /// It is held as long as its author is suspended.
    Held {
        /// The suspension.
        by: OpId,
    },
    /// Its author was suspended when writing it, and knew.
    Suspended,
    /// Its author had no place in the realm at that point.
    Stranger,
    /// Its author came in by an operation that is void.
    Cascade {
        /// The void operation.
        of: OpId,
    },
    /// Its author may not do this.
    NotAllowed(Need),
    /// Not enough admins, or guardians, have signed it.
    TooFewSignatures {
        /// Signatures that count.
        have: u32,
        /// Signatures needed.
        need: u32,
    },
    /// It was completed too late: two checkpoints or fourteen days have passed over it.
    Lapsed,
    /// It names an epoch that its author cannot have known.
    EpochAhead,
    /// A checkpoint that has it in its past does not list it among what stands.
    LeftOut {
        /// The checkpoint or recovery.
        by: OpId,
    },
    /// A checkpoint or recovery that another one outranks.
    Overtaken,
    /// A checkpoint or recovery that does not follow a valid one.
    NoBase,
    /// A recovery that waits for its 72 hours, or that the admins vetoed.
    Waiting,
    /// A recovery that was vetoed; the veto is behind a checkpoint.
    Vetoed,
    /// A majority signed something that this program is too old to understand.
    NewerThanMe,
    /// A kind of operation that this program is too old to understand.
    UnknownKind,
    /// It would leave the realm without an admin.
    LastAdmin,
    /// What it is about does not exist.
    NoSuch(Thing),
    /// What it would make exists already, or its key is used for something else.
    InUse(Thing),
    /// The invitation had lapsed.
    InvitationLapsed,
    /// The person's statement inside does not fit their chain.
    Statement,
    /// Its numbers do not fit each other.
    Numbers,
    /// A person's chain has no room for it.
    ChainFull,
    /// It would take the role `secrets` from a node that stays.
    KeepsSecrets,
    /// It undoes what it stands on.
    SelfDefeating,
}

/// What an author would have had to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// An admin.
    Admin,
    /// An admin, an operator or a gateway node.
    Operator,
    /// An admin or an operator: a node does not change where a bucket may lie.
    Person,
    /// An admin or an operator, or the only machine that it is about, for its own realm.
    Home,
    /// An admin, or the member concerned.
    Member,
    /// A device of the person concerned.
    OwnDevice,
    /// The key of an invitation.
    Invitation,
    /// The node itself, or an admin.
    NodeOrAdmin,
    /// An inviter who is still an admin.
    Inviter,
    /// A device of one of the admins that the recovery names.
    NewAdmin,
    /// A present guardian as co-signer.
    Guardian,
    /// An admin's device or a node that does more than store, as co-signer.
    Door,
}

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A member.
    Member,
    /// A device.
    Device,
    /// A node.
    Node,
    /// An invitation.
    Invitation,
    /// A grant.
    Grant,
    /// A bucket.
    Bucket,
    /// A suspension.
    Suspension,
    /// A guardian.
    Guardian,
    /// A recovery.
    Recovery,
    /// A key.
    Key,
    /// A service.
    Service,
    /// A rule of who may reach whom.
    Rule,
    /// A phone.
    Phone,
    /// An address.
    Address,
    /// A network behind a node.
    Route,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Member => "member",
            Self::Device => "device",
            Self::Node => "node",
            Self::Invitation => "invitation",
            Self::Grant => "grant",
            Self::Bucket => "bucket",
            Self::Suspension => "suspension",
            Self::Guardian => "guardian",
            Self::Recovery => "recovery",
            Self::Key => "key",
            Self::Service => "service",
            Self::Rule => "rule",
            Self::Phone => "phone",
            Self::Address => "address",
            Self::Route => "network",
        })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "an admin",
            Self::Operator => "an admin, an operator or a gateway node",
            Self::Person => "an admin or an operator: a node does not change where a bucket may lie",
            Self::Home => "an admin or an operator, or a machine for what it alone offers to its own realm",
            Self::Member => "an admin, or the member whose phone it is",
            Self::OwnDevice => "another device of the same person",
            Self::Invitation => "the key of an open invitation",
            Self::NodeOrAdmin => "the node itself or an admin",
            Self::Inviter => "a newcomer whose inviter is still an admin with a device that is not suspended",
            Self::NewAdmin => "a device of one of the new admins",
            Self::Guardian => "a present guardian, as co-signer",
            Self::Door => "a newcomer whom an admin or a node that does more than store lets in",
        })
    }
}

impl Reason {
    /// A fixed short name, for test vectors and for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BrokenChain => "broken-chain",
            Self::Equivocation { .. } => "equivocation",
            Self::Revoked { .. } => "revoked",
            Self::Held { .. } => "held",
            Self::Suspended => "suspended",
            Self::Stranger => "stranger",
            Self::Cascade { .. } => "cascade",
            Self::NotAllowed(_) => "not-allowed",
            Self::TooFewSignatures { .. } => "too-few-signatures",
            Self::Lapsed => "lapsed",
            Self::EpochAhead => "epoch-ahead",
            Self::LeftOut { .. } => "left-out",
            Self::Overtaken => "overtaken",
            Self::NoBase => "no-base",
            Self::Waiting => "waiting",
            Self::Vetoed => "vetoed",
            Self::NewerThanMe => "newer-than-me",
            Self::UnknownKind => "unknown-kind",
            Self::LastAdmin => "last-admin",
            Self::NoSuch(_) => "no-such",
            Self::InUse(_) => "in-use",
            Self::InvitationLapsed => "invitation-lapsed",
            Self::Statement => "statement",
            Self::Numbers | Self::ChainFull => "numbers",
            Self::KeepsSecrets => "keeps-secrets",
            Self::SelfDefeating => "self-defeating",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrokenChain => f.write_str("it does not follow its author's operation before it"),
            Self::Equivocation { proof } => {
                write!(
                    f,
                    "its key signed two operations with one number (see {}): copied or stolen",
                    proof.short()
                )
            }
            Self::Revoked { by } => write!(f, "its author's key was revoked before it, by {}", by.short()),
            Self::Held { by } => {
                write!(f, "its author is suspended by {}; it counts once that is lifted", by.short())
            }
            Self::Suspended => f.write_str("its author was suspended"),
            Self::Stranger => f.write_str("its author had no place in the realm"),
            Self::Cascade { of } => write!(f, "its author came in by {}, which is void", of.short()),
            Self::NotAllowed(need) => write!(f, "only {need} may do this"),
            Self::TooFewSignatures { have, need } => write!(f, "{have} of the {need} signatures it needs"),
            Self::Lapsed => f.write_str("completed too late: two checkpoints or 14 days had passed"),
            Self::EpochAhead => f.write_str("it names an epoch that its author cannot have known"),
            Self::LeftOut { by } => write!(f, "history was fixed without it, by {}", by.short()),
            Self::Overtaken => f.write_str("another checkpoint or recovery outranks it"),
            Self::NoBase => f.write_str("it does not follow a valid checkpoint or recovery"),
            Self::Waiting => f.write_str("a recovery that waits for its 72 hours or was vetoed"),
            Self::Vetoed => {
                f.write_str("the admins objected to this recovery, and a checkpoint made that final")
            }
            Self::NewerThanMe => f.write_str("the realm uses a newer program; update this one first"),
            Self::UnknownKind => f.write_str("this program is too old to understand it"),
            Self::LastAdmin => f.write_str("it would leave the realm without an admin"),
            Self::NoSuch(thing) => write!(f, "the {thing} it is about does not exist"),
            Self::InUse(thing) => write!(f, "the {thing} is there already"),
            Self::InvitationLapsed => f.write_str("the invitation had lapsed"),
            Self::Statement => f.write_str("the statement inside does not fit the person's chain"),
            Self::Numbers => f.write_str("its numbers do not fit each other"),
            Self::ChainFull => f.write_str("its person has said of devices as much as a person can"),
            Self::KeepsSecrets => {
                f.write_str("a node that holds the realm's secrets does so until it is suspended or removed")
            }
            Self::SelfDefeating => f.write_str("it undoes what it stands on"),
        }
    }
}

//! The one HTTP API of a node: what can be asked, what is answered, and what goes wrong, with its
//! OpenAPI document made from the code. The command line asks over a Unix socket, the console in
//! process, both through [`Client`]; the node answers by implementing [`Control`]. It must never
//! decide anything itself, keep state other than console sessions, or know what stores and carries
//! the data. Start reading at [`Control`], then `server`.

mod problem;

mod addresses;
mod alarm;
mod backend;
mod backup;
mod bucket;
mod bucket_keys;
mod choice;
mod door;
mod erasure;
mod filter;
mod forward;
mod grant;
mod invitation;
mod key;
pub mod kv;
mod mapping;
mod net;
mod node;
mod object;
mod onion;
mod people;
mod phone;
mod place;
mod pool;
mod quota;
mod realm;
mod status;
mod tenant;
pub mod words;
mod zfs;

mod control;
mod server;
mod session;

mod client;

/// The largest exported log that is read, in bytes: one of 100,000 operations takes about 50 MB.
pub const LOG_MAX: usize = 512 * 1024 * 1024;

pub use addresses::{AddressBy, AddressControl, AddressFamily, NewAddress, PublishedAddress};
pub use alarm::{AlarmChannel, AlarmControl, NewAlarmChannel};
pub use backend::{
    Attached, BackendControl, BackendState, BackendStatus, Detach, Detached, FoundRealm, NewBackend,
    NewStore, PackLine, Probed, StoresChecked, StoresToCheck, WhatIsLeft, WrongPack,
};
pub use backup::{
    BackupAsked, BackupBytes, BackupCheck, BackupChecked, BackupCompared, BackupControl, BackupEntry,
    BackupEntryKind, BackupEvent, BackupEvents, BackupFate, BackupFinding, BackupForget, BackupForgotten,
    BackupFound, BackupHit, BackupKeep, BackupKept, BackupLook, BackupMetered, BackupMount, BackupMounted,
    BackupNode, BackupNodeKind, BackupPace, BackupPassword, BackupPlace, BackupProgress, BackupRead,
    BackupRestore, BackupRestored, BackupRoot, BackupRun, BackupShare, BackupSnapshot, BackupSought,
    BackupSpare, BackupStanding, BackupStatus, BackupTarget, BackupThing, BackupThingKind, BackupThinned,
    BackupTree, BackupTrial, BackupUnprotected, BackupUpkeep, BackupWould, Backups, NewBackup,
    NewBackupTarget,
};
pub use bucket::{
    BucketAccess, BucketStatus, Damage, NewBucket, Protection, VerifyEvent, VerifyFinding, VerifyReport,
};
pub use bucket_keys::{
    BucketKeys, KeyControl, KeyHolder, NewPrivateBucket, Rewrapped, Rotated, Rotation, Sealed, Share,
};
pub use choice::{ChoiceControl, NetUse, NetUseSetting};
pub use client::{Client, NO_NODE};
pub use control::{ByteStream, Control, VerifyEvents};
pub use door::{
    AuthoritySetting, CertificatesStatus, DoorControl, DoorCount, NameStanding, Proof, PublishedService,
    Publishing, RealmAuthority, ServiceChange, ShownHere, TlsEnds, ZoneServerSetting,
};
pub use erasure::{Erasure, ErasureNode, ErasurePlan, ErasureUnderWay, ObjectErasurePlan, ObjectToErase};
pub use filter::{
    FilterChange, FilterControl, FilterCount, FilterExplanation, FilterForward, FilterGroup,
    FilterGroupCount, FilterHour, FilterHours, FilterKeep, FilterList, FilterQuestion, FilterRecord,
    FilterRule, FilterServer, FilterStats, FilterStatus,
};
pub use forward::{ForwardControl, NetForward, NewForward};
pub use freehold_ports::Source;
pub use grant::{
    GrantControl, GrantMachine, GrantOffered, GrantReceipt, GrantResource, GrantRoom, GrantService,
    GrantSide, GrantStanding, GrantStatus, GrantToAccept, NewGrant, RealmCard, RoomPhase,
};
pub use invitation::{Invitation, InvitationStatus, NewInvitation};
pub use key::{KeyRight, KeyStatus, MadeKey, NewKey};
pub use mapping::MappedPort;
pub use net::{
    Carried, Explanation, NetControl, NetNode, NetNodeSetting, NetPhone, NetRefused, NetRule, NetService,
    NetSetting, NetStatus, NewRule, NewService, PhoneSeen, Question, Reach, SaidBy,
};
pub use node::{NewName, NodeStatus, Path, Role, Standing, node_named};
pub use object::{ByteRange, ListQuery, Listing, ObjectInfo, ObjectRead, PutOptions, encode_path};
pub use onion::{OnionClient, OnionControl, OnionKey, OnionSetting, OnionState, OnionStatus};
pub use people::{BucketOfPerson, PeopleControl, PersonErasurePlan, PersonStatus, PersonToErase};
pub use phone::{NewPhone, PhoneControl, PhoneKey, PhoneSettings};
pub use place::{BucketChange, BucketRules, Burden, CopiesCount, NodePlace, NodeSetting};
pub use pool::{
    NewPool, PoolBalance, PoolChange, PoolControl, PoolDecide, PoolHanded, PoolLending, PoolMember,
    PoolPapers, PoolProposal, PoolRules, PoolShare, PoolStatus, PoolToJoin, PoolToSign,
};
pub use problem::{Problem, ProblemKind};
pub use quota::{QuotaSetting, QuotaWhose, UsageStatus};
pub use realm::{
    Audit, AuditNode, AuditState, Card, Checkpoint, GuardianTest, ImportReport, Phrase, Refusal,
};
pub use server::{openapi, openapi_json, router};
pub use session::{
    KnownAs, SessionCookie, Sessions, SetupCode, TypedCode, foreign_host, guard, own_host, same_origin,
};
pub use status::{
    ChecklistItem, Doctor, Endpoints, Finding, Level, LogStatus, PlaneState, PlaneStatus, RealmName,
    RecoveryStatus, Status, StorageStatus,
};
pub use tenant::{TenantBucket, TenantMove, TenantMoved, TenantSide, TenantStage};
pub use zfs::{ZfsAsked, ZfsBackup, ZfsControl, ZfsDataset, ZfsDeclaration, ZfsKept, ZfsStatus, ZfsTarget};

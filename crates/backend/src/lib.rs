//! A depot on a foreign object store: any S3, whoever runs it, or room that another realm lends. Nobody has to trust it: what lies
//! there is sealed once more, under random names, in packs of few sizes, and what comes back is
//! checked. It must never give out a byte that is not what was stored, say that something is
//! stored before it was seen there, or hold a key of a bucket. Start reading at [`open`] and
//! [`Packed`].

mod answer;
mod beside;
mod claim;
mod connect;
mod credentials;
mod erase;
mod error;
mod journal;
mod lent;
mod letter;
mod open;
mod outside;
mod pack;
mod packed;
mod probe;
mod reach;
mod repository;
mod settings;
mod sizes;
mod slowly;
mod spread;

pub use beside::Beside;
pub use claim::{ClaimError, Claims, Holder};
pub use connect::{ConnectError, connect};
pub use credentials::{Credentials, CredentialsError};
pub use erase::{Erased, erase, holds_packs};
pub use error::{Damage, PackError};
pub use journal::{Cutter, Part, Sum, SumError};
pub use lent::{Errands, Failed, Lent};
pub use letter::{Head, Inside, Letter, LetterError, Sealed};
pub use open::{OpenError, Stores, look, open, stores};
pub use outside::{Checked, Wrong, check_outside};
pub use packed::{Audit, BadPack, Inventory, MapError, Pace, Packed, PartAt, State, check};
pub use probe::{Answer, Found, Note, ProbeError, Refusal, probe};
pub use reach::{ReachError, reach};
pub use repository::{Lies, Rented, place_of};
pub use settings::{Settings, SettingsError};
pub use spread::{Counts, Mended, Spread, SpreadError};

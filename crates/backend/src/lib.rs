//! A depot on a foreign object store: any S3, whoever runs it. Nobody has to trust it: what lies
//! there is sealed once more, under random names, in packs of few sizes, and what comes back is
//! checked. It must never give out a byte that is not what was stored, say that something is
//! stored before it was seen there, or hold a key of a bucket. Start reading at [`open`].

mod connect;
mod credentials;
mod open;
mod settings;

pub use connect::{ConnectError, connect};
pub use credentials::{Credentials, CredentialsError};
pub use open::{OpenError, open};
pub use settings::{Settings, SettingsError};

//! The web console: pages that a person understands, made on the node and whole without JavaScript.
//! It asks the node only through the API's [`Client`], keeps nothing, and must never fetch anything
//! from elsewhere, run what people store, or show a page to somebody who has not signed in. Start
//! reading at [`router`], then `home`.
//!
//! [`Client`]: freehold_api::Client

mod assets;
mod fault;
mod frame;
mod gate;
mod notice;
mod qr;
mod routes;
mod words;

mod backups;
mod buckets;
mod files;
mod filter;
mod grants;
mod health;
mod home;
mod network;
mod nodes;
mod pools;
mod realm;

pub use routes::router;

//! What the layer check holds crates to.

/// Crates that do I/O, read clocks or schedule tasks: no core crate may reach one.
pub(crate) const IO: [&str; 17] = [
    "async-io",
    "axum",
    "hyper",
    "iroh",
    "mio",
    "notify",
    "object_store",
    "polling",
    "quinn-udp",
    "redb",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
];

/// A heavy or sensitive dependency, and the crates that may name it.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) homes: &'static [&'static str],
}

const fn engine(name: &'static str, homes: &'static [&'static str]) -> Engine {
    Engine { name, homes }
}

/// Each engine has one home; a second one stands here with its reason.
pub(crate) const ENGINES: [Engine; 30] = [
    engine("ring", &["freehold-crypt"]),
    engine("ed25519-dalek", &["freehold-crypt"]),
    engine("p256", &["freehold-crypt"]),
    engine("hpke", &["freehold-crypt"]),
    // The API keeps hashes of session tokens, the console names its assets by hash; neither may know
    // anything of keys.
    engine("blake3", &["freehold-api", "freehold-console", "freehold-crypt"]),
    engine("bip39", &["freehold-crypt"]),
    engine("vsss-rs", &["freehold-crypt"]),
    engine("redb", &["freehold-disk"]),
    // The depot writes to one, the backend makes one of any S3.
    engine("object_store", &["freehold-bench", "freehold-backend", "freehold-vault"]),
    engine("iroh", &["freehold-mesh"]),
    engine("iroh-relay", &["freehold-mesh"]),
    engine("tun-rs", &["freehold-tunnel"]),
    engine("rtnetlink", &["freehold-tunnel"]),
    engine("smoltcp", &["freehold-stack"]),
    engine("fast-socks5", &["freehold-stack"]),
    // The mesh makes the relay's certificate and TLS, the node the console's and the S3 endpoint's; a
    // backend says which cryptography the client of an S3 takes; the resolver serves and asks over TLS;
    // the door ends the TLS of services; providers of names are asked with a password; a member who moves reaches
    // both realms' endpoints.
    engine(
        "rustls",
        &[
            "freehold-backend",
            "freehold-certs",
            "freehold-gateway",
            "freehold-mesh",
            "freehold-mover",
            "freehold-node",
            "freehold-records",
            "freehold-resolver",
        ],
    ),
    engine("tokio-rustls", &["freehold-gateway", "freehold-node", "freehold-resolver"]),
    engine("rcgen", &["freehold-certs", "freehold-mesh", "freehold-node"]),
    engine("instant-acme", &["freehold-certs"]),
    engine("domain", &["freehold-records"]),
    engine("s3s", &["freehold-s3"]),
    engine("askama", &["freehold-console"]),
    engine("utoipa", &["freehold-api"]),
    engine("clap", &["freehold-cli"]),
    engine("rustic_core", &["freehold-backup"]),
    engine("aes256ctr_poly1305aes", &["freehold-backup"]),
    engine("fuser", &["freehold-mount"]),
    engine("zstd", &["freehold-backup"]),
    engine("hickory-net", &["freehold-resolver"]),
    // Measured as it is, beside a database.
    engine("slatedb", &["freehold-bench", "freehold-kv"]),
];

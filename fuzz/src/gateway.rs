//! The probe of what the door reads itself; HTTP and TLS are read by others. The first byte says which.

use freehold_gateway::{Announced, Host, announce, name_of, read_announced};

/// What is announced can be said again, and a name is settled once it is read.
pub fn gateway(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 2 {
        0 => announced(data),
        _ => name(std::str::from_utf8(data).unwrap_or_default()),
    }
}

fn announced(data: &[u8]) {
    match read_announced(data) {
        Announced::Client { from, to, len } => {
            assert!(len <= data.len(), "read beyond the end");
            let again = announce(from, to);
            let Announced::Client { from: client, to: here, len } = read_announced(&again) else {
                panic!("what we announce is not read");
            };
            assert_eq!(len, again.len());
            let plain = |at: std::net::SocketAddr| (at.ip().to_canonical(), at.port());
            assert_eq!((plain(client), plain(here)), (plain(from), plain(to)));
        }
        Announced::Own { len } => assert!(len <= data.len(), "read beyond the end"),
        Announced::More | Announced::Bad => {}
    }
}

fn name(text: &str) {
    if let Ok(name) = name_of(text) {
        assert_eq!(name_of(&name).as_deref(), Ok(&*name), "a name that is read as another");
    }
    if let Ok(host) = Host::parse(text) {
        assert_eq!(Host::parse(&host.to_string()), Ok(host));
    }
}

//! The SOCKS 5 proxy: connections to names and addresses, for whoever reaches the port. Nobody signs on, for the
//! loopback is open to this machine's users alone. A browser that is made to send something else here sends no
//! greeting, and is cut.

use std::net::SocketAddr;

use fast_socks5::server::Socks5ServerProtocol;
use fast_socks5::util::target_addr::TargetAddr;
use fast_socks5::{ReplyError, Socks5Command};
use freehold_ports::Guest;
use tokio::net::TcpStream;
use tracing::debug;

use crate::desk;
use crate::dial::{ReachError, Reacher};
use crate::doors::tell;
use crate::talk::CutError;

pub(crate) async fn serve(stream: TcpStream, reacher: &Reacher, guest: &Guest) {
    drop(stream.set_nodelay(true));
    let Ok(greeted) = Socks5ServerProtocol::accept_no_auth(stream).await else { return };
    let Ok((asked, command, target)) = greeted.read_command().await else { return };
    let _busy = guest.request();
    if command != Socks5Command::TCPConnect {
        drop(asked.reply_error(&ReplyError::CommandNotSupported).await);
        return;
    }
    let (host, port) = match target {
        TargetAddr::Ip(at) => (at.ip().to_string(), at.port()),
        TargetAddr::Domain(name, port) => (name, port),
    };
    let line = match reacher.reach(&host, port).await {
        Ok(line) => line,
        Err(error) => {
            tell(&error);
            drop(asked.reply_error(&word_for(&error)).await);
            return;
        }
    };
    // Where this machine's end is is nobody's business.
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let Ok(mut stream) = asked.reply_success(nowhere).await else { return };
    if let Err(error) = line.carry(&mut stream).await {
        debug!(host, port, %error, "a connection through SOCKS was cut");
        desk::cut(&stream);
    }
}

/// What SOCKS has for it (RFC 1928, 6).
fn word_for(error: &ReachError) -> ReplyError {
    match error {
        ReachError::NoName(_) => ReplyError::HostUnreachable,
        ReachError::Foreign(_) => ReplyError::ConnectionNotAllowed,
        ReachError::Cut { why, .. } => match why {
            CutError::NotAllowed => ReplyError::ConnectionNotAllowed,
            CutError::Unreachable | CutError::Stopped => ReplyError::HostUnreachable,
            CutError::NoAddress => ReplyError::NetworkUnreachable,
            CutError::TimedOut => ReplyError::TtlExpired,
            CutError::Refused => ReplyError::ConnectionRefused,
            CutError::Full | CutError::Partner => ReplyError::GeneralFailure,
        },
    }
}

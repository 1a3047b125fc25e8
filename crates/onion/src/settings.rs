//! What `tor` is told in its file of settings (tor(1)).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Streams at a time of one client.
const STREAMS: u16 = 32;

/// A port of the service, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leads {
    /// The port of the onion address.
    pub port: u16,
    /// A place of this machine.
    pub to: Target,
}

/// A place of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
}

/// A path in quotes, or nothing if it has what cannot be written so.
fn quoted(path: &Path) -> Option<String> {
    let text = path.to_str().filter(|text| text.chars().all(|c| !c.is_control() && c != '"' && c != '\\'))?;
    Some(format!("\"{text}\""))
}

/// The whole file; `more` is what the machine's owner adds, and comes first: what is said here holds. `None` if the
/// folder's path cannot be written.
pub(crate) fn text(folder: &Path, ports: &[Leads], more: &str, owner: u32) -> Option<String> {
    let at = |name: &str| quoted(&crate::file(folder, name));
    let (data, service) = (at("tor")?, at("service")?);
    let (socket, cookie) = (at("control.sock")?, at("control.cookie")?);
    let more = more.trim_end();
    let mut out = format!(
        "# Written at each start. What is to be added goes into the file torrc.more.\n{more}\n\
         DataDirectory {data}\nSocksPort 0\nClientOnly 1\nAvoidDiskWrites 1\nLog notice stdout\n\
         ControlPort unix:{socket}\nCookieAuthentication 1\nCookieAuthFile {cookie}\n\
         __OwningControllerProcess {owner}\n\
         HiddenServiceDir {service}\nHiddenServiceVersion 3\n\
         HiddenServiceMaxStreams {STREAMS}\nHiddenServiceMaxStreamsCloseCircuit 1\n"
    );
    for Leads { port, to } in ports {
        let to = match to {
            Target::Tcp(at) => at.to_string(),
            Target::Socket(path) => format!("unix:{}", quoted(path)?),
        };
        out.extend(["HiddenServicePort ", &port.to_string(), " ", &to, "\n"]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_leaves_by_it_and_what_is_added_does_not_change_that() {
        let ports = [
            Leads { port: 22, to: Target::Tcp("127.0.0.1:22".parse().unwrap()) },
            Leads { port: 443, to: Target::Socket("/srv/my home/console.sock".into()) },
        ];
        let text =
            text(Path::new("/srv/my home"), &ports, "SocksPort 9050\nBridge 192.0.2.1:443\n", 7).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let at = |line: &str| {
            lines.iter().position(|one| *one == line).unwrap_or_else(|| panic!("{line}\n{text}"))
        };
        assert!(at("SocksPort 0") > at("SocksPort 9050"), "the last one counts");
        assert!(at("HiddenServicePort 22 127.0.0.1:22") > at("HiddenServiceDir \"/srv/my home/service\""));
        at("HiddenServicePort 443 unix:\"/srv/my home/console.sock\"");
        at("DataDirectory \"/srv/my home/tor\"");
        at("__OwningControllerProcess 7");
        at("CookieAuthentication 1");
    }

    #[test]
    fn a_path_that_would_end_its_line_is_not_written() {
        for odd in ["/a\"b", "/a\nb", "/a\\b"] {
            assert_eq!(text(Path::new(odd), &[], "", 1), None, "{odd:?}");
        }
    }
}

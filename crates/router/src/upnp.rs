//! Universal Plug and Play: finds the service of the router that maps ports, and calls it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use crate::home::Home;
use crate::pcp::Ask;
use crate::soap::{self, Control, Place};
use crate::{Promise, RouterError, Way};

/// How long a router may take to be found, and for each answer.
const SEARCH_WITHIN: Duration = Duration::from_secs(3);
const SEND_AGAIN: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_secs(5);
/// No description that was seen is a fifth of it.
const ANSWER_MAX: usize = 256 << 10;
const DATAGRAM_MAX: usize = 2048;
/// It has the port for somebody else; it lends ports for good only (WANIPConnection:1, 2.4.16).
const CONFLICT: &str = "718";
const FOR_GOOD_ONLY: &str = "725";
/// What it shows in its list.
const CALLED: &str = "freehold";
/// Ports that are tried if another one will do.
const TRIES: usize = 4;

/// Finds the router's service.
pub(crate) async fn find(home: Home) -> Result<Option<Control>, RouterError> {
    let socket = UdpSocket::bind(SocketAddrV4::new(home.own, 0)).await?;
    let until = Instant::now() + SEARCH_WITHIN;
    let mut buffer = [0; DATAGRAM_MAX];
    while Instant::now() < until {
        // Multicast, as the standard says, and to the router itself, which most take as well.
        let router = SocketAddrV4::new(home.router, soap::SEARCH_AT.port());
        for to in [soap::SEARCH_AT, router] {
            // Where the one cannot be sent the other may.
            drop(socket.send_to(soap::SEARCH.as_bytes(), to).await);
        }
        let again = until.min(Instant::now() + SEND_AGAIN);
        while let Ok(came) = timeout_at(again, socket.recv_from(&mut buffer)).await {
            let Ok((length, from)) = came else { continue };
            if from.ip() != home.router {
                continue;
            }
            let answer = buffer.get(..length).unwrap_or_default();
            let Some(place) = soap::description_of(answer, home.router) else { continue };
            if let Ok(control) = described(home, &place).await {
                return Ok(control);
            }
        }
    }
    Ok(None)
}

async fn described(home: Home, place: &Place) -> io::Result<Option<Control>> {
    let request = Request::builder().uri(&place.path).header(HOST, place.at.to_string());
    let request = request.body(Full::default()).map_err(io::Error::other)?;
    let (_, text) = exchange(place.at, request).await?;
    Ok(soap::control_of(&text, home.router, place.at))
}

/// Maps a port; any other will do unless `exact`.
pub(crate) async fn map(
    home: Home,
    control: &Control,
    ask: &Ask,
    exact: bool,
) -> Result<Promise, RouterError> {
    let at = call(home, control, "GetExternalIPAddress", &[]).await?;
    let at = soap::field(&at, "NewExternalIPAddress").and_then(|at| at.parse::<Ipv4Addr>().ok());
    let at = at.filter(|at| !at.is_unspecified());
    let at = at.ok_or_else(|| refused(home, "it has no address outside".to_owned()))?;
    let (mut port, mut seconds) = (ask.outside, ask.seconds);
    let mut last = None;
    for _ in 0..TRIES {
        match add(home, control, ask, port, seconds).await {
            Ok(()) => {
                let lasts = Duration::from_secs(u64::from(if seconds == 0 { ask.seconds } else { seconds }));
                return Ok(Promise { outside: SocketAddrV4::new(at, port), lasts });
            }
            Err(Failed::Code(code)) if code == FOR_GOOD_ONLY && seconds != 0 => seconds = 0,
            Err(Failed::Code(code)) if code == CONFLICT && !exact => port = any_port(),
            Err(Failed::Code(code)) => return Err(refused(home, words(&code))),
            Err(Failed::Other(error)) => return Err(error),
        }
        last = Some(refused(home, "somebody else has the port".to_owned()));
    }
    Err(last.unwrap_or(RouterError::Silent(home.router)))
}

/// Takes a mapping back.
pub(crate) async fn unmap(home: Home, control: &Control, ask: &Ask, outside: u16) -> Result<(), RouterError> {
    let port = outside.to_string();
    let arguments = [
        ("NewRemoteHost", ""),
        ("NewExternalPort", port.as_str()),
        ("NewProtocol", soap::word(ask.protocol)),
    ];
    call(home, control, "DeletePortMapping", &arguments).await.map(drop)
}

async fn add(home: Home, control: &Control, ask: &Ask, port: u16, seconds: u32) -> Result<(), Failed> {
    let (outside, inside, own) = (port.to_string(), ask.inside.to_string(), home.own.to_string());
    let lease = seconds.to_string();
    let arguments = [
        ("NewRemoteHost", ""),
        ("NewExternalPort", outside.as_str()),
        ("NewProtocol", soap::word(ask.protocol)),
        ("NewInternalPort", inside.as_str()),
        ("NewInternalClient", own.as_str()),
        ("NewEnabled", "1"),
        ("NewPortMappingDescription", CALLED),
        ("NewLeaseDuration", lease.as_str()),
    ];
    said(home, control, "AddPortMapping", &arguments).await.map(drop)
}

enum Failed {
    /// The router's own number.
    Code(String),
    Other(RouterError),
}

async fn call(
    home: Home,
    control: &Control,
    action: &str,
    arguments: &[(&str, &str)],
) -> Result<String, RouterError> {
    said(home, control, action, arguments).await.map_err(|failed| match failed {
        Failed::Code(code) => refused(home, words(&code)),
        Failed::Other(error) => error,
    })
}

async fn said(
    home: Home,
    control: &Control,
    action: &str,
    arguments: &[(&str, &str)],
) -> Result<String, Failed> {
    let other = |error: io::Error| Failed::Other(error.into());
    let Control { service, place } = control;
    let request = Request::builder()
        .method(Method::POST)
        .uri(&place.path)
        .header(HOST, place.at.to_string())
        .header(CONTENT_TYPE, "text/xml; charset=\"utf-8\"")
        .header("SOAPAction", format!("\"{service}#{action}\""))
        .body(Full::from(soap::call(service, action, arguments)));
    let request = request.map_err(|error| other(io::Error::other(error)))?;
    let (is_good, text) = exchange(place.at, request).await.map_err(other)?;
    if is_good {
        return Ok(text);
    }
    match soap::field(&text, "errorCode").filter(|code| code.len() <= 4) {
        Some(code) => Err(Failed::Code(code)),
        None => Err(Failed::Other(refused(home, "it fails and does not say why".to_owned()))),
    }
}

fn words(code: &str) -> String {
    match code {
        CONFLICT => "somebody else has the port".to_owned(),
        "606" | "401" => "it is not allowed".to_owned(),
        "728" | "501" => "it has no room".to_owned(),
        code => format!("it says {:?}", code.chars().take(4).collect::<String>()),
    }
}

const fn refused(home: Home, said: String) -> RouterError {
    RouterError::Refused { at: home.router, way: Way::Upnp, said }
}

fn any_port() -> u16 {
    let drawn = getrandom::u32().unwrap_or_default();
    u16::try_from(10_000 + drawn % 50_000).unwrap_or(10_000)
}

/// One question over a connection of its own: whether it went well, and the text.
async fn exchange(at: SocketAddrV4, request: Request<Full<Bytes>>) -> io::Result<(bool, String)> {
    let whole = async {
        let stream = TcpStream::connect(SocketAddr::V4(at)).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let mut connection = pin!(connection);
        let mut answer = pin!(async {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let is_good = response.status().is_success();
            let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
            let body = body.map_err(io::Error::other)?.to_bytes();
            Ok((is_good, String::from_utf8_lossy(&body).into_owned()))
        });
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        }
    };
    timeout(WITHIN, whole).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

//! What is said to a router by UPnP, and what its answers mean: a search's answer, the description of its services,
//! and calls. Nothing in a text leads anywhere but to the router itself.

use std::net::{Ipv4Addr, SocketAddrV4};

use http::Uri;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::Protocol;

/// Deeper than any description goes.
const DEPTH_MAX: usize = 32;
/// Where and how a search is sent (UPnP Device Architecture 1.1, 1.3.2).
pub(crate) const SEARCH_AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900);
pub(crate) const SEARCH: &str = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n\
     MX: 1\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";

/// A place at the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: SocketAddrV4,
    pub(crate) path: String,
}

/// What maps ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) service: String,
    pub(crate) place: Place,
}

/// Where a router that answers a search describes itself.
pub(crate) fn description_of(answer: &[u8], router: Ipv4Addr) -> Option<Place> {
    let text = std::str::from_utf8(answer).ok()?;
    let mut lines = text.lines();
    lines.next().filter(|line| line.starts_with("HTTP/1.1 200"))?;
    let location = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("location").then(|| value.trim())
    })?;
    place_of(location, router, None)
}

/// A URL that leads to the router; one without a host is at `base`.
fn place_of(url: &str, router: Ipv4Addr, base: Option<SocketAddrV4>) -> Option<Place> {
    let uri: Uri = url.parse().ok()?;
    let at = match (uri.scheme_str(), uri.host(), base) {
        (Some("http"), Some(host), _) => {
            let host: Ipv4Addr = host.parse().ok()?;
            SocketAddrV4::new(host, uri.port_u16().unwrap_or(80))
        }
        (None, None, Some(base)) => base,
        _ => return None,
    };
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    (*at.ip() == router && path.starts_with('/')).then(|| Place { at, path: path.to_owned() })
}

/// The service that maps ports, in a description.
pub(crate) fn control_of(xml: &str, router: Ipv4Addr, described: SocketAddrV4) -> Option<Control> {
    let (mut service, mut path) = (None, None);
    let mut found = None;
    each_text(xml, &mut |element, text| {
        match element {
            "serviceType" => (service, path) = (Some(text.to_owned()), None),
            "controlURL" => path = Some(text.to_owned()),
            _ => return,
        }
        let (Some(service), Some(path)) = (&service, &path) else { return };
        let maps = ["WANIPConnection:1", "WANIPConnection:2", "WANPPPConnection:1"]
            .iter()
            .any(|kind| *service == format!("urn:schemas-upnp-org:service:{kind}"));
        if maps && found.is_none() {
            // Some leave the slash out.
            let rooted = if path.starts_with("http:") || path.starts_with('/') {
                path.clone()
            } else {
                format!("/{path}")
            };
            found = place_of(&rooted, router, Some(described))
                .map(|place| Control { service: service.clone(), place });
        }
    });
    found
}

/// The text of the first element of that name.
pub(crate) fn field(xml: &str, name: &str) -> Option<String> {
    let mut found = None;
    each_text(xml, &mut |element, text| {
        if element == name && found.is_none() {
            found = Some(text.to_owned());
        }
    });
    found
}

/// Every text with the element that it stands in. Entities of a document's own are never read.
fn each_text(xml: &str, see: &mut dyn FnMut(&str, &str)) {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<String> = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(element)) if open.len() < DEPTH_MAX => {
                open.push(element.local_name().into_inner().to_owned());
            }
            Ok(Event::End(_)) => drop(open.pop()),
            Ok(Event::Text(text)) => {
                let text = text.xml10_content();
                if let (Some(element), false) = (open.last(), text.trim().is_empty()) {
                    see(element, text.trim());
                }
            }
            Ok(Event::Start(_) | Event::DocType(_) | Event::Eof) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// A call of the service.
pub(crate) fn call(service: &str, action: &str, arguments: &[(&str, &str)]) -> String {
    let arguments: Vec<String> =
        arguments.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
    let arguments = arguments.concat();
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
         <u:{action} xmlns:u=\"{service}\">{arguments}</u:{action}></s:Body></s:Envelope>"
    )
}

pub(crate) const fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
    const AT: SocketAddrV4 = SocketAddrV4::new(ROUTER, 5000);

    fn description(service: &str, url: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device><serviceList>\
             <service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>\
             <controlURL>/no</controlURL></service>\
             <service><serviceType>urn:schemas-upnp-org:service:{service}</serviceType>\
             <controlURL>\n {url} </controlURL></service></serviceList></device></root>"
        )
    }

    #[test]
    fn a_router_is_found_by_what_it_says_of_itself() {
        let answer = b"HTTP/1.1 200 OK\r\nST: x\r\nLocation: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n";
        let place = description_of(answer, ROUTER).unwrap();
        assert_eq!((place.at, place.path.as_str()), (AT, "/rootDesc.xml"));
        let control = control_of(&description("WANIPConnection:1", "/ctl/IPConn"), ROUTER, AT).unwrap();
        assert_eq!((control.place.at, control.place.path.as_str()), (AT, "/ctl/IPConn"));
        let other = control_of(&description("WANPPPConnection:1", "http://192.168.1.1:81/c"), ROUTER, AT);
        assert_eq!(other.unwrap().place.at.port(), 81);
        assert_eq!(
            field("<a><NewExternalIPAddress>203.0.113.7</NewExternalIPAddress></a>", "NewExternalIPAddress")
                .as_deref(),
            Some("203.0.113.7")
        );
    }

    #[test]
    fn nobody_is_led_elsewhere() {
        for location in [
            "http://192.168.1.9:5000/x",
            "http://localhost/x",
            "https://192.168.1.1/x",
            "file:///etc/passwd",
            "/x",
            "http://192.168.1.1@10.0.0.1/x",
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\nLocation: {location}\r\n\r\n");
            assert_eq!(description_of(answer.as_bytes(), ROUTER), None, "{location}");
        }
        for url in ["http://10.0.0.1/c", "//10.0.0.1/c", "http://router/c"] {
            let control = control_of(&description("WANIPConnection:1", url), ROUTER, AT);
            assert!(control.is_none_or(|control| *control.place.at.ip() == ROUTER), "{url}");
        }
        assert_eq!(control_of(&description("WANIPConnection:9", "/c"), ROUTER, AT), None);
    }

    #[test]
    fn a_hostile_document_is_not_followed() {
        let bomb = "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\"><!ENTITY y \"&x;&x;&x;&x;\">]><a><serviceType>&y;</serviceType></a>";
        assert_eq!(field(bomb, "serviceType"), None);
        let deep = "<a>".repeat(20_000);
        assert_eq!(field(&format!("{deep}x"), "a"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_leads_to_the_router_or_nowhere(text: String, bytes: Vec<u8>, url: String) {
            drop(field(&text, "errorCode"));
            for place in [description_of(&bytes, ROUTER), description_of(format!("HTTP/1.1 200 OK\nLocation: {url}").as_bytes(), ROUTER)].into_iter().flatten() {
                prop_assert_eq!(*place.at.ip(), ROUTER);
            }
            if let Some(control) = control_of(&description("WANIPConnection:1", &url), ROUTER, AT) {
                prop_assert_eq!(*control.place.at.ip(), ROUTER);
                prop_assert!(control.place.path.starts_with('/'));
            }
        }
    }
}

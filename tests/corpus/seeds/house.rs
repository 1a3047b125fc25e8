//! One valid input of each kind that comes from the router of a house, and from `tor`.

use super::{Seeds, named};

fn with(which: u8, bytes: &[u8]) -> Vec<u8> {
    [&[which], bytes].concat()
}

/// RFC 6887, 11.1: UDP port 4710 is passed on at 203.0.113.7:5000 for an hour.
fn pcp() -> Vec<u8> {
    let mut out = vec![2, 0x81, 0, 0, 0, 0, 0x0e, 0x10];
    out.extend([0; 16]);
    out.extend([7; 12]);
    out.extend([17, 0, 0, 0, 0x12, 0x66, 0x13, 0x88]);
    out.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 7]);
    out
}

const DESCRIPTION: &str = "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device><serviceList>\
     <service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
     <controlURL>/ctl/IPConn</controlURL></service></serviceList></device></root>";

const FAULT: &str = "<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>718</errorCode></UPnPError></detail>\
     </s:Fault></s:Body></s:Envelope>";

const TOLD: &str = "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=45 TAG=x SUMMARY=\"Asking\"\r\n250 OK\r\n\
     650 STATUS_CLIENT WARN BOOTSTRAP PROGRESS=10 SUMMARY=\"a \\\"relay\\\"\" WARNING=\"Connection refused\"\r\n\
     650 STATUS_GENERAL WARN CLOCK_SKEW SKEW=-7200 SOURCE=DIRSERV:192.0.2.1:80\r\n\
     650 HS_DESC UPLOADED 2gzyxa5ihm7n UNKNOWN $AB~relay\r\n650 NETWORK_LIVENESS DOWN\r\n\
     515 Authentication failed: wrong\r\n";

pub(crate) fn router() -> Seeds {
    let found = b"HTTP/1.1 200 OK\r\nST: x\r\nLocation: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n";
    let address = "<a><NewExternalIPAddress>203.0.113.7</NewExternalIPAddress></a>";
    named(vec![
        ("pcp", with(0, &pcp())),
        ("nat-pmp", with(1, &[0, 0x81, 0, 0, 0, 0, 0, 9, 0x12, 0x66, 0x13, 0x88, 0, 0, 0x0e, 0x10])),
        ("nat-pmp-address", with(2, &[0, 0x80, 0, 0, 0, 0, 0, 9, 203, 0, 113, 7])),
        ("found", with(3, found)),
        ("description", with(4, DESCRIPTION.as_bytes())),
        ("address", with(5, address.as_bytes())),
        ("fault", with(5, FAULT.as_bytes())),
    ])
}

pub(crate) fn onion() -> Seeds {
    let line = TOLD.lines().nth(2).unwrap_or_default();
    named(vec![
        ("lines", with(0, TOLD.as_bytes())),
        ("line", with(1, line.as_bytes())),
        ("address", with(2, b"2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion")),
        ("name", with(3, b"pad-2")),
        ("key", with(3, b"A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQ")),
    ])
}

//! The way out of this house: the router, and this machine's address towards it.

use std::net::Ipv4Addr;

use tokio::net::UdpSocket;

/// More than any machine has.
const ROUTES_MAX: usize = 1 << 20;

/// The router that the default route leads to, and the address of this machine that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) router: Ipv4Addr,
    pub(crate) own: Ipv4Addr,
}

impl Home {
    pub(crate) async fn find() -> Option<Self> {
        let table = tokio::fs::read_to_string("/proc/net/route").await.ok()?;
        let router = default_of(table.get(..table.len().min(ROUTES_MAX))?)?;
        let towards = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.ok()?;
        // Nothing is sent: the system only chooses the address.
        towards.connect((router, crate::pcp::PORT)).await.ok()?;
        let std::net::IpAddr::V4(own) = towards.local_addr().ok()?.ip() else { return None };
        Some(Self { router, own })
    }
}

/// The gateway of the default route with the least metric (proc(5): numbers in hex, addresses as this machine
/// orders bytes).
fn default_of(table: &str) -> Option<Ipv4Addr> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, flags, _, _, metric, mask, ..] = fields.as_slice() else { return None };
        let hex = |field: &str| u32::from_str_radix(field, 16).ok();
        // Up, and by a gateway.
        let fits = hex(destination)? == 0 && hex(mask)? == 0 && hex(flags)? & 3 == 3;
        let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        fits.then_some((metric.parse::<u32>().ok()?, gateway))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, gateway)| gateway)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_router_is_the_gateway_of_the_nearest_default_route() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let far = "wlan0\t00000000\tFE01A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n";
        let near = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        let link = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        if cfg!(target_endian = "little") {
            assert_eq!(default_of(&format!("{head}{far}{near}{link}")), Some(Ipv4Addr::new(192, 168, 1, 1)));
        }
        assert_eq!(default_of(&format!("{head}{link}")), None);
        assert_eq!(default_of(""), None);
    }

    proptest! {
        #[test]
        fn any_table_is_read(text: String, fields in prop::collection::vec("[0-9A-F]{0,9}", 0..40)) {
            let line = format!("head\n{}", fields.join(" "));
            prop_assert!(default_of(&line).is_none() || fields.len() >= 8);
            prop_assert!(default_of(&text).is_none() || text.lines().count() > 1);
        }
    }
}

use super::*;
use crate::{from_canonical, to_canonical};

fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> Prefix {
    text.parse().unwrap()
}

#[test]
fn a_network_has_one_spelling() {
    for text in ["0.0.0.0/0", "10.1.0.0/16", "192.168.1.7/32", "::/0", "fd00::/8", "fd12:3456:789a::/48"] {
        assert_eq!(net(text).to_string(), text);
        assert_eq!(from_canonical::<Prefix>(&to_canonical(&net(text)), 40), Ok(net(text)));
    }
    for text in
        ["10.1.0.1/16", "10.0.0.0/33", "fd00::1/64", "::/129", "10.0.0.0", "10/8", "a/8", "1.2.3.4/-1"]
    {
        assert_eq!(text.parse::<Prefix>(), Err(PrefixError), "{text}");
    }
    assert!(from_canonical::<Prefix>(&[0x82, 0x44, 10, 0, 0, 1, 8], 40).is_err());
    assert!(from_canonical::<Prefix>(&[0x82, 0x43, 10, 0, 0, 8], 40).is_err());
}

#[test]
fn what_is_in_a_network_is_told_by_its_bits() {
    for (network, inside, outside) in [
        ("10.1.0.0/16", ["10.1.0.0", "10.1.255.255"], ["10.0.255.255", "10.2.0.0"]),
        ("100.64.16.0/20", ["100.64.16.0", "100.64.31.255"], ["100.64.15.255", "100.64.32.0"]),
        ("fd00:1::/32", ["fd00:1::", "fd00:1:ffff::1"], ["fd00:2::", "10.1.2.3"]),
        ("192.168.1.7/32", ["192.168.1.7", "192.168.1.7"], ["192.168.1.6", "::192.168.1.7"]),
    ] {
        let network = net(network);
        assert!(inside.iter().all(|a| network.contains(at(a))), "{network}");
        assert!(!outside.iter().any(|a| network.contains(at(a))), "{network}");
        assert!(network.contains(network.first()) && network.contains(network.last()));
        assert_eq!(Prefix::around(network.last(), network.bits()), network);
    }
    assert_eq!(net("10.1.0.0/16").last(), at("10.1.255.255"));
    assert_eq!(net("0.0.0.0/0").last(), at("255.255.255.255"));
    assert!(net("::/0").contains(at("ffff::")) && !net("::/0").contains(at("1.2.3.4")));
    assert_eq!(Prefix::around(at("1.2.3.4"), 99), net("1.2.3.4/32"));
}

#[test]
fn networks_overlap_if_one_is_in_the_other() {
    let (wide, narrow, beside) = (net("10.0.0.0/8"), net("10.1.0.0/16"), net("11.0.0.0/16"));
    assert!(wide.covers(&narrow) && !narrow.covers(&wide) && wide.covers(&wide));
    assert!(narrow.overlaps(&wide) && wide.overlaps(&narrow) && !beside.overlaps(&wide));
    assert!(!net("0.0.0.0/0").overlaps(&net("::/0")));
    for (text, private) in [
        ("10.0.0.0/8", true),
        ("172.31.0.0/16", true),
        ("172.32.0.0/16", false),
        ("192.168.0.0/15", false),
        ("100.127.0.0/16", true),
        ("fd00::/8", true),
        ("fe80::/10", false),
        ("0.0.0.0/0", false),
        ("2001:db8::/32", false),
    ] {
        assert_eq!(net(text).is_private(), private, "{text}");
    }
}

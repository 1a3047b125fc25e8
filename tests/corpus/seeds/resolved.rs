//! One valid input of each kind that a resolver reads.

use super::{Seeds, named};

const SHOP: &[u8] = b"\x04shop\x07example\x03com\x00";

fn with(which: u8, pieces: &[&[u8]]) -> Vec<u8> {
    [&[which], pieces.concat().as_slice()].concat()
}

pub(crate) fn names() -> Seeds {
    let asked = |sort: u8| [SHOP, &[0, sort, 0, 1]].concat();
    let edns = [0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, 4, 0, 12, 0, 0];
    // An alias to a name that ends as the question does, then its address.
    let alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 1, 0, 0, 6, 3, b'c', b'd', b'n', 0xc0, 17];
    let address = [0xc0, 46, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];
    let start = [0xc0, 17, 0, 6, 0, 1, 0, 0, 3, 0, 0, 22, 0, 0, 0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 2, 88, 0, 1];
    let times = [81, 128, 0, 0, 0, 60];
    named(vec![
        ("question", with(0, &[&[18, 52, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &asked(1)])),
        ("question-edns", with(0, &[&[18, 52, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1], &asked(65), &edns])),
        ("answer", with(1, &[&[0, 9, 129, 128, 0, 1, 0, 2, 0, 0, 0, 0], &asked(1), &alias, &address])),
        ("nothing", with(1, &[&[0, 9, 129, 131, 0, 1, 0, 0, 0, 1, 0, 0], &asked(1), &start, &times])),
        ("hosts", with(2, &[b"\x07# list\n0.0.0.0 a.example b.example\n127.0.0.1 localhost\n"])),
        ("domains", with(2, &[b"\x40ads.example\n*.tracker.example # why\n"])),
        ("adblock", with(2, &[b"\x09! list\n||ads.example^\n@@||good.ads.example^$important\n"])),
        ("name", with(3, &[b"\x011\x010\x010\x0210\x07in-addr\x04arpa\x00"])),
        ("text", with(3, &[b"_ssh.a\\046b.example."])),
    ])
}

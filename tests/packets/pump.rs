//! A tunnel without a network: carries packets between two TUNs, which are handed in as standard input
//! and output, the way the daemon carries them between machines. `tuns.py` opens them and puts two
//! kernels at their ends. `packet-pump speed` tells what a packet costs.

mod speed;

use std::fs::File;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::AsFd as _;

use freehold_packet::frame::{Kind, read};
use freehold_packet::{Cut, Joiner, Run, Virtio, checksum, clamp, cut, fragment};
use freehold_wire::Millis;

/// A TUN's largest read.
const READ_MAX: usize = Virtio::LEN + 65_535;
/// What the line carries where everything fits.
const ROOM: usize = 1414;
/// What it carries where much has to be split.
const NARROW: usize = 1000;

/// How packets go over the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Partial sums, joined where they arrive.
    Joined,
    /// As for peers that take no partial sums: finished before they leave, joined if they are right.
    Whole,
    /// Over a line on which most packets need two datagrams.
    Narrow,
}

fn main() -> io::Result<()> {
    let way = match std::env::args().nth(1).as_deref() {
        Some("joined") => Way::Joined,
        Some("whole") => Way::Whole,
        Some("narrow") => Way::Narrow,
        Some("speed") => return speed::print(),
        _ => return Err(io::Error::other("say joined, whole, narrow or speed")),
    };
    let left = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let right = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    std::thread::scope(|scope| {
        let back = scope.spawn(|| carry(&right, &left, way));
        carry(&left, &right, way).and(back.join().unwrap_or_else(|_| Err(io::Error::other("panic"))))
    })
}

fn carry(mut from: &File, to: &File, way: Way) -> io::Result<()> {
    let mut buffer = vec![0; READ_MAX];
    let mut near = Near { way, id: 0 };
    let mut far = Far { joiner: Joiner::new(true), joining: fragment::Joining::default() };
    loop {
        let len = from.read(&mut buffer)?;
        let datagrams = near.datagrams(buffer.get(..len).unwrap_or_default());
        far.deliver(&datagrams, to)?;
    }
}

/// Where packets set out.
struct Near {
    way: Way,
    id: u16,
}

impl Near {
    fn datagrams(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let room = if self.way == Way::Narrow { NARROW } else { ROOM };
        let (Some(virtio), Some(packet)) = (Virtio::read(bytes), bytes.get(Virtio::LEN..)) else {
            return Vec::new();
        };
        let mut packets: Vec<Vec<u8>> = Vec::new();
        let put = |head: &[u8], payload: &[u8]| packets.push([head, payload].concat());
        let partial = match cut(&virtio, packet, 1400, put) {
            Ok(Cut { partial, .. }) => partial,
            Err(why) => {
                complain(&format!("{why}: {virtio:?}, {} bytes", packet.len()));
                return Vec::new();
            }
        };
        let mut datagrams = Vec::new();
        for mut packet in packets {
            clamp::mss(&mut packet, partial, 1300);
            let kind = if partial && self.way != Way::Whole {
                Kind::Partial
            } else {
                if partial && let Err(why) = checksum::finish(&mut packet) {
                    complain(&why.to_string());
                }
                Kind::Whole
            };
            self.split(kind, &packet, room, &mut datagrams);
        }
        datagrams
    }

    fn split(&mut self, kind: Kind, packet: &[u8], room: usize, datagrams: &mut Vec<Vec<u8>>) {
        if packet.len() < room {
            datagrams.push([&[kind.byte()], packet].concat());
            return;
        }
        self.id = self.id.wrapping_add(1);
        let put = |head: &[u8], part: &[u8]| datagrams.push([head, part].concat());
        if fragment::split(kind, packet, self.id, room, put).is_none() {
            complain("a packet does not fit");
        }
    }
}

/// Where they arrive.
struct Far {
    joiner: Joiner,
    joining: fragment::Joining,
}

impl Far {
    fn deliver(&mut self, datagrams: &[Vec<u8>], to: &File) -> io::Result<()> {
        // Time stands still: a part is lost only with the whole tunnel.
        let frames: Vec<_> = datagrams
            .iter()
            .filter_map(|datagram| match read(datagram)? {
                (Kind::Fragment, body) => self.joining.take(Millis(0), body),
                _ => Some(datagram.clone()),
            })
            .collect();
        let packets: Vec<(&[u8], bool)> = frames
            .iter()
            .filter_map(|frame| read(frame))
            .map(|(kind, packet)| (packet, kind == Kind::Partial))
            .collect();
        let mut runs = Vec::new();
        self.joiner.runs(&packets, &mut runs);
        for run in &runs {
            write(run, &packets, to)?;
        }
        Ok(())
    }
}

fn write(run: &Run, packets: &[(&[u8], bool)], mut to: &File) -> io::Result<()> {
    let virtio = run.virtio.write();
    let mut slices = vec![IoSlice::new(&virtio), IoSlice::new(run.head())];
    let payloads = packets.get(run.packets.clone()).unwrap_or_default();
    slices.extend(payloads.iter().filter_map(|(packet, _)| packet.get(run.skip..)).map(IoSlice::new));
    match to.write_vectored(&slices) {
        Ok(_) => Ok(()),
        // What the kernel does not take is seen here and nowhere else.
        Err(why) if why.raw_os_error() == Some(22) => {
            complain(&format!("refused: {:?}, {} packets", run.virtio, run.packets.len()));
            Ok(())
        }
        Err(why) => Err(why),
    }
}

#[expect(clippy::print_stderr, reason = "the test looks at it")]
fn complain(what: &str) {
    eprintln!("{what}");
}

//! Frames that are larger than a datagram of the line, in parts. A path may shrink at any moment, so
//! this is everyday work: nothing is said to the sender, and nothing is asked for again.

use freehold_wire::Millis;

use crate::frame::{Kind, read};

/// Before each part: the kind, the frame's id, the part's number, and of how many.
pub const OVERHEAD: usize = 5;
/// The largest frame: a kind and an IP packet.
pub const FRAME_MAX: usize = 1 + 65_535;
/// Parts of one frame.
pub const PARTS_MAX: u8 = 64;
/// Frames of one peer that wait for parts.
pub const WAITING_MAX: usize = 64;
/// Bytes of one peer that wait.
pub const BYTES_MAX: usize = 512 * 1024;
/// How long a frame waits.
pub const PATIENCE: Millis = Millis(1000);
/// How far ids of waiting frames may be apart. They come round after 65,536 frames; a frame that lost a part must be gone
/// long before, or it would be made whole with a part of another, and a partial sum tells nobody.
const AHEAD_MAX: u16 = 1024;

/// Splits a packet for datagrams of at most `room` bytes; `put(head, part)` is called for each. `kind`
/// says what the packet is, whole or partial; two frames in a row have ids in a row. Returns the number of
/// parts, and none if there would be too many. Parts are of one size, so that the next path's smaller room
/// hits none of them alone.
pub fn split(
    kind: Kind,
    packet: &[u8],
    id: u16,
    room: usize,
    mut put: impl FnMut(&[u8], &[u8]),
) -> Option<u8> {
    // The frame's own kind takes a byte of the first part.
    let frame = packet.len() + 1;
    let parts = u8::try_from(frame.div_ceil(room.checked_sub(OVERHEAD).filter(|room| *room > 0)?)).ok()?;
    if parts > PARTS_MAX || frame > FRAME_MAX {
        return None;
    }
    let each = frame.div_ceil(usize::from(parts));
    // Even parts may leave nothing for the last ones.
    let parts = u8::try_from(frame.div_ceil(each)).ok()?;
    let [high, low] = id.to_be_bytes();
    let mut rest = packet;
    for number in 0..parts {
        let head = [Kind::Fragment.byte(), high, low, number, parts, kind.byte()];
        let (head, take) = if number == 0 { (&head[..], each - 1) } else { (&head[..OVERHEAD], each) };
        let (part, after) = rest.split_at_checked(take).unwrap_or((rest, &[]));
        put(head, part);
        rest = after;
    }
    Some(parts)
}

/// A frame that waits for parts.
#[derive(Debug)]
struct Waiting {
    id: u16,
    since: Millis,
    missing: u8,
    bytes: usize,
    parts: Box<[Box<[u8]>]>,
}

/// Puts the frames of one peer together again.
#[derive(Debug, Default)]
pub struct Joining {
    /// The oldest first.
    waiting: Vec<Waiting>,
    bytes: usize,
}

impl Joining {
    /// Takes the body of a [`Kind::Fragment`]; returns the frame that it completes, to be read by
    /// [`crate::frame::read`] once more: never a fragment itself.
    pub fn take(&mut self, now: Millis, body: &[u8]) -> Option<Vec<u8>> {
        let ([high, low, number, of], part) = body.split_first_chunk()?;
        if *of == 0 || *of > PARTS_MAX || number >= of || part.is_empty() || part.len() >= FRAME_MAX {
            return None;
        }
        let id = u16::from_be_bytes([*high, *low]);
        self.forget(now, id);
        let at = match self.waiting.iter().position(|waiting| waiting.id == id) {
            Some(at)
                if self.waiting.get(at).is_some_and(|waiting| waiting.parts.len() == usize::from(*of)) =>
            {
                at
            }
            Some(at) => {
                // One of the two is not what it says; neither is believed.
                self.drop_at(at);
                return None;
            }
            None => self.begin(now, id, *of),
        };
        let waiting = self.waiting.get_mut(at)?;
        let place = waiting.parts.get_mut(usize::from(*number))?;
        if !place.is_empty() {
            return None;
        }
        *place = part.into();
        waiting.missing -= 1;
        waiting.bytes += part.len();
        self.bytes += part.len();
        let (missing, bytes) = (waiting.missing, waiting.bytes);
        if bytes > FRAME_MAX {
            self.drop_at(at);
            return None;
        }
        if missing > 0 {
            self.bound();
            return None;
        }
        let frame = self.drop_at(at)?.parts.concat();
        matches!(read(&frame)?, (Kind::Whole | Kind::Partial, _)).then_some(frame)
    }

    /// How many bytes wait.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn begin(&mut self, now: Millis, id: u16, of: u8) -> usize {
        if self.waiting.len() >= WAITING_MAX {
            self.drop_at(0);
        }
        let parts = vec![Box::default(); usize::from(of)].into();
        self.waiting.push(Waiting { id, since: now, missing: of, bytes: 0, parts });
        self.waiting.len() - 1
    }

    /// Lets go of what waited too long, or is far from `id`.
    fn forget(&mut self, now: Millis, id: u16) {
        let mut at = 0;
        while let Some(waiting) = self.waiting.get(at) {
            let apart = id.wrapping_sub(waiting.id).min(waiting.id.wrapping_sub(id));
            let passed = apart > AHEAD_MAX;
            if passed || now.since(waiting.since) >= PATIENCE {
                self.drop_at(at);
            } else {
                at += 1;
            }
        }
    }

    fn bound(&mut self) {
        while self.bytes > BYTES_MAX {
            self.drop_at(0);
        }
    }

    fn drop_at(&mut self, at: usize) -> Option<Waiting> {
        if at >= self.waiting.len() {
            return None;
        }
        let gone = self.waiting.remove(at);
        self.bytes -= gone.bytes;
        Some(gone)
    }
}

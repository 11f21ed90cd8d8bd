//! The bytes of one frame, the unit that is appended, read, replicated and replayed whole or not at all.
//!
//! ```text
//! 0   len       u32   bytes of payload
//! 4   crc32c    u32   over: payload, LSN of this frame (u64, not stored), len, and bytes 8..28
//! 8   kind      u8    1 = ops, 2 = epoch
//! 9   reserved  [3]   zero
//! 12  time      u64   milliseconds since 1970; never less than in the frame before
//! 20  synced    u64   LSN up to which the writer knew its log synced when it made this frame
//! 28  payload   len bytes; of an epoch frame: epoch u64, replication id 20 bytes
//! ```
//!
//! Little-endian. The checksum takes the payload first, so that an appender computes that part before it takes the lock
//! that decides LSN and time. It takes the LSN, so that a good frame in a wrong place is no good frame.

use lineage::{Epoch, Era, Lsn, ReplId};

use crate::checksum;
use crate::fault::Flaw;

/// Bytes of a frame before its payload.
pub const HEADER: usize = 28;
/// No frame is longer than this: a value of 512 MiB, and what it takes to say where each of its
/// chunks belongs.
pub const MAX_FRAME: usize = 640 << 20;
/// Bytes of a frame that begins an era.
pub const EPOCH_FRAME: usize = HEADER + EPOCH_PAYLOAD;
/// Bytes of an epoch frame's payload.
pub(crate) const EPOCH_PAYLOAD: usize = 8 + ReplId::BYTES;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The payload is operations on the shard's records; this crate does not look into it.
    Ops = 1,
    /// The frame begins an era; see [`Frame::era`].
    Epoch = 2,
}

/// A verified frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where the frame is.
    pub lsn: Lsn,
    /// What it is for.
    pub kind: Kind,
    /// When it was committed, in milliseconds since 1970.
    pub time_ms: u64,
    /// Up to where its writer knew the log to be synced.
    pub synced: Lsn,
    /// What it carries.
    pub payload: &'a [u8],
    /// Header and payload; only what was verified has them, so that whoever has a frame need not verify it again.
    pub(crate) whole: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Verifies the frame at the beginning of `bytes`, whose position is `lsn`. Bytes behind the frame are ignored.
    ///
    /// # Errors
    /// What is wrong with it: `Short`, `Length`, `Checksum`, `Kind`, `Reserved`, `Mark`, `Epoch`.
    pub fn decode(bytes: &'a [u8], lsn: Lsn) -> Result<Frame<'a>, Flaw> {
        let len = frame_len(bytes)?;
        if bytes.len() < len {
            return Err(Flaw::Short { need: len as u64, have: bytes.len() as u64 });
        }
        let whole = &bytes[..len];
        let (head, payload) = whole.split_at(HEADER);
        if u32_at(head, 4) != seal(head, lsn, checksum::crc32c(payload)) {
            return Err(Flaw::Checksum);
        }
        let kind = match head[8] {
            1 => Kind::Ops,
            2 => Kind::Epoch,
            unknown => return Err(Flaw::Kind(unknown)),
        };
        if head[9..12] != [0; 3] {
            return Err(Flaw::Reserved);
        }
        let frame = Frame { lsn, kind, time_ms: u64_at(head, 12), synced: Lsn(u64_at(head, 20)), payload, whole };
        if frame.synced > lsn {
            return Err(Flaw::Mark);
        }
        if kind == Kind::Epoch && payload.len() != EPOCH_PAYLOAD {
            return Err(Flaw::Epoch);
        }
        Ok(frame)
    }

    /// Its bytes, header included.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.whole
    }

    /// The position behind the frame.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.lsn + (HEADER + self.payload.len()) as u64
    }

    /// The era that an epoch frame begins; `None` for other frames.
    #[must_use]
    pub fn era(&self) -> Option<Era> {
        match self.kind {
            Kind::Ops => None,
            Kind::Epoch => {
                let (epoch, id) = self.payload.split_first_chunk()?;
                let id = ReplId(*id.first_chunk()?);
                Some(Era { epoch: Epoch(u64::from_le_bytes(*epoch)), id, first: self.lsn })
            }
        }
    }
}

/// How many bytes the frame at the beginning of `bytes` takes, header included. Nothing is verified but the length field.
///
/// # Errors
/// `Short` if `bytes` do not hold a whole header, `Length` if the frame would exceed [`MAX_FRAME`].
pub fn frame_len(bytes: &[u8]) -> Result<usize, Flaw> {
    if bytes.len() < HEADER {
        return Err(Flaw::Short { need: HEADER as u64, have: bytes.len() as u64 });
    }
    let len = u32_at(bytes, 0);
    let whole = HEADER + len as usize;
    if whole > MAX_FRAME { Err(Flaw::Length(len)) } else { Ok(whole) }
}

/// How many bytes at the beginning of `bytes` are whole frames; what is behind them has not arrived yet.
///
/// # Errors
/// `Length`, as [`frame_len`].
pub fn whole_frames(bytes: &[u8]) -> Result<usize, Flaw> {
    let mut whole = 0;
    loop {
        match frame_len(&bytes[whole..]) {
            Ok(len) if len <= bytes.len() - whole => whole += len,
            Ok(_) | Err(Flaw::Short { .. }) => return Ok(whole),
            Err(flaw) => return Err(flaw),
        }
    }
}

/// The bytes before the payload. `payload_crc` is the CRC-32C of the payload alone.
#[inline]
pub(crate) fn header(
    lsn: Lsn,
    kind: Kind,
    time_ms: u64,
    synced: Lsn,
    payload_len: usize,
    payload_crc: u32,
) -> [u8; HEADER] {
    let mut head = [0; HEADER];
    let len = u32::try_from(payload_len).unwrap_or_else(|_| unreachable!("the caller checked MAX_FRAME"));
    head[0..4].copy_from_slice(&len.to_le_bytes());
    head[8] = kind as u8;
    head[12..20].copy_from_slice(&time_ms.to_le_bytes());
    head[20..28].copy_from_slice(&synced.0.to_le_bytes());
    let crc = seal(&head, lsn, payload_crc);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    head
}

/// The payload of an epoch frame.
pub(crate) fn epoch_payload(epoch: Epoch, id: ReplId) -> [u8; EPOCH_PAYLOAD] {
    let mut payload = [0; EPOCH_PAYLOAD];
    payload[..8].copy_from_slice(&epoch.0.to_le_bytes());
    payload[8..].copy_from_slice(&id.0);
    payload
}

/// The checksum of a frame: continues that of its payload with the LSN and the header.
#[inline]
fn seal(head: &[u8], lsn: Lsn, payload_crc: u32) -> u32 {
    let mut sealed = [0; 32];
    sealed[..8].copy_from_slice(&lsn.0.to_le_bytes());
    sealed[8..12].copy_from_slice(&head[..4]);
    sealed[12..].copy_from_slice(&head[8..HEADER]);
    checksum::append(payload_crc, &sealed)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(lsn: u64, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut bytes = header(Lsn(lsn), kind, 0x0102_0304, Lsn(7), payload.len(), crc32c::crc32c(payload)).to_vec();
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn golden_bytes() {
        let golden = [
            [3, 0, 0, 0].as_slice(),
            &[0xd8, 0x25, 0xae, 0x3d],
            &[1, 0, 0, 0],
            &[4, 3, 2, 1, 0, 0, 0, 0],
            &[7, 0, 0, 0, 0, 0, 0, 0],
            b"abc",
        ]
        .concat();
        assert_eq!(frame(1000, Kind::Ops, b"abc"), golden);
    }

    #[test]
    fn golden_bytes_of_an_epoch_frame() {
        let payload = epoch_payload(Epoch(9), ReplId([0xaa; 20]));
        let golden = [
            [28, 0, 0, 0].as_slice(),
            &[0xd7, 0x47, 0xe6, 0xc2],
            &[2, 0, 0, 0],
            &[4, 3, 2, 1, 0, 0, 0, 0],
            &[7, 0, 0, 0, 0, 0, 0, 0],
            &[9, 0, 0, 0, 0, 0, 0, 0],
            &[0xaa; 20],
        ]
        .concat();
        let bytes = frame(1000, Kind::Epoch, &payload);
        assert_eq!(bytes, golden);
        let era = Frame::decode(&bytes, Lsn(1000)).unwrap().era();
        assert_eq!(era, Some(Era { epoch: Epoch(9), id: ReplId([0xaa; 20]), first: Lsn(1000) }));
    }

    #[test]
    fn a_frame_is_good_only_where_it_was_written() {
        let bytes = frame(1000, Kind::Ops, b"abc");
        let decoded = Frame::decode(&bytes, Lsn(1000)).unwrap();
        assert_eq!((decoded.time_ms, decoded.synced, decoded.payload), (0x0102_0304, Lsn(7), b"abc".as_slice()));
        assert_eq!(decoded.end(), Lsn(1031));
        assert_eq!(Frame::decode(&bytes, Lsn(1001)), Err(Flaw::Checksum));
    }

    #[test]
    fn every_flipped_bit_shows() {
        let bytes = frame(1000, Kind::Ops, b"some payload");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flaw = Frame::decode(&flipped, Lsn(1000)).unwrap_err();
            assert!(flaw.can_be_torn(), "bit {bit}: {flaw}");
        }
    }

    #[test]
    fn a_sealed_frame_that_makes_no_sense_is_not_torn() {
        let resealed = |change: &dyn Fn(&mut Vec<u8>), kind| {
            let mut bytes = frame(1000, kind, b"abc");
            change(&mut bytes);
            let crc = seal(&bytes[..HEADER], Lsn(1000), crc32c::crc32c(b"abc"));
            bytes[4..8].copy_from_slice(&crc.to_le_bytes());
            Frame::decode(&bytes, Lsn(1000)).unwrap_err()
        };
        let flaws = [
            resealed(&|bytes| bytes[8] = 9, Kind::Ops),
            resealed(&|bytes| bytes[9] = 1, Kind::Ops),
            resealed(&|bytes| bytes[21] = 200, Kind::Ops),
            resealed(&|_| {}, Kind::Epoch),
        ];
        assert_eq!(flaws, [Flaw::Kind(9), Flaw::Reserved, Flaw::Mark, Flaw::Epoch]);
        assert!(flaws.iter().all(|flaw| !flaw.can_be_torn()));
    }

    #[test]
    fn whole_frames_are_counted_without_the_one_still_arriving() {
        let one = frame(0, Kind::Ops, b"abc");
        let bytes = [one.as_slice(), &one, &one].concat();
        for cut in 0..=bytes.len() {
            assert_eq!(whole_frames(&bytes[..cut]), Ok(cut / one.len() * one.len()));
        }
        assert_eq!(whole_frames(&[0xff; HEADER]), Err(Flaw::Length(u32::MAX)));
    }
}

//! CRC-32C of what a frame holds.
//!
//! Most frames are short, and for these the library's way of working on three streams at once costs more than it
//! saves: they are summed word by word with the processor's own instruction where the build may count on it.
//!
//! The one `unsafe` is the call of that code. It is sound because the code is compiled only when the whole program is
//! built for processors that have the instruction (`target_feature = "sse4.2"`); it touches no memory but its slice.
#![cfg_attr(
    all(target_arch = "x86_64", target_feature = "sse4.2"),
    expect(unsafe_code, reason = "the instruction's presence is a matter of the build, see above")
)]

/// Up to this many bytes go word by word.
const SHORT: usize = 512;

/// The checksum of `bytes`.
#[inline]
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    append(0, bytes)
}

/// The checksum of `bytes` behind bytes whose checksum is `crc`.
#[inline]
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    if bytes.len() <= SHORT { short(crc, bytes) } else { crc32c::crc32c_append(crc, bytes) }
}

#[cfg(all(target_arch = "x86_64", target_feature = "sse4.2"))]
#[inline]
fn short(crc: u32, bytes: &[u8]) -> u32 {
    // SAFETY: the whole program is built for processors with SSE 4.2, as the `cfg` above says.
    unsafe { word_by_word(crc, bytes) }
}

#[cfg(all(target_arch = "x86_64", target_feature = "sse4.2"))]
#[target_feature(enable = "sse4.2")]
#[inline]
fn word_by_word(crc: u32, bytes: &[u8]) -> u32 {
    use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = u64::from(!crc);
    for word in words {
        state = _mm_crc32_u64(state, u64::from_le_bytes(*word));
    }
    // The instruction leaves the upper half of the state empty.
    let mut state = state as u32;
    for byte in rest {
        state = _mm_crc32_u8(state, *byte);
    }
    !state
}

#[cfg(not(all(target_arch = "x86_64", target_feature = "sse4.2")))]
#[inline]
fn short(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_librarys_sum_at_every_length() {
        let bytes: Vec<u8> = (0..2 * SHORT).map(|n| (n * 31 + n / 7) as u8).collect();
        for len in 0..=bytes.len() {
            assert_eq!(crc32c(&bytes[..len]), crc32c::crc32c(&bytes[..len]), "{len} bytes");
            let (front, back) = bytes[..len].split_at(len / 3);
            assert_eq!(append(crc32c(front), back), crc32c(&bytes[..len]), "{len} bytes in two parts");
        }
    }
}

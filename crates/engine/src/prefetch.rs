//! Asks the processor to bring memory into its caches before it is needed.
//!
//! The one `unsafe` is the instruction that asks. It is sound because it neither reads nor writes as far as a program
//! can tell, and never faults, whatever the address; and the addresses are those of a reference's own bytes. On other
//! processors this does nothing.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "an instruction that changes nothing, see above"))]

/// Bytes of a cache line.
const LINE: usize = 64;
/// Of what is longer, only so many bytes are asked for: whoever reads on in order is helped by the processor itself.
const MOST: usize = 256;

/// Asks for all that `of` consists of, but for what that points to.
#[inline]
pub(crate) fn prefetch<T: ?Sized>(of: &T) {
    let start = std::ptr::from_ref(of).cast::<u8>();
    let len = size_of_val(of).min(MOST);
    let mut at = 0;
    while at < len {
        line(start.wrapping_add(at));
        at += LINE - (start.addr() + at) % LINE;
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction is part of every x86-64, and only a hint.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn line(_at: *const u8) {}

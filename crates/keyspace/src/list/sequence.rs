//! Elements in a row, which can be read from either end.
//!
//! ```text
//! element = [length: LEB128][bytes][length again: the bytes of its LEB128 in reverse order]
//! ```

use alloc::vec::Vec;

use crate::varint;
use crate::view::Stop;

/// The longest element whose length is one byte.
const SHORT_MAX: usize = 0x7f;

/// Appends an element.
#[inline]
pub fn put(out: &mut Vec<u8>, element: &[u8]) {
    if element.len() <= SHORT_MAX {
        out.push(element.len() as u8);
        out.extend_from_slice(element);
        out.push(element.len() as u8);
        return;
    }
    let begin = out.len();
    varint::put(out, element.len() as u64);
    let end = out.len();
    out.extend_from_slice(element);
    for at in (begin..end).rev() {
        out.push(out[at]);
    }
}

/// Bytes that an element of `len` bytes takes.
#[inline]
pub const fn size(len: usize) -> usize {
    if len <= SHORT_MAX {
        return len + 2;
    }
    let bits = usize::BITS - len.leading_zeros();
    len + 2 * bits.div_ceil(7) as usize
}

/// The bytes that the first `count` elements take.
pub fn front_size(bytes: &[u8], count: u64) -> Result<usize, Stop> {
    let mut elements = Elements(bytes);
    for _ in 0..count {
        elements.next().ok_or(Stop::Fault)??;
    }
    Ok(bytes.len() - elements.0.len())
}

/// The bytes that the last `count` elements take.
pub fn back_size(bytes: &[u8], count: u64) -> Result<usize, Stop> {
    let mut elements = Elements(bytes);
    for _ in 0..count {
        elements.next_back().ok_or(Stop::Fault)??;
    }
    Ok(bytes.len() - elements.0.len())
}

/// Where element `index` of `count` begins; `index` may be `count`. Walks from the end that is nearer.
pub fn offset(bytes: &[u8], count: u64, index: u64) -> Result<usize, Stop> {
    if index <= count / 2 {
        front_size(bytes, index)
    } else {
        Ok(bytes.len() - back_size(bytes, count.checked_sub(index).ok_or(Stop::Fault)?)?)
    }
}

/// Element `index` of `count`, and where it begins.
pub fn nth(bytes: &[u8], count: u64, index: u64) -> Result<(usize, &[u8]), Stop> {
    let at = offset(bytes, count, index)?;
    let element = Elements(&bytes[at..]).next().ok_or(Stop::Fault)??;
    Ok((at, element))
}

/// The elements of a sequence, from both ends. After [`Stop::Fault`], the answer to bytes that are no sequence, it ends.
#[derive(Clone, Debug)]
pub struct Elements<'a>(pub &'a [u8]);

impl<'a> Elements<'a> {
    fn take_front(&mut self) -> Option<&'a [u8]> {
        let mut rest = self.0;
        let element = varint::take_bytes(&mut rest)?;
        let digits = self.0.len() - rest.len() - element.len();
        self.0 = rest.get(digits..)?;
        Some(element)
    }

    fn take_back(&mut self) -> Option<&'a [u8]> {
        let (mut len, mut shift, mut digits) = (0u64, 0, 0);
        loop {
            let byte = *self.0.get(self.0.len().checked_sub(digits + 1)?)?;
            len |= u64::from(byte & 0x7f).checked_shl(shift)?;
            (shift, digits) = (shift + 7, digits + 1);
            if byte < 0x80 {
                break;
            }
        }
        let begin = self.0.len().checked_sub(usize::try_from(len).ok()?.checked_add(2 * digits)?)?;
        let element = &self.0[begin + digits..self.0.len() - digits];
        self.0 = &self.0[..begin];
        Some(element)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], Stop>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let &len = self.0.first()?;
        let short = usize::from(len);
        if short <= SHORT_MAX && self.0.len() >= short + 2 {
            let element = &self.0[1..=short];
            self.0 = &self.0[short + 2..];
            return Some(Ok(element));
        }
        let element = self.take_front().ok_or(Stop::Fault);
        if element.is_err() {
            self.0 = &[];
        }
        Some(element)
    }
}

impl DoubleEndedIterator for Elements<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let element = self.take_back().ok_or(Stop::Fault);
        if element.is_err() {
            self.0 = &[];
        }
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn golden() {
        let mut out = Vec::new();
        put(&mut out, b"hay");
        put(&mut out, b"");
        assert_eq!(out, [3, b'h', b'a', b'y', 3, 0, 0]);
        let mut out = Vec::new();
        put(&mut out, &[b'x'; 300]);
        assert_eq!((&out[..2], &out[302..], out.len()), (&[0xac, 2][..], &[2, 0xac][..], 304));
    }

    #[test]
    fn strange_bytes_end_with_a_fault() {
        for bytes in [&[1u8][..], &[5, b'a', 5], &[0x80, 0x80], &[0xff; 12], &[0, 0xff]] {
            assert_eq!(Elements(bytes).next_back(), Some(Err(Stop::Fault)), "{bytes:?}");
        }
        assert_eq!(Elements(&[5, b'a', 5]).next(), Some(Err(Stop::Fault)));
        assert_eq!(front_size(&[0, 0], 2), Err(Stop::Fault));
    }

    proptest! {
        #[test]
        fn both_ends_give_the_same_elements(
            lens in prop::collection::vec(prop_oneof![0usize..4, 120usize..140, 16_380usize..16_390], 0..20),
            pick: prop::sample::Index,
        ) {
            let elements: Vec<Vec<u8>> = lens.iter().zip(0u8..).map(|(len, byte)| vec![byte; *len]).collect();
            let mut bytes = Vec::new();
            elements.iter().for_each(|element| put(&mut bytes, element));
            prop_assert_eq!(bytes.len(), lens.iter().map(|len| size(*len)).sum::<usize>());
            let forward: Result<Vec<_>, _> = Elements(&bytes).map(|element| element.map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(forward, Ok(elements.clone()));
            let backward: Result<Vec<_>, _> = Elements(&bytes).rev().map(|element| element.map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(backward, Ok(elements.iter().rev().cloned().collect()));
            if !elements.is_empty() {
                let (count, index) = (elements.len() as u64, pick.index(elements.len()));
                let (at, element) = nth(&bytes, count, index as u64).unwrap();
                prop_assert_eq!((at, element), (front_size(&bytes, index as u64).unwrap(), &elements[index][..]));
            }
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            let _ = Elements(&bytes).count();
            let _ = Elements(&bytes).rev().count();
        }
    }
}

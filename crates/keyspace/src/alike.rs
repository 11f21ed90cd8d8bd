//! Entries of one shape in a row.
//!
//! Where the next entry begins is known only when the lengths of this one have been read, so a walk waits for memory at each
//! step. What a collection holds often has the same lengths throughout: there the next entry lies where the shape of the first
//! one says, and a look at its lengths confirms it, while the walk is further already.

/// Passes the pieces of `size` bytes at the front of `rest` as long as `is_passed` says so of them; answers how many.
#[inline]
pub fn pass<'a>(rest: &mut &'a [u8], size: usize, mut is_passed: impl FnMut(&'a [u8]) -> bool) -> usize {
    let mut count = 0;
    while let Some((piece, behind)) = rest.split_at_checked(size)
        && is_passed(piece)
    {
        *rest = behind;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_at_the_first_that_is_not_passed_or_not_whole() {
        let mut rest = &b"aabacax"[..];
        assert_eq!(pass(&mut rest, 2, |piece| piece[0] == b'a'), 1);
        assert_eq!(rest, b"bacax");
        assert_eq!(pass(&mut rest, 2, |_| true), 2);
        assert_eq!(rest, b"x");
        assert_eq!(pass(&mut rest, 2, |_| true), 0);
    }
}

//! Commands as a client sends them.

use alloc::vec::Vec;

/// Appends a command, its name being the first of `args`, as an array of bulk strings.
pub fn encode_command(args: &[&[u8]], out: &mut Vec<u8>) {
    put_header(b'*', args.len(), out);
    for arg in args {
        put_header(b'$', arg.len(), out);
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a marker, a count and a line end: the opening line of everything that has a length.
#[inline]
pub(crate) fn put_header(marker: u8, count: usize, out: &mut Vec<u8>) {
    let digit = |value: usize| b'0' + (value % 10) as u8;
    // One copy of known length instead of three: the counts of small replies, which are most replies.
    match count {
        0..=9 => out.extend_from_slice(&[marker, digit(count), b'\r', b'\n']),
        10..=99 => out.extend_from_slice(&[marker, digit(count / 10), digit(count), b'\r', b'\n']),
        100..=999 => {
            out.extend_from_slice(&[marker, digit(count / 100), digit(count / 10), digit(count), b'\r', b'\n']);
        }
        _ => {
            out.push(marker);
            out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let mut out = Vec::new();
        encode_command(&[b"SET", b"key", &[b'v'; 10], b""], &mut out);
        assert_eq!(out, b"*4\r\n$3\r\nSET\r\n$3\r\nkey\r\n$10\r\nvvvvvvvvvv\r\n$0\r\n\r\n");
    }

    #[test]
    fn headers_of_every_width() {
        for count in [0, 9, 10, 99, 100, 999, 1000, 12345, usize::MAX] {
            let mut out = Vec::new();
            put_header(b'*', count, &mut out);
            assert_eq!(out, alloc::format!("*{count}\r\n").into_bytes());
        }
    }
}

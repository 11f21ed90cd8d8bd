//! A small blocking RESP2 client that can pipeline.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Longer than any stall worth measuring; a server that is silent for so long is broken.
const TIMEOUT: Duration = Duration::from_secs(120);
const MAX_BULK: usize = 512 * 1024 * 1024;
/// Elements of an array.
const MAX_ARRAY: usize = 1024 * 1024;

#[derive(PartialEq, Eq, Debug)]
pub enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
    Nil,
}

pub struct Client {
    /// Commands that are not sent yet.
    unsent: Vec<u8>,
    stream: TcpStream,
    input: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let input = BufReader::with_capacity(64 * 1024, stream.try_clone()?);
        Ok(Self { unsent: Vec::new(), stream, input })
    }

    /// Sends one command and waits for its reply.
    pub fn call(&mut self, args: &[&[u8]]) -> io::Result<Reply> {
        self.push(args);
        self.flush()?;
        self.reply()
    }

    /// Adds a command to what the next [`flush`](Self::flush) sends.
    pub fn push(&mut self, args: &[&[u8]]) {
        encode(&mut self.unsent, args);
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.unsent)?;
        self.unsent.clear();
        Ok(())
    }

    pub fn reply(&mut self) -> io::Result<Reply> {
        read_reply(&mut self.input)
    }

    /// Reads a reply that must be `+OK`.
    pub fn expect_ok(&mut self) -> io::Result<()> {
        match self.reply()? {
            Reply::Simple(text) if text == "OK" => Ok(()),
            other => Err(io::Error::other(format!("expected OK, got {other:?}"))),
        }
    }
}

fn encode(out: &mut Vec<u8>, args: &[&[u8]]) {
    let header = |sign: char, count: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(format!("{sign}{count}\r\n").as_bytes());
    };
    header('*', args.len(), out);
    for arg in args {
        header('$', arg.len(), out);
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

fn read_reply(input: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\r\n").ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    let line = std::str::from_utf8(line).map_err(io::Error::other)?;
    let bad = || io::Error::other(format!("a reply begins with '{line}'"));
    let (sign, rest) = line.split_at_checked(1).ok_or_else(bad)?;
    match sign {
        "+" => Ok(Reply::Simple(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => Ok(Reply::Integer(rest.parse().map_err(|_| bad())?)),
        "$" if rest == "-1" => Ok(Reply::Nil),
        "$" => {
            let length = rest.parse().ok().filter(|length| *length <= MAX_BULK).ok_or_else(bad)?;
            let mut bulk = vec![0; length + 2];
            input.read_exact(&mut bulk)?;
            bulk.truncate(length);
            Ok(Reply::Bulk(bulk))
        }
        "*" => {
            let length = rest.parse().ok().filter(|length| *length <= MAX_ARRAY).ok_or_else(bad)?;
            (0..length).map(|_| read_reply(input)).collect::<io::Result<_>>().map(Reply::Array)
        }
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_bulks() {
        let mut out = Vec::new();
        encode(&mut out, &[b"SET", b"k", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        let mut input: &[u8] = b"+OK\r\n-ERR no\r\n:-7\r\n$-1\r\n$4\r\na\r\nb\r\n$0\r\n\r\n*2\r\n:1\r\n*0\r\n";
        let mut next = || read_reply(&mut input).unwrap();
        assert_eq!(next(), Reply::Simple("OK".into()));
        assert_eq!(next(), Reply::Error("ERR no".into()));
        assert_eq!(next(), Reply::Integer(-7));
        assert_eq!(next(), Reply::Nil);
        assert_eq!(next(), Reply::Bulk(b"a\r\nb".to_vec()));
        assert_eq!(next(), Reply::Bulk(Vec::new()));
        assert_eq!(next(), Reply::Array(vec![Reply::Integer(1), Reply::Array(Vec::new())]));
    }

    #[test]
    fn garbage_and_a_closed_connection_are_errors() {
        for mut input in [&b""[..], b"+O", b"?x\r\n", b"\r\n", b":x\r\n", b"$-2\r\n", b"$9\r\nab\r\n"] {
            assert!(read_reply(&mut input).is_err());
        }
    }
}

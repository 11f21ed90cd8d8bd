//! A client that sends what a test says, byte for byte if need be.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use resp::{ReplyLimits, Value, encode_command, parse_reply};

use crate::server::PATIENCE;

/// Commands that are sent before their replies are read.
const BATCH: usize = 64;

trait Stream: Read + Write + Send {
    fn finish(&self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for UnixStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A client.
pub struct Client {
    stream: Box<dyn Stream>,
    /// Received and not yet read as a reply.
    input: Vec<u8>,
    at: usize,
}

impl Client {
    /// Connects by TCP.
    pub fn tcp(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self::over(Box::new(stream))
    }

    /// Connects to a unix socket.
    pub fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::over(Box::new(stream))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self { stream, input: Vec::new(), at: 0 }
    }

    /// Sends bytes.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends bytes to a server that may close.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends nothing more.
    pub fn finish(&self) {
        self.stream.finish().unwrap();
    }

    /// Sends a command.
    pub fn send(&mut self, args: &[&[u8]]) {
        let mut bytes = Vec::new();
        encode_command(args, &mut bytes);
        self.send_raw(&bytes);
    }

    /// Reads a reply.
    pub fn read(&mut self) -> Value {
        self.try_read().expect("a reply")
    }

    /// Reads a reply; `None`: the server has closed.
    pub fn try_read(&mut self) -> Option<Value> {
        let (value, used) = self.complete()?;
        self.advance(used);
        Some(value)
    }

    /// Reads a reply as its bytes.
    pub fn read_raw(&mut self) -> Vec<u8> {
        let (_, used) = self.complete().expect("a reply");
        let bytes = self.input[self.at..self.at + used].to_vec();
        self.advance(used);
        bytes
    }

    /// Receives until the next reply is complete; answers how long it is, too.
    fn complete(&mut self) -> Option<(Value, usize)> {
        let limits = ReplyLimits { max_bulk_len: 1 << 30, ..ReplyLimits::default() };
        loop {
            if let Some(complete) = parse_reply(&self.input[self.at..], &limits).unwrap() {
                return Some(complete);
            }
            if !self.receive() {
                return None;
            }
        }
    }

    fn advance(&mut self, used: usize) {
        self.at += used;
        if self.at == self.input.len() {
            self.input.clear();
            self.at = 0;
        }
    }

    /// Reads all that comes before the server closes.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.receive() {}
        self.at = 0;
        std::mem::take(&mut self.input)
    }

    /// `false`: the server has closed, in whichever way.
    fn receive(&mut self) -> bool {
        let mut chunk = vec![0; 1 << 20];
        let got = match self.stream.read(&mut chunk) {
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("nothing was received: {error}"),
        };
        self.input.extend_from_slice(&chunk[..got]);
        got > 0
    }

    /// Sends a command and reads its reply.
    pub fn call(&mut self, args: &[&[u8]]) -> Value {
        self.send(args);
        self.read()
    }

    /// Sends commands, a batch at a time, and hands each one's place and reply to `check`.
    pub fn each(&mut self, count: usize, command: impl Fn(usize) -> Vec<Vec<u8>>, mut check: impl FnMut(usize, Value)) {
        for from in (0..count).step_by(BATCH) {
            let batch = from..count.min(from + BATCH);
            let mut bytes = Vec::new();
            for n in batch.clone() {
                let args = command(n);
                let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
                encode_command(&args, &mut bytes);
            }
            self.send_raw(&bytes);
            batch.for_each(|n| check(n, self.read()));
        }
    }

    /// The same, of words.
    pub fn ask(&mut self, line: &str) -> Value {
        let args: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        self.call(&args)
    }
}

/// `+OK`.
pub fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

/// A bulk string.
pub fn bulk(text: impl AsRef<[u8]>) -> Value {
    Value::Bulk(text.as_ref().to_vec())
}

/// The text of an error.
pub fn error(value: &Value) -> &str {
    match value {
        Value::Error(text) => std::str::from_utf8(text).unwrap(),
        other => panic!("not an error: {other:?}"),
    }
}

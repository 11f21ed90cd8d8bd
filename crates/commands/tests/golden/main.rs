//! Golden scripts: commands against the model of the key space, replies as on the wire.
//!
//! Each command is also stopped at every call of the view and run again, as a server does when it would block: the
//! replies and the key space must be the same. How scripts are written: `tests/scripts/README.md`. With `BLESS=1` the
//! replies in the files are replaced by the present ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod encodings;
mod other_types;

use std::fs;
use std::path::{Path, PathBuf};

use commands::{Access, Args, Context, Error, Eviction, KeyRef, Run, Settings, Waiting, docs, resolve};
use keyspace::{Limits, ListPacking, Millis, Stop};
use resp::{Protocol, Reply};
use testkit::MemoryView;

const START: Millis = Millis(1_000_000_000_000);
const DATABASES: usize = 16;
/// A command is stopped at so many of its calls, the first ones.
const STOPS: u64 = 48;

#[test]
fn scripts() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut failures = Vec::new();
    for path in paths() {
        let script = fs::read_to_string(&path).unwrap();
        let actual = run(&script);
        if bless {
            fs::write(&path, &actual).unwrap();
        } else if actual != script {
            failures.push(format!("{}:\n{}", path.display(), first_difference(&script, &actual)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn paths() -> Vec<PathBuf> {
    let folder = Path::new("tests/scripts");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn first_difference(expected: &str, actual: &str) -> String {
    let lines = expected.lines().zip(actual.lines()).enumerate();
    match lines.into_iter().find(|(_, (expected, actual))| expected != actual) {
        Some((number, (expected, actual))) => {
            format!("  line {}\n  expected {expected}\n  actual   {actual}", number + 1)
        }
        None => "  one is longer than the other".to_owned(),
    }
}

/// The script with the replies of this run.
fn run(script: &str) -> String {
    let mut session = Session::new();
    let mut out = String::new();
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            out += line;
            out.push('\n');
            let reply = session.command(&words(command));
            render(&mut reply.as_slice(), 0, &mut out);
        } else if let Some(directive) = line.strip_prefix('!') {
            out += line;
            out.push('\n');
            session.direct(directive);
        } else if line.is_empty() || line.starts_with('#') {
            out += line;
            out.push('\n');
        }
    }
    out
}

struct Session {
    view: MemoryView,
    settings: Settings,
    database: usize,
    protocol: Protocol,
}

impl Session {
    fn new() -> Self {
        let view = MemoryView::new(DATABASES, START, 1);
        Self { view, settings: Settings::default(), database: 0, protocol: Protocol::Resp2 }
    }

    fn direct(&mut self, directive: &str) {
        let words: Vec<_> = directive.split_whitespace().collect();
        let number = |word: &str| word.parse::<u64>().unwrap();
        match words[..] {
            ["resp", "2"] => self.protocol = Protocol::Resp2,
            ["resp", "3"] => self.protocol = Protocol::Resp3,
            ["advance", millis] => {
                let now = keyspace::View::now(&self.view);
                self.view.set_now(Millis(now.0 + number(millis)));
            }
            ["db", database] => self.database = number(database) as usize,
            ["local"] => {}
            ["chunk-threshold", bytes] => {
                let string_chunk_threshold = number(bytes) as usize;
                self.view.set_limits(Limits { string_chunk_threshold, ..Limits::default() });
            }
            ["list-max", size] => {
                let list = ListPacking::of_parameter(size.parse().unwrap());
                self.view.set_limits(Limits { list, ..*keyspace::View::limits(&self.view) });
            }
            ["max-bulk", bytes] => self.settings.proto_max_bulk_len = number(bytes),
            ["eviction", "lfu"] => self.settings.eviction = Eviction::Lfu,
            ["eviction", "other"] => self.settings.eviction = Eviction::Other,
            _ => panic!("unknown directive {directive:?}"),
        }
    }

    fn command(&mut self, args: &[Vec<u8>]) -> Vec<u8> {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let args = Args::new(&args);
        let before = self.view.clone();
        self.view.stop_at(None);
        let reply = self.once(args).unwrap();
        let calls = self.view.calls();
        self.view.check();
        for stop in 0..calls.min(STOPS) {
            let after = std::mem::replace(&mut self.view, before.clone());
            self.view.stop_at(Some(stop));
            assert_eq!(self.once(args), Err(Stop::WouldBlock), "call {stop} of {args:?} was not passed on");
            self.view = before.clone();
            self.view.stop_at(None);
            assert_eq!(self.once(args).as_ref(), Ok(&reply), "the second run of {args:?}");
            assert!(self.view.same_content(&after), "the second run of {args:?}");
        }
        reply
    }

    /// One run, as a server does it.
    fn once(&mut self, args: Args<'_>) -> Result<Vec<u8>, Stop> {
        let mut reply = Reply::new(self.protocol);
        match self.dispatch(args, &mut reply) {
            Ok(()) => {}
            Err(Error::Stop(stop)) => return Err(stop),
            Err(Error::Reply(text)) => {
                reply.truncate(0);
                reply.error_bytes(&text);
            }
            Err(Error::Wait(wait)) => {
                reply.truncate(0);
                let keys = args.from(0)[wait.keys.clone()].join(&b", "[..]);
                let keys = keys.escape_ascii();
                reply.simple(&format!("waits for a {:?} at {keys}, timeout {:?}", wait.kind, wait.timeout));
            }
        }
        Ok(reply.into_buffer())
    }

    fn dispatch(&mut self, args: Args<'_>, reply: &mut Reply) -> Result<(), Error> {
        let command = resolve(args)?;
        check_keys(command, args, self.database);
        match command.run {
            Run::View(run) => {
                keyspace::View::select(&mut self.view, self.database)?;
                let (database, settings) = (self.database, &self.settings);
                run(&mut Context { view: &mut self.view, reply, database, settings, waiting: Waiting::Allowed }, args)
            }
            Run::Session => match command.spec.full_name().as_str() {
                "command" => {
                    docs::command(reply);
                    Ok(())
                }
                "command|info" => {
                    docs::info(args, reply);
                    Ok(())
                }
                "command|docs" => {
                    docs::docs(args, reply);
                    Ok(())
                }
                "command|list" => docs::list(args, reply),
                "command|getkeys" => docs::getkeys(args, reply),
                "command|getkeysandflags" => docs::getkeysandflags(args, reply),
                other => panic!("{other} needs a server"),
            },
            Run::Container => panic!("resolve does not answer containers"),
        }
    }
}

/// The keys of a command line are arguments, and a command that may not write names no key to write.
fn check_keys(command: &commands::Command, args: Args<'_>, database: usize) {
    let mut keys: Vec<KeyRef> = Vec::with_capacity(args.len() * 2);
    if commands::keys(command, args, database, &mut keys).is_err() {
        return;
    }
    let writes = command.spec.flags.has(commands::spec::Flags::WRITE);
    for key in keys {
        assert!(key.index < args.len(), "{args:?}");
        assert!(writes || key.access == Access::Read, "{args:?}");
    }
}

/// Splits a line at blanks; `"..."` may hold blanks, `\r`, `\n`, `\t`, `\"`, `\\` and `\xHH`; `"ab"*3` repeats.
fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start().as_bytes();
    while !rest.is_empty() {
        let word;
        (word, rest) = if rest[0] == b'"' { quoted(&rest[1..]) } else { bare(rest) };
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    words
}

fn bare(rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    (rest[..end].to_vec(), &rest[end..])
}

fn quoted(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut word = Vec::new();
    loop {
        let (byte, used) = match rest {
            [b'"', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', b'x', high, low, ..] => {
                let digits = [*high, *low];
                (u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap(), 4)
            }
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', byte, ..] => (*byte, 2),
            [byte, ..] => (*byte, 1),
            [] => panic!("a word is not closed"),
        };
        word.push(byte);
        rest = &rest[used..];
    }
    if let [b'*', after @ ..] = rest {
        let (count, after) = bare(after);
        word = word.repeat(std::str::from_utf8(&count).unwrap().parse().unwrap());
        return (word, after);
    }
    (word, rest)
}

/// Writes the next reply of `wire` as lines: bulk strings as `$"..."`, long ones as `$<length> fnv <hash>`, elements
/// indented by two.
fn render(wire: &mut &[u8], depth: usize, out: &mut String) {
    let end = wire.windows(2).position(|pair| pair == b"\r\n").unwrap();
    let line = String::from_utf8_lossy(&wire[..end]).into_owned();
    *wire = &wire[end + 2..];
    *out += &"  ".repeat(depth);
    let (kind, rest) = line.split_at(1);
    match kind {
        "$" if rest != "-1" => {
            let len: usize = rest.parse().unwrap();
            *out += &bulk(&wire[..len]);
            assert_eq!(&wire[len..len + 2], b"\r\n");
            *wire = &wire[len + 2..];
            out.push('\n');
        }
        "*" | "~" | "%" | ">" if rest != "-1" => {
            *out += &line;
            out.push('\n');
            let count: usize = rest.parse().unwrap();
            for _ in 0..if kind == "%" { 2 * count } else { count } {
                render(wire, depth + 1, out);
            }
        }
        _ => {
            *out += &line;
            out.push('\n');
        }
    }
}

fn bulk(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    if bytes.len() > SHOWN {
        let hash = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        return format!("${} fnv {hash:016x}", bytes.len());
    }
    let mut text = String::from("$\"");
    for byte in bytes {
        match byte {
            b'"' => text += "\\\"",
            b'\\' => text += "\\\\",
            b'\r' => text += "\\r",
            b'\n' => text += "\\n",
            b'\t' => text += "\\t",
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => text += &format!("\\x{byte:02x}"),
        }
    }
    text + "\""
}

//! What the suite asks of a server about replication, and how it waits.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::bench::client::{Client, Reply};
use crate::bench::data::{Random, key};
use crate::bench::instance::Instance;
use crate::failure::{Context, Failure, Outcome};

/// How often it is looked for what is waited for.
pub const LOOK: Duration = Duration::from_millis(1);
/// Nothing that is waited for takes longer unless it is broken.
const WITHIN: Duration = Duration::from_secs(180);

/// How many values of each kind are compared.
const SAMPLE: u64 = 500;

/// Asks again and again until there is an answer, and fails when there is none in time.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    let begun = Instant::now();
    while begun.elapsed() < WITHIN {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(LOOK);
    }
    Err(Failure::new(format!("waited {} s in vain for {what}", WITHIN.as_secs())))
}

/// The text of INFO.
pub struct Info(String);

#[cfg(test)]
impl From<String> for Info {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Info {
    pub fn of(client: &mut Client) -> Outcome<Self> {
        match client.call(&[b"INFO"]).context("asking for INFO")? {
            Reply::Bulk(text) => Ok(Self(String::from_utf8(text).context("reading INFO")?)),
            other => Err(Failure::new(format!("INFO answered {other:?}"))),
        }
    }

    /// The line of this name.
    pub fn line(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    pub fn number(&self, name: &str) -> Outcome<u64> {
        let found = self.line(name).and_then(|text| text.parse().ok());
        found.context(format_args!("looking for {name} in INFO"))
    }

    /// A field of what a replica tells of its first database.
    pub fn shard(&self, name: &str) -> Option<&str> {
        self.line("repl_db0")?.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn shard_number(&self, name: &str) -> Option<u64> {
        self.shard(name)?.parse().ok()
    }

    /// How many attempts of a replica failed in a row.
    pub fn attempt(&self) -> Option<u64> {
        self.line("repl_attempt")?.split_once('/')?.0.parse().ok()
    }

    /// Whether a replica follows, and remembers no failure.
    pub fn is_stable(&self) -> bool {
        let forgot = |attempt: Option<&str>| attempt.is_some_and(|attempt| attempt.starts_with("0/"));
        self.line("master_link_status") == Some("up")
            && forgot(self.line("repl_attempt"))
            && forgot(self.shard("attempt"))
    }
}

pub fn connect(instance: &Instance) -> Outcome<Client> {
    Client::connect(instance.port).context("connecting")
}

pub fn set(client: &mut Client, key: &[u8], value: &[u8]) -> Outcome {
    match client.call(&[b"SET", key, value]).context("writing")? {
        Reply::Simple(ok) if ok == "OK" => Ok(()),
        other => Err(Failure::new(format!("SET answered {other:?}"))),
    }
}

/// Gives an order that is answered with OK.
pub fn order(client: &mut Client, command: &[&[u8]]) -> Outcome {
    client.push(command);
    // A password may be among the rest.
    let name = command.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
    client.flush().and_then(|()| client.expect_ok()).context(format_args!("ordering {name}"))
}

/// Orders REPLICAOF. With the address that it follows already, a replica makes its links anew and forgets its failures.
pub fn follow(replica: &mut Client, primary: SocketAddr) -> Outcome {
    order(replica, &[b"REPLICAOF", primary.ip().to_string().as_bytes(), primary.port().to_string().as_bytes()])
}

/// Waits until the replica shows this value.
pub fn until_shown(replica: &mut Client, key: &[u8], value: &[u8]) -> Outcome {
    until("a write to show on the replica", || {
        let reply = replica.call(&[b"GET", key]).context("reading from the replica")?;
        Ok((reply == Reply::Bulk(value.to_vec())).then_some(()))
    })
}

/// Waits until a replica follows and has forgotten every failure.
pub fn until_stable(replica: &mut Client) -> Outcome {
    until("a stable replica", || {
        let stable = Info::of(replica)?.is_stable();
        if !stable {
            // Half a minute is not waited for with a thousand questions a second beside what is measured.
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(stable.then_some(()))
    })
}

/// Waits until the replica has applied all that the primary, to which nobody writes, has.
pub fn until_equal(primary: &mut Client, replica: &mut Client) -> Outcome {
    let end = Info::of(primary)?.number("master_repl_offset")?;
    until("the replica to have everything", || {
        let info = Info::of(replica)?;
        Ok((info.line("master_link_status") == Some("up") && info.number("slave_repl_offset")? >= end).then_some(()))
    })
}

/// Fails unless both have as many keys, and the same under a sample of them. `prefixes` are those of [`name`], each with
/// the number of its keys.
pub fn compare(primary: &mut Client, replica: &mut Client, prefixes: &[(&str, u64)]) -> Outcome {
    let mut both = |command: &[&[u8]]| -> Outcome<Reply> {
        let ours = primary.call(command).context("asking the primary")?;
        let theirs = replica.call(command).context("asking the replica")?;
        let what = command.iter().map(|arg| String::from_utf8_lossy(arg)).collect::<Vec<_>>().join(" ");
        if ours == theirs { Ok(ours) } else { Err(Failure::new(format!("primary and replica differ on {what}"))) }
    };
    both(&[b"DBSIZE"])?;
    let mut random = Random::new(1);
    for (prefix, keys) in prefixes {
        for _ in 0..SAMPLE.min(*keys) {
            let name = name(prefix, random.below(*keys));
            if both(&[b"GET", name.as_bytes()])? == Reply::Nil {
                return Err(Failure::new(format!("neither has {name}")));
            }
        }
    }
    Ok(())
}

/// The key of an index among those of a prefix.
pub fn name(prefix: &str, index: u64) -> String {
    format!("{prefix}:{}", key(index))
}

/// Sets the keys `0..keys` of a prefix to values of `size` bytes that do not compress.
pub fn fill(port: u16, prefix: &str, keys: u64, size: usize) -> Outcome {
    write(port, (keys, size), |index| name(prefix, index))
}

/// As [`fill`], `writes` times, each time one of these keys by chance.
pub fn overwrite(port: u16, prefix: &str, keys: u64, writes: u64, size: usize) -> Outcome {
    write(port, (writes, size), |index| name(prefix, Random::new(index).below(keys)))
}

/// Writes values of `size` bytes on several connections; each keeps about `WINDOW` bytes in flight.
fn write(port: u16, (writes, size): (u64, usize), name: impl Fn(u64) -> String + Sync) -> Outcome {
    const CLIENTS: u64 = 4;
    const WINDOW: usize = 1 << 20;
    let depth = (WINDOW / size).clamp(4, 256) as u64;
    let range = |from: u64, to: u64| -> std::io::Result<()> {
        let mut client = Client::connect(port)?;
        let mut next = from;
        while next < to {
            let end = (next + depth).min(to);
            for index in next..end {
                client.push(&[b"SET", name(index).as_bytes(), &noise(index, size)]);
            }
            client.flush()?;
            for _ in next..end {
                client.expect_ok()?;
            }
            next = end;
        }
        Ok(())
    };
    let share = writes.div_ceil(CLIENTS);
    let filled = std::thread::scope(|scope| {
        let range = &range;
        let starts = (0..CLIENTS).map(|client| (client * share).min(writes));
        let threads: Vec<_> = starts.map(|from| scope.spawn(move || range(from, (from + share).min(writes)))).collect();
        let ended =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(std::io::Error::other("panicked"))));
        ended.collect::<std::io::Result<()>>()
    });
    filled.context("filling")
}

/// Bytes that do not compress, the same for the same index.
pub fn noise(index: u64, size: usize) -> Vec<u8> {
    let mut random = Random::new(index);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(attempt: &str) -> Info {
        Info(format!(
            "# Replication\r\nrole:slave\r\nmaster_link_status:up\r\nslave_repl_offset:92\r\nrepl_attempt:{attempt}\r\n\
             repl_db0:state=Connected,attempt=0/64,lag_bytes=12,lag_ms=3,sync=transferring\r\n"
        ))
    }

    #[test]
    fn lines_and_fields_of_info_are_found() {
        let info = info("0/64");
        assert_eq!((info.line("role"), info.line("rol")), (Some("slave"), None));
        assert_eq!(info.number("slave_repl_offset").unwrap(), 92);
        assert!(info.number("role").is_err());
        assert_eq!((info.shard("sync"), info.shard_number("lag_ms")), (Some("transferring"), Some(3)));
        assert_eq!((info.attempt(), Info(String::new()).attempt()), (Some(0), None));
        assert_eq!((info.shard("lag"), info.shard_number("sync")), (None, None));
    }

    #[test]
    fn a_replica_with_failures_in_mind_is_not_stable() {
        assert!(info("0/64").is_stable());
        assert!(!info("10/64").is_stable());
        assert!(!Info(String::new()).is_stable());
    }

    #[test]
    fn waiting_ends_with_an_answer_or_an_error() {
        let mut asked = 0;
        let mut third = || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        };
        assert_eq!(until("three", &mut third).unwrap(), 3);
        assert!(until::<()>("an error", || Err(Failure::new("broken"))).is_err());
    }

    #[test]
    fn noise_is_as_long_as_asked_and_differs() {
        assert_eq!(noise(1, 13).len(), 13);
        assert_eq!(noise(1, 13), noise(1, 13));
        assert_ne!(noise(1, 13), noise(2, 13));
    }
}

//! Loads of our own, for what redis-benchmark cannot do: cover every key, check every value, time every operation.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::client::{Client, Reply};
use super::data::{Random, key, value};
use super::histogram::Histogram;
use crate::failure::{Context, Failure, Outcome};

/// Connections and commands in flight on each, when the only aim is to get data in.
const FILL_CLIENTS: u64 = 4;
const FILL_DEPTH: u64 = 256;
/// Elements in one command that fills a collection.
const FILL_ELEMENTS: usize = 50;

/// What a load did.
pub struct Measured {
    pub operations: u64,
    pub time: Duration,
    /// Per operation, or per batch where a load sends batches.
    pub latency: Histogram,
}

/// Sets every key of `0..keys` once, in order.
pub fn fill(port: u16, keys: u64) -> Outcome<Duration> {
    let begun = Instant::now();
    let share = keys.div_ceil(FILL_CLIENTS);
    each_client(FILL_CLIENTS, |client| {
        let (from, to) = ((client * share).min(keys), ((client + 1) * share).min(keys));
        fill_range(port, from, to)
    })
    .context("filling")?;
    Ok(begun.elapsed())
}

fn fill_range(port: u16, from: u64, to: u64) -> io::Result<()> {
    let mut client = Client::connect(port)?;
    let mut next = from;
    while next < to {
        let end = (next + FILL_DEPTH).min(to);
        for index in next..end {
            client.push(&[b"SET", key(index).as_bytes(), &value(index)]);
        }
        client.flush()?;
        for _ in next..end {
            client.expect_ok()?;
        }
        next = end;
    }
    Ok(())
}

/// Collections that are alike: members `m:000000000000` and on, with their numbers as scores.
pub struct Collections<'a> {
    /// The command that adds elements.
    pub by: Adds,
    pub keys: u64,
    /// The key of a collection's number.
    pub key: &'a dyn Fn(u64) -> String,
    pub members: u64,
    /// The value of each field of a hash, and each element of a list.
    pub value: &'a [u8],
}

/// A command that adds elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adds {
    Hset,
    Sadd,
    Zadd,
    Rpush,
}

impl Adds {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Hset => b"HSET",
            Self::Sadd => b"SADD",
            Self::Zadd => b"ZADD",
            Self::Rpush => b"RPUSH",
        }
    }

    /// The arguments for one element.
    fn push(self, number: u64, value: &[u8], args: &mut Vec<Vec<u8>>) {
        let member = || format!("m:{number:012}").into_bytes();
        match self {
            Self::Hset => args.extend([member(), value.to_vec()]),
            Self::Sadd => args.push(member()),
            Self::Zadd => args.extend([number.to_string().into_bytes(), member()]),
            Self::Rpush => args.push(value.to_vec()),
        }
    }
}

/// Makes collections.
pub fn fill_collections(port: u16, collections: &Collections<'_>) -> Outcome {
    let fill = || -> io::Result<()> {
        let mut client = Client::connect(port)?;
        let mut unanswered = 0;
        for key in 0..collections.keys {
            let key = (collections.key)(key).into_bytes();
            for from in (0..collections.members).step_by(FILL_ELEMENTS) {
                let to = (from + FILL_ELEMENTS as u64).min(collections.members);
                let mut args = vec![collections.by.name().to_vec(), key.clone()];
                (from..to).for_each(|number| collections.by.push(number, collections.value, &mut args));
                client.push(&args.iter().map(Vec::as_slice).collect::<Vec<_>>());
                unanswered += 1;
                if unanswered == FILL_DEPTH {
                    take_integers(&mut client, std::mem::take(&mut unanswered))?;
                }
            }
        }
        take_integers(&mut client, unanswered)
    };
    fill().context("filling collections")
}

fn take_integers(client: &mut Client, count: u64) -> io::Result<()> {
    client.flush()?;
    for _ in 0..count {
        match client.reply()? {
            Reply::Integer(_) => {}
            other => return Err(io::Error::other(format!("expected an integer, got {other:?}"))),
        }
    }
    Ok(())
}

/// Removes everything.
pub fn flush(port: u16) -> Outcome {
    let flush = || -> io::Result<()> {
        let mut client = Client::connect(port)?;
        client.push(&[b"FLUSHALL"]);
        client.flush()?;
        client.expect_ok()
    };
    flush().context("removing everything")
}

/// Reads random keys of `0..keys`, one at a time on each of `clients` connections, until `stop`; every value is
/// checked.
pub fn read_until(port: u16, clients: u64, keys: u64, stop: &AtomicBool) -> Outcome<Measured> {
    let begun = Instant::now();
    let histograms = each_client(clients, |number| {
        let mut client = Client::connect(port)?;
        let mut random = Random::new(seed(number));
        let mut latency = Histogram::new();
        while !stop.load(Ordering::Relaxed) {
            let index = random.below(keys);
            let sent = Instant::now();
            let reply = client.call(&[b"GET", key(index).as_bytes()])?;
            latency.record(sent.elapsed());
            check(index, &reply)?;
        }
        Ok(latency)
    });
    Ok(measured(histograms.context("reading")?, begun.elapsed(), 1))
}

/// [`read_until`] for a given time.
pub fn read(port: u16, clients: u64, keys: u64, time: Duration) -> Outcome<Measured> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(port, clients, keys, &stop));
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        joined(reader)
    })
}

/// How random keys are written.
pub struct Ingest {
    pub clients: u64,
    /// Commands in flight on each connection.
    pub depth: u64,
    /// Keys are chosen from `0..keys`.
    pub keys: u64,
    pub until: Until,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    Time(Duration),
    /// This many operations on all connections together.
    Operations(u64),
}

/// What an [`Ingest`] did.
pub struct Ingested {
    /// The latency is that of `depth` operations sent at once.
    pub measured: Measured,
    /// The longest time in which no operation of any client completed.
    pub longest_pause: Duration,
    /// The keys of each client's last acknowledged batch.
    pub last: Vec<u64>,
}

/// Writes random keys.
pub fn ingest(port: u16, ingest: &Ingest) -> Outcome<Ingested> {
    let begun = Instant::now();
    let pauses = Pauses::default();
    let batches_left = AtomicU64::new(match ingest.until {
        Until::Time(_) => u64::MAX,
        Until::Operations(operations) => operations.div_ceil(ingest.depth),
    });
    let enough = || match ingest.until {
        Until::Time(time) => begun.elapsed() >= time,
        Until::Operations(_) => {
            batches_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
        }
    };
    let clients = each_client(ingest.clients, |number| {
        let mut client = Client::connect(port)?;
        let mut random = Random::new(seed(number));
        let mut latency = Histogram::new();
        let mut batch = Vec::new();
        while !enough() {
            batch = (0..ingest.depth).map(|_| random.below(ingest.keys)).collect();
            latency.record(write_batch(&mut client, &batch)?);
            pauses.completed(begun.elapsed());
        }
        Ok((latency, batch))
    });
    let (histograms, batches): (Vec<_>, Vec<_>) = clients.context("writing")?.into_iter().unzip();
    Ok(Ingested {
        measured: measured(histograms, begun.elapsed(), ingest.depth),
        longest_pause: Duration::from_nanos(pauses.longest.load(Ordering::Relaxed)),
        last: batches.concat(),
    })
}

/// Returns how long the batch took from its first byte sent to its last reply.
fn write_batch(client: &mut Client, batch: &[u64]) -> io::Result<Duration> {
    for index in batch {
        client.push(&[b"SET", key(*index).as_bytes(), &value(*index)]);
    }
    let sent = Instant::now();
    client.flush()?;
    for _ in batch {
        client.expect_ok()?;
    }
    Ok(sent.elapsed())
}

/// Fails unless every one of these keys holds its value.
pub fn verify(port: u16, keys: &[u64]) -> Outcome {
    let mut client = Client::connect(port).context("connecting to verify")?;
    for index in keys {
        let reply = client.call(&[b"GET", key(*index).as_bytes()]).context("reading to verify")?;
        check(*index, &reply).context("verifying")?;
    }
    Ok(())
}

fn check(index: u64, reply: &Reply) -> io::Result<()> {
    match reply {
        Reply::Bulk(bytes) if bytes[..] == value(index) => Ok(()),
        Reply::Bulk(_) => Err(io::Error::other(format!("{} holds another value than was written", key(index)))),
        other => Err(io::Error::other(format!("GET {} answered {other:?}", key(index)))),
    }
}

/// The longest time between two completions, whichever clients they belong to, in nanoseconds.
#[derive(Default)]
struct Pauses {
    last: AtomicU64,
    longest: AtomicU64,
}

impl Pauses {
    /// Something completed at this time, counted from the start of the load.
    fn completed(&self, at: Duration) {
        let now = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let before = self.last.fetch_max(now, Ordering::Relaxed);
        self.longest.fetch_max(now.saturating_sub(before), Ordering::Relaxed);
    }
}

fn seed(client: u64) -> u64 {
    // Far apart, so that the clients' sequences do not overlap.
    (client + 1).wrapping_mul(0xA076_1D64_78BD_642F)
}

fn measured(histograms: Vec<Histogram>, time: Duration, per_record: u64) -> Measured {
    let mut latency = Histogram::new();
    for histogram in &histograms {
        latency.merge(histogram);
    }
    Measured { operations: latency.total() * per_record, time, latency }
}

/// Runs a function per client, each on a thread; the first error wins.
fn each_client<T: Send>(clients: u64, client: impl Fn(u64) -> io::Result<T> + Sync) -> io::Result<Vec<T>> {
    let client = &client;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|number| scope.spawn(move || client(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))).collect()
    })
}

pub fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, Outcome<T>>) -> Outcome<T> {
    thread.join().unwrap_or_else(|_| Err(Failure::new("a load panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_what_their_command_wants() {
        let args = |by: Adds| {
            let mut args = Vec::new();
            by.push(7, b"xxx", &mut args);
            args.concat()
        };
        assert_eq!(args(Adds::Hset), b"m:000000000007xxx");
        assert_eq!(args(Adds::Sadd), b"m:000000000007");
        assert_eq!(args(Adds::Zadd), b"7m:000000000007");
        assert_eq!(args(Adds::Rpush), b"xxx");
    }

    #[test]
    fn a_wrong_or_missing_value_is_an_error() {
        assert!(check(1, &Reply::Bulk(value(1).to_vec())).is_ok());
        assert!(check(1, &Reply::Bulk(value(2).to_vec())).is_err());
        assert!(check(1, &Reply::Nil).is_err());
    }

    #[test]
    fn the_longest_pause_is_kept_even_when_clients_overtake_each_other() {
        let pauses = Pauses::default();
        for millis in [10, 50, 45, 60] {
            pauses.completed(Duration::from_millis(millis));
        }
        assert_eq!(pauses.longest.load(Ordering::Relaxed), 40_000_000);
    }

    #[test]
    fn the_first_failing_client_fails_the_load() {
        let ok = each_client(3, Ok).unwrap();
        assert_eq!(ok, [0, 1, 2]);
        let failed = each_client(3, |number| if number == 1 { Err(io::Error::other("x")) } else { Ok(()) });
        assert!(failed.is_err());
    }
}

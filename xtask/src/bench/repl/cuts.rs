//! A full copy whose link is cut again and again: it must go on with what it has.
//!
//! Where the cuts are follows from the number of the repetition. The link itself counts what comes from the primary and stops
//! in the middle of whatever passes; only then it is cut, and restored at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::LARGE;
use super::heals;
use super::link::Link;
use super::node::{self, Info, connect, follow, set, until};
use crate::bench::Bench;
use crate::bench::client::{Client, Reply};
use crate::bench::data::Random;
use crate::bench::instance::{Instance, Product};
use crate::bench::load::joined;
use crate::bench::report::Section;
use crate::bench::stats::Spread;
use crate::failure::{Context, Failure, Outcome};

/// Primaries at the same time; each is copied by one replica after another.
const PRIMARIES: usize = 5;
const CUTS: usize = 10;
/// What a primary holds: a hundred megabytes that do not compress. A copy is certainly larger than its values.
const VALUES: u64 = 1000;
const PAYLOAD: u64 = VALUES * LARGE as u64;
/// At least so much passes before each cut: more than what comes before the first file, so that files come when it does.
const LEAST: u64 = PAYLOAD / 100;
/// How much more than the snapshot may be fetched.
const MOST_FETCHED: f64 = 1.2;
/// More events than a copy has.
const EVENTS: &[u8] = b"10000";

const KEY: &[u8] = b"marker";

pub fn measure(bench: &Bench, section: &mut Section) -> Outcome {
    let count = PRIMARIES.min(bench.request.repetitions);
    let each = bench.request.repetitions.div_ceil(count);
    let primaries = (0..count).map(|_| primary(bench)).collect::<Outcome<Vec<_>>>()?;
    let ports = Mutex::new(());
    let copies = std::thread::scope(|scope| {
        let begin = |(number, primary)| {
            let starter = Starter { bench, ports: &ports };
            scope.spawn(move || {
                let repetitions = number * each..(number + 1) * each;
                repetitions.map(|repetition| copy(&starter, primary, repetition as u64)).collect::<Outcome<Vec<_>>>()
            })
        };
        let threads: Vec<_> = primaries.iter().enumerate().map(begin).collect();
        threads.into_iter().map(joined).collect::<Outcome<Vec<_>>>()
    })?;
    let copies: Vec<Copied> = copies.into_iter().flatten().collect();
    rows(&copies).into_iter().for_each(|row| section.row(row));
    Ok(())
}

/// One whose log no longer has its first writes, so that a replica that has none must copy.
fn primary(bench: &Bench) -> Outcome<Instance> {
    let args = ["--log-retain-bytes", "0", "--log-segment-bytes", "1mb"];
    let primary = Instance::start(bench, Product::Haypile, &args)?;
    node::fill(primary.port, "cut", VALUES, LARGE)?;
    let mut client = connect(&primary)?;
    match client.call(&[b"BGREWRITEAOF"]).context("writing the log to the store")? {
        Reply::Simple(_) => {}
        other => return Err(Failure::new(format!("BGREWRITEAOF answered {other:?}"))),
    }
    until("the log to be cut", || {
        Ok((Info::of(&mut client)?.number("repl_backlog_first_byte_offset")? > 0).then_some(()))
    })?;
    primary.wait_until_quiet()?;
    Ok(primary)
}

/// Starts servers one after another, whoever wants one: a port that is free now is not looked for by two.
struct Starter<'a> {
    bench: &'a Bench,
    ports: &'a Mutex<()>,
}

impl Starter<'_> {
    fn start(&self) -> Outcome<Instance> {
        let _turn = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        Instance::start(self.bench, Product::Haypile, &[])
    }
}

/// What one repetition found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Copied {
    /// Bytes of the snapshot.
    snapshot: u64,
    /// Bytes that came over the link, whatever they were.
    fetched: u64,
    /// Full copies that the replica began.
    began: usize,
    /// How often it began or resumed a transfer: once, and once after each cut that interrupted one.
    transfers: usize,
    /// From REPLICAOF until the replica follows and has a write made after that.
    took: Duration,
}

fn copy(starter: &Starter<'_>, primary: &Instance, repetition: u64) -> Outcome<Copied> {
    let mut link = Link::to(primary.port)?;
    let replica = starter.start()?;
    let (mut ours, mut theirs) = (connect(primary)?, connect(&replica)?);
    let marker = repetition.to_string().into_bytes();
    let spans = spans(repetition);
    link.allow(spans[0]);
    let begun = Instant::now();
    follow(&mut theirs, link.address)?;
    set(&mut ours, KEY, &marker)?;
    let mut snapshot = 0;
    for next in spans.into_iter().skip(1).chain([u64::MAX]) {
        until("a cut", || {
            snapshot = snapshot.max(size(&Info::of(&mut theirs)?));
            Ok(link.is_spent().then_some(()))
        })?;
        link.cut();
        link.allow(next);
        link.restore()?;
    }
    until("the end of a copy that was cut", || {
        let info = Info::of(&mut theirs)?;
        snapshot = snapshot.max(size(&info));
        if info.line("master_link_status") != Some("up") {
            return Ok(None);
        }
        let reply = theirs.call(&[b"GET", KEY]).context("reading from the replica")?;
        Ok((reply == Reply::Bulk(marker.clone())).then_some(()))
    })?;
    let took = begun.elapsed();
    let fetched = link.passed();
    if snapshot == 0 {
        return Err(Failure::new("the replica never told how large the snapshot was"));
    }
    node::compare(&mut ours, &mut theirs, &[("cut", VALUES)])?;
    let (began, transfers) = told(&mut theirs)?;
    Ok(Copied { snapshot, fetched, began, transfers, took })
}

/// How much passes before each cut: the spans between as many random points of the payload.
fn spans(repetition: u64) -> [u64; CUTS] {
    let mut random = Random::new(repetition);
    let mut points = [(); CUTS].map(|()| random.below(PAYLOAD - CUTS as u64 * LEAST));
    points.sort_unstable();
    let mut before = 0;
    points.map(|point| LEAST + point - std::mem::replace(&mut before, point))
}

/// The size of the snapshot, if it says so now.
fn size(info: &Info) -> u64 {
    let transferring = info.shard("sync") == Some("transferring");
    info.shard_number("sync_total").filter(|_| transferring).unwrap_or_default()
}

/// How many full copies the replica began, and how many transfers, by the record that it keeps of its events.
fn told(replica: &mut Client) -> Outcome<(usize, usize)> {
    let reply = replica.call(&[b"REPLICATION", b"HISTORY", b"0", EVENTS]).context("asking for events")?;
    let Reply::Array(events) = reply else {
        return Err(Failure::new(format!("REPLICATION HISTORY answered {reply:?}")));
    };
    let texts = events.iter().map(|event| match event {
        Reply::Bulk(text) => String::from_utf8_lossy(text),
        Reply::Simple(_) | Reply::Error(_) | Reply::Integer(_) | Reply::Array(_) | Reply::Nil => "".into(),
    });
    Ok(count(texts))
}

fn count<'a>(events: impl Iterator<Item = std::borrow::Cow<'a, str>>) -> (usize, usize) {
    let (mut began, mut transfers) = (0, 0);
    for event in events {
        began += usize::from(event.contains(" full sync: "));
        transfers += usize::from(event.contains(" -> WaitDbSync "));
    }
    (began, transfers)
}

fn rows(copies: &[Copied]) -> [Vec<String>; 2] {
    let megabytes = copies.iter().map(|copy| copy.snapshot).max().unwrap_or_default() as f64 / 1e6;
    let ratios = Spread::of(copies.iter().map(|copy| copy.fetched as f64 / copy.snapshot as f64));
    let ratios = ratios.map_or_else(
        || "-".to_owned(),
        |Spread { median, max, .. }| format!("median {median:.3}, greatest {max:.3} of {}", copies.len()),
    );
    let most = |number: fn(&Copied) -> usize| copies.iter().map(number).max().unwrap_or_default();
    let least = |number: fn(&Copied) -> usize| copies.iter().map(number).min().unwrap_or_default();
    let interrupted: usize = copies.iter().map(|copy| copy.transfers.saturating_sub(1)).sum();
    let measured = format!(
        "{ratios}; full copies begun: {} to {}; transfers interrupted: {interrupted} by {} cuts",
        least(|copy| copy.began),
        most(|copy| copy.began),
        copies.len() * CUTS,
    );
    let mut took: Vec<Duration> = copies.iter().map(|copy| copy.took).collect();
    took.sort_unstable();
    [
        vec![
            format!("full copy of {megabytes:.0} MB, link cut {CUTS} times at random points: bytes fetched / snapshot"),
            measured,
            format!("<= {MOST_FETCHED}; 1 full copy"),
        ],
        vec![
            "the same, from REPLICAOF until it follows and has a write made after that".into(),
            heals::times(&took),
            "-".into(),
        ],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_spread_over_the_copy_and_the_same_for_the_same_repetition() {
        assert_eq!(spans(3), spans(3));
        assert_ne!(spans(3), spans(4));
        for repetition in 0..100 {
            let spans = spans(repetition);
            assert!(spans.iter().all(|span| *span >= LEAST), "{spans:?}");
            assert!(spans.iter().sum::<u64>() <= PAYLOAD, "all of them before a copy can be there: {spans:?}");
        }
        let total: u64 = (0..100).map(|repetition| spans(repetition).iter().sum::<u64>()).sum();
        assert!(total > 80 * PAYLOAD, "the last of ten is near the end as a rule");
    }

    #[test]
    fn the_size_of_a_snapshot_is_told_while_it_is_fetched() {
        let info = |phase| Info::from(format!("repl_db0:state=WaitDbSync,sync={phase},sync_total=12\r\n"));
        assert_eq!(["preparing", "transferring", "installing"].map(|phase| size(&info(phase))), [0, 12, 0]);
        assert_eq!(size(&Info::from(String::new())), 0);
    }

    #[test]
    fn copies_and_transfers_are_counted_among_events() {
        let events = [
            "t db0 full sync: trimmed",
            "t db0 WaitReply -> WaitDbSync (full_sync) attempt 0 at 0",
            "t db0 WaitDbSync -> Error (closed: gone) attempt 1 at 0",
            "t db0 WaitReply -> WaitDbSync (full_sync) attempt 1 at 0",
        ];
        assert_eq!(count(events.into_iter().map(Into::into)), (1, 2));
    }

    #[test]
    fn copies_make_two_rows() {
        let copied = |fetched, began, transfers| Copied {
            snapshot: 1_000_000,
            fetched,
            began,
            transfers,
            took: Duration::from_millis(fetched / 1000),
        };
        let [bytes, took] = rows(&[copied(1_010_000, 1, 11), copied(1_200_000, 2, 10), copied(1_030_000, 1, 11)]);
        assert_eq!(
            bytes[1],
            "median 1.030, greatest 1.200 of 3; full copies begun: 1 to 2; transfers interrupted: 29 by 30 cuts"
        );
        assert_eq!(took[1], "p50 1030 ms, p99 1200 ms, longest 1200 ms of 3");
    }
}

//! A full copy of gigabytes, while writes go on.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::node::{self, Info, connect, follow, set, until, until_equal};
use super::{LARGE, SMALL, megabytes_per_second};
use crate::bench::Bench;
use crate::bench::client::{Client, Reply};
use crate::bench::data::KEY_BYTES;
use crate::bench::instance::{Instance, Product};
use crate::bench::load::joined;
use crate::bench::report::Section;
use crate::failure::{Context, Outcome};

/// So much of the data is in small values; the rest is in large ones.
const SMALL_SHARE: f64 = 0.125;
/// What is written meanwhile: small values, a batch every so often.
const WRITES: u64 = 10;
const WRITE_EVERY: Duration = Duration::from_millis(10);
/// What the disk is measured with.
const DISK_BYTES: usize = 1 << 30;
const DISK_BLOCK: usize = 1 << 20;

pub fn measure(bench: &Bench, section: &mut Section) -> Outcome {
    let disk = disk_rate(&bench.scratch.folder)?;
    let bytes = bench.request.sync_mib << 20;
    let small = ((bytes as f64 * SMALL_SHARE) as u64 / (SMALL + KEY_BYTES) as u64).max(1);
    let large = ((bytes as f64 * (1.0 - SMALL_SHARE)) as u64).div_ceil(LARGE as u64);
    let primary = Instance::start(bench, Product::Haypile, &[])?;
    node::fill(primary.port, "small", small, SMALL)?;
    node::fill(primary.port, "large", large, LARGE)?;
    primary.wait_until_quiet()?;
    // It begins as a primary, with a history of its own: continuing from the log is out of the question.
    let replica = Instance::start(bench, Product::Haypile, &[])?;
    let (mut ours, mut theirs) = (connect(&primary)?, connect(&replica)?);

    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let copied = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&primary, &over, &written));
        let copied = copy(&mut ours, &mut theirs, primary.address());
        over.store(true, Ordering::Relaxed);
        joined(writer)?;
        copied
    })?;
    until_equal(&mut ours, &mut theirs)?;
    let prefixes = [("small", small), ("large", large), ("live", written.load(Ordering::Relaxed))];
    node::compare(&mut ours, &mut theirs, &prefixes)?;

    let mb = copied.bytes as f64 / 1e6;
    let rate = megabytes_per_second(copied.bytes, copied.transfer.as_secs_f64());
    section.row(vec![
        format!("full copy of {mb:.0} MB while writes go on: files"),
        format!("{rate} ({:.1} s)", copied.transfer.as_secs_f64()),
        "400 MB/s or what the disk takes".into(),
    ]);
    section.row(vec!["what the disk takes: writing 1 GiB and fsync".into(), disk, "-".into()]);
    section.row(vec![
        "from REPLICAOF until it follows and has a write made after that".into(),
        format!(
            "{:.1} s (snapshot {:.1}, files {:.1}, installing {:.1}, following {:.1})",
            copied.whole().as_secs_f64(),
            copied.snapshot.as_secs_f64(),
            copied.transfer.as_secs_f64(),
            copied.install.as_secs_f64(),
            copied.follow.as_secs_f64(),
        ),
        "-".into(),
    ]);
    section.row(vec![
        "longest time without progress in it; attempts".into(),
        format!("{:.1} s; {}", copied.longest_still.as_secs_f64(), copied.attempts),
        "< 30 s (`repl-progress-timeout`); 1".into(),
    ]);
    Ok(())
}

/// What a copy consisted of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Copied {
    bytes: u64,
    /// Until the snapshot was there.
    snapshot: Duration,
    /// While files came.
    transfer: Duration,
    /// From then until nothing was copied any more.
    install: Duration,
    /// From then until it followed and had the marker.
    follow: Duration,
    /// The longest time in which the replica told the same of its progress.
    longest_still: Duration,
    attempts: u64,
}

impl Copied {
    fn whole(&self) -> Duration {
        self.snapshot + self.transfer + self.install + self.follow
    }
}

/// What a replica told at a time, counted from the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    at: Duration,
    phase: Phase,
    done: u64,
    total: u64,
    attempt: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not begun, or the primary prepares.
    Before,
    Files,
    Install,
    /// No copy goes on any more.
    After,
}

fn copy(primary: &mut Client, replica: &mut Client, primary_address: SocketAddr) -> Outcome<Copied> {
    let begun = Instant::now();
    follow(replica, primary_address)?;
    set(primary, b"marker", b"of the copy")?;
    let mut copied = Copied::default();
    let mut last: Option<Told> = None;
    until("the end of a full copy", || {
        let info = Info::of(replica)?;
        let told = told(&info, begun.elapsed(), last.map(|last| last.phase));
        copied.bytes = copied.bytes.max(if told.phase == Phase::Files { told.total } else { 0 });
        copied.attempts = copied.attempts.max(told.attempt);
        let before = last.get_or_insert(told);
        if (told.phase, told.done) != (before.phase, before.done) {
            copied.longest_still = copied.longest_still.max(told.at - before.at);
            let span = told.at - copied.whole();
            if told.phase != before.phase {
                *copied.part(before.phase) += span;
            }
            *before = told;
        }
        let up = info.line("master_link_status") == Some("up") && told.phase == Phase::After;
        let shown = up && {
            let reply = replica.call(&[b"GET", b"marker"]).context("reading from the replica")?;
            reply == Reply::Bulk(b"of the copy".to_vec())
        };
        Ok(shown.then_some(()))
    })?;
    copied.follow = begun.elapsed().saturating_sub(copied.whole());
    Ok(copied)
}

impl Copied {
    fn part(&mut self, phase: Phase) -> &mut Duration {
        match phase {
            Phase::Before => &mut self.snapshot,
            Phase::Files => &mut self.transfer,
            Phase::Install => &mut self.install,
            Phase::After => &mut self.follow,
        }
    }
}

fn told(info: &Info, at: Duration, before: Option<Phase>) -> Told {
    let number = |name| info.shard_number(name).unwrap_or_default();
    let phase = match (info.shard("sync"), before) {
        (Some("transferring"), _) => Phase::Files,
        (Some("installing"), _) => Phase::Install,
        (None, Some(Phase::Files | Phase::Install | Phase::After)) => Phase::After,
        // What is interrupted, or prepared again, counts as a part of what went before.
        (Some(_), Some(before)) => before,
        (Some(_) | None, None) | (None, Some(Phase::Before)) => Phase::Before,
    };
    Told { at, phase, done: number("sync_done"), total: number("sync_total"), attempt: number("sync_attempt") }
}

/// Writes at a bounded rate until it is over.
fn write(primary: &Instance, over: &AtomicBool, written: &AtomicU64) -> Outcome {
    let mut client = connect(primary)?;
    while !over.load(Ordering::Relaxed) {
        let from = written.load(Ordering::Relaxed);
        for index in from..from + WRITES {
            client.push(&[b"SET", node::name("live", index).as_bytes(), &node::noise(index, SMALL)]);
        }
        client.flush().context("writing meanwhile")?;
        for _ in 0..WRITES {
            client.expect_ok().context("writing meanwhile")?;
        }
        written.store(from + WRITES, Ordering::Relaxed);
        std::thread::sleep(WRITE_EVERY);
    }
    Ok(())
}

/// How fast a file of this folder is written and made durable.
fn disk_rate(folder: &Path) -> Outcome<String> {
    let path = folder.join("disk");
    let block = node::noise(1, DISK_BLOCK);
    let begun = Instant::now();
    let write = || {
        let mut file = File::create(&path)?;
        for _ in 0..DISK_BYTES / DISK_BLOCK {
            file.write_all(&block)?;
        }
        file.sync_all()
    };
    write().context("measuring the disk")?;
    let took = begun.elapsed();
    std::fs::remove_file(&path).context("measuring the disk")?;
    Ok(megabytes_per_second(DISK_BYTES as u64, took.as_secs_f64()))
}

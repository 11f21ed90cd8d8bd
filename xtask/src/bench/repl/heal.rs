//! How long it takes until a replica follows again: a link that was cut, a primary or a replica that was killed.
//!
//! With the default configuration failures are forgotten after 30 s without one, so each repetition has to wait for that.
//! Several pairs of servers therefore take turns: while one of them heals the others wait.

use std::time::{Duration, Instant};

use super::heals::Heals;
use super::link::Link;
use super::node::{Info, connect, follow, set, until_shown, until_stable};
use crate::bench::Bench;
use crate::bench::instance::{Instance, Product};
use crate::bench::load::joined;
use crate::bench::report::Section;
use crate::failure::Outcome;

/// Pairs at the same time; each uses some 70 MB of memory and next to no CPU while it waits.
const PAIRS: usize = 25;
/// The pairs begin so long after one another: about what a repetition takes, divided by their number.
const APART: Duration = Duration::from_millis(1300);
/// How long a link stays cut.
const CUT: Duration = Duration::from_secs(3);
/// Cuts of a link that follow one another without a pause.
const IN_A_ROW: usize = 5;
const MARKER: &[u8] = b"marker";

pub fn measure(bench: &Bench, section: &mut Section) -> Outcome {
    let pairs = PAIRS.min(bench.request.repetitions);
    let each = bench.request.repetitions.div_ceil(pairs);
    // One after another: a port that is free now is not looked for by two.
    let pairs = (0..pairs).map(|_| Pair::start(bench)).collect::<Outcome<Vec<_>>>()?;
    let found = std::thread::scope(|scope| {
        let begin = |(number, pair): (usize, Pair)| {
            scope.spawn(move || {
                std::thread::sleep(APART * u32::try_from(number).unwrap_or(u32::MAX));
                pair.run(each)
            })
        };
        let threads: Vec<_> = pairs.into_iter().enumerate().map(begin).collect();
        threads.into_iter().map(joined).collect::<Outcome<Vec<_>>>()
    })?;
    let all = |kind: fn(&Found) -> &Heals| Heals::all(found.iter().map(kind));
    section.row(all(|found| &found.cuts).row("link cut for 3 s", "p50 < 300 ms, p99 < 2000 ms"));
    let last = format!("the same, {IN_A_ROW} cuts one right after another, the last of them");
    section.row(all(|found| &found.last_in_a_row).row(&last, "-"));
    section.row(all(|found| &found.primaries).row("primary killed and restarted", "< 1000 ms"));
    section.row(all(|found| &found.replicas).row("replica killed and restarted", "0 full copies"));
    Ok(())
}

/// A primary and a replica with a link between them.
struct Pair {
    primary: Instance,
    link: Link,
    replica: Instance,
    /// What the marker was last set to.
    marker: u64,
}

/// What one pair found.
#[derive(Default)]
struct Found {
    cuts: Heals,
    last_in_a_row: Heals,
    primaries: Heals,
    replicas: Heals,
}

impl Pair {
    fn start(bench: &Bench) -> Outcome<Self> {
        let primary = Instance::start(bench, Product::Haypile, &[])?;
        let link = Link::to(primary.port)?;
        let follows = format!("{} {}", link.address.ip(), link.address.port());
        let replica = Instance::start(bench, Product::Haypile, &["--replicaof", &follows])?;
        Ok(Self { primary, link, replica, marker: 0 })
    }

    fn run(mut self, repetitions: usize) -> Outcome<Found> {
        let mut found = Found::default();
        for _ in 0..repetitions {
            self.until_stable()?;
            let before = self.full_copies()?;
            found.cuts.times.push(self.cut()?);
            found.cuts.full_copies += self.full_copies()? - before;
        }
        self.until_stable()?;
        let before = self.full_copies()?;
        for nth in 1..=IN_A_ROW {
            let took = self.cut()?;
            if nth == IN_A_ROW {
                found.last_in_a_row.times.push(took);
            }
        }
        found.last_in_a_row.full_copies += self.full_copies()? - before;
        // From here on without the link: it would accept what a primary that is down refuses.
        self.follow_directly()?;
        for _ in 0..repetitions {
            self.until_stable()?;
            found.primaries.times.push(self.restart_primary()?);
            // A new process counts from zero.
            found.primaries.full_copies += self.full_copies()?;
        }
        for _ in 0..repetitions {
            self.until_stable()?;
            let before = self.full_copies()?;
            found.replicas.times.push(self.restart_replica()?);
            found.replicas.full_copies += self.full_copies()? - before;
        }
        Ok(found)
    }

    fn until_stable(&self) -> Outcome {
        until_stable(&mut connect(&self.replica)?)
    }

    fn full_copies(&self) -> Outcome<u64> {
        Info::of(&mut connect(&self.primary)?)?.number("sync_full")
    }

    /// Writes a marker to the primary and answers it.
    fn mark(&mut self) -> Outcome<Vec<u8>> {
        self.marker += 1;
        let marker = self.marker.to_string().into_bytes();
        set(&mut connect(&self.primary)?, MARKER, &marker)?;
        Ok(marker)
    }

    fn cut(&mut self) -> Outcome<Duration> {
        self.link.cut();
        let cut = Instant::now();
        let marker = self.mark()?;
        let mut replica = connect(&self.replica)?;
        std::thread::sleep(CUT.saturating_sub(cut.elapsed()));
        let gone = Instant::now();
        self.link.restore()?;
        until_shown(&mut replica, MARKER, &marker)?;
        Ok(gone.elapsed())
    }

    fn restart_primary(&mut self) -> Outcome<Duration> {
        let mut replica = connect(&self.replica)?;
        self.primary.kill()?;
        self.primary.restart()?;
        let gone = Instant::now();
        let marker = self.mark()?;
        until_shown(&mut replica, MARKER, &marker)?;
        Ok(gone.elapsed())
    }

    fn restart_replica(&mut self) -> Outcome<Duration> {
        self.replica.kill()?;
        let marker = self.mark()?;
        self.replica.restart()?;
        let gone = Instant::now();
        until_shown(&mut connect(&self.replica)?, MARKER, &marker)?;
        Ok(gone.elapsed())
    }

    fn follow_directly(&self) -> Outcome {
        follow(&mut connect(&self.replica)?, self.primary.address())
    }
}

//! A replica whose password the primary refuses, until it is corrected on either side.
//!
//! A refusal is waited for longer than a lost link (from 5 s on, a ninth longer each time). A correction on the replica is tried
//! at once; of one on the primary it does not hear, and is well with its next try. So what counts beside the time of a heal
//! is how long after the announced try it came.

use std::time::{Duration, Instant};

use super::heals::Heals;
use super::node::{Info, LOOK, connect, follow, order, set, until, until_stable};
use crate::bench::Bench;
use crate::bench::client::{Client, Reply};
use crate::bench::data::Random;
use crate::bench::instance::{Instance, Product};
use crate::bench::load::joined;
use crate::bench::report::Section;
use crate::failure::{Context, Outcome};

/// Pairs at the same time.
const PAIRS: usize = 25;
/// The pairs begin so long after one another: about the first back-off, divided by their number.
const APART: Duration = Duration::from_millis(200);
/// The password is corrected after one refusal, or two, or so many, in turn.
const MOST_REFUSALS: u64 = 3;
/// Where in the back-off that runs then, in percent of it. Later, and the next try might begin before the correction ends.
const EARLIEST: u64 = 5;
const LATEST: u64 = 90;
/// How often it is looked for the marker when the next try is further away than `NEAR`.
const LOOK_FAR: Duration = Duration::from_millis(20);
const NEAR: Duration = Duration::from_millis(100);
/// What the next try may take: connecting, the handshake, and agreeing where to continue.
const TARGET: &str = "within the back-off: < 250 ms after the announced try";

const KEY: &[u8] = b"marker";
const RIGHT: &[u8] = b"right";
const WRONG: &[u8] = b"wrong";

pub fn measure(bench: &Bench, section: &mut Section) -> Outcome {
    let count = PAIRS.min(bench.request.repetitions);
    let each = bench.request.repetitions.div_ceil(count);
    // One after another: a port that is free now is not looked for by two.
    let pairs = (0..count).map(|_| Pair::start(bench)).collect::<Outcome<Vec<_>>>()?;
    let found = std::thread::scope(|scope| {
        let begin = |(number, pair): (usize, Pair)| {
            scope.spawn(move || {
                std::thread::sleep(APART * u32::try_from(number).unwrap_or(u32::MAX));
                pair.run(number * each..(number + 1) * each)
            })
        };
        let threads: Vec<_> = pairs.into_iter().enumerate().map(begin).collect();
        threads.into_iter().map(joined).collect::<Outcome<Vec<_>>>()
    })?;
    let on_replica = found.iter().flat_map(|found| &found.on_replica);
    section.row(row("wrong password, `masterauth` corrected on the replica", on_replica));
    let on_primary = found.iter().flat_map(|found| &found.on_primary);
    section.row(row("wrong password, `requirepass` corrected on the primary", on_primary));
    Ok(())
}

/// Where the password gets wrong, and right again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Replica,
    Primary,
}

/// A primary with a password and its replica, and a client of each. The primary's has given the password, once and for all.
struct Pair {
    /// They live as long as the pair.
    primary: Instance,
    _replica: Instance,
    ours: Client,
    theirs: Client,
}

/// What one pair found.
#[derive(Default)]
struct Found {
    on_replica: Vec<Correction>,
    on_primary: Vec<Correction>,
}

/// One correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Correction {
    /// How long the back-off was that ran.
    backoff: Duration,
    /// When it was announced to end, counted from the correction.
    announced: Duration,
    /// When the replica showed the marker, counted from the correction.
    took: Duration,
    /// How many full copies the primary granted meanwhile.
    full_copies: u64,
}

impl Pair {
    fn start(bench: &Bench) -> Outcome<Self> {
        let primary = Instance::start(bench, Product::Haypile, &[])?;
        let mut ours = connect(&primary)?;
        order(&mut ours, &[b"CONFIG", b"SET", b"requirepass", RIGHT])?;
        let follows = format!("127.0.0.1 {}", primary.port);
        let password = String::from_utf8_lossy(RIGHT);
        let replica = Instance::start(bench, Product::Haypile, &["--replicaof", &follows, "--masterauth", &password])?;
        let theirs = connect(&replica)?;
        Ok(Self { primary, _replica: replica, ours, theirs })
    }

    fn run(mut self, repetitions: std::ops::Range<usize>) -> Outcome<Found> {
        let mut found = Found::default();
        until_stable(&mut self.theirs)?;
        for repetition in repetitions {
            found.on_replica.push(self.correct(Side::Replica, repetition as u64)?);
            found.on_primary.push(self.correct(Side::Primary, repetition as u64)?);
        }
        Ok(found)
    }

    /// Makes the password wrong and right again.
    fn correct(&mut self, side: Side, repetition: u64) -> Outcome<Correction> {
        let copies = self.full_copies()?;
        self.set_password(side, WRONG)?;
        follow(&mut self.theirs, self.primary.address())?;
        let refusals = 1 + repetition % MOST_REFUSALS;
        let refused = self.until_refused(refusals)?;
        let marker = format!("{side:?} {repetition}").into_bytes();
        set(&mut self.ours, KEY, &marker)?;
        std::thread::sleep(refused.left.saturating_sub(rest(refused.backoff(), repetition)));

        let announced = self.look()?.context("looking for a back-off that should still run")?.left;
        let corrected = Instant::now();
        self.set_password(side, RIGHT)?;
        until("a write to show on the replica", || {
            let reply = self.theirs.call(&[b"GET", KEY]).context("reading from the replica")?;
            let shown = reply == Reply::Bulk(marker.clone());
            if !shown && corrected.elapsed() + NEAR < announced {
                // Seconds are not waited for with a thousand questions each beside what is measured.
                std::thread::sleep(LOOK_FAR - LOOK);
            }
            Ok(shown.then_some(()))
        })?;
        let took = corrected.elapsed();
        Ok(Correction { backoff: refused.backoff(), announced, took, full_copies: self.full_copies()? - copies })
    }

    fn full_copies(&mut self) -> Outcome<u64> {
        Info::of(&mut self.ours)?.number("sync_full")
    }

    fn set_password(&mut self, side: Side, password: &[u8]) -> Outcome {
        match side {
            Side::Replica => order(&mut self.theirs, &[b"CONFIG", b"SET", b"masterauth", password]),
            Side::Primary => order(&mut self.ours, &[b"CONFIG", b"SET", b"requirepass", password]),
        }
    }

    /// Waits until the replica has been refused so many times since it was told to follow.
    fn until_refused(&mut self, times: u64) -> Outcome<Refused> {
        until("a refusal", || {
            let refused = self.look()?;
            if let Some(refused) = refused.filter(|refused| refused.times < times) {
                std::thread::sleep(refused.left);
            }
            Ok(refused.filter(|refused| refused.times == times))
        })
    }

    fn look(&mut self) -> Outcome<Option<Refused>> {
        Ok(Refused::told(&Info::of(&mut self.theirs)?))
    }
}

/// What a replica that was refused tells of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    times: u64,
    /// Since when its back-off runs.
    since: Duration,
    /// Until its next try.
    left: Duration,
}

impl Refused {
    /// `None` if it is in another state, or for another reason.
    fn told(info: &Info) -> Option<Self> {
        let millis = |name| info.number(name).ok().map(Duration::from_millis);
        if info.line("repl_state") != Some("Error") || info.line("repl_cause") != Some("auth_refused") {
            return None;
        }
        let (since, left) = (millis("repl_state_since_ms")?, millis("repl_next_retry_ms")?);
        Some(Self { times: info.attempt()?, since, left })
    }

    fn backoff(self) -> Duration {
        self.since + self.left
    }
}

/// How much of a back-off is left when the password is corrected: the same for the same repetition.
fn rest(backoff: Duration, repetition: u64) -> Duration {
    let percent = EARLIEST + Random::new(repetition).below(LATEST - EARLIEST + 1);
    backoff * (100 - percent as u32) / 100
}

/// A row of the table.
fn row<'a>(what: &str, corrections: impl Iterator<Item = &'a Correction>) -> Vec<String> {
    let mut heals = Heals::default();
    let (mut shortest, mut longest, mut latest) = (Duration::MAX, Duration::ZERO, Duration::ZERO);
    for correction in corrections {
        heals.times.push(correction.took);
        heals.full_copies += correction.full_copies;
        shortest = shortest.min(correction.backoff);
        longest = longest.max(correction.backoff);
        latest = latest.max(correction.took.saturating_sub(correction.announced));
    }
    heals.times.sort_unstable();
    let [shortest, longest, latest] = [shortest, longest, latest].map(|time| time.as_millis());
    let measured = format!(
        "{}; back-offs of {shortest} to {longest} ms; at most {latest} ms after the announced try",
        heals.measured()
    );
    vec![what.to_owned(), measured, TARGET.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn only_a_refused_replica_is_refused() {
        let text = |state, cause| {
            Info::from(format!(
                "repl_state:{state}\r\nrepl_state_since_ms:12\r\nrepl_cause:{cause}\r\nrepl_attempt:2/64\r\n\
                 repl_next_retry_ms:5000\r\n"
            ))
        };
        let refused = Refused::told(&text("Error", "auth_refused")).unwrap();
        assert_eq!(refused, Refused { times: 2, since: millis(12), left: millis(5000) });
        assert_eq!(refused.backoff(), millis(5012));
        assert_eq!(Refused::told(&text("Error", "refused")), None);
        assert_eq!(Refused::told(&text("Connecting", "due")), None);
    }

    #[test]
    fn corrections_come_at_all_parts_of_a_back_off_but_its_ends() {
        let backoff = millis(10_000);
        let mut rests: Vec<u64> = (0..200).map(|number| rest(backoff, number).as_millis() as u64).collect();
        assert_eq!(rest(backoff, 7), rest(backoff, 7));
        rests.sort_unstable();
        assert!((1_000..1_500).contains(&rests[0]) && (9_000..=9_500).contains(&rests[199]), "{rests:?}");
    }

    #[test]
    fn a_row_tells_how_long_after_the_announced_try_the_last_heal_was() {
        let of = |backoff, announced, took, full_copies| Correction {
            backoff: millis(backoff),
            announced: millis(announced),
            took: millis(took),
            full_copies,
        };
        let row = row("a fault", [of(5000, 3000, 3007, 0), of(6000, 4000, 3999, 1)].iter());
        assert_eq!(
            row[1],
            "p50 3007 ms, p99 3999 ms, longest 3999 ms of 2; full copies: 1; back-offs of 5000 to 6000 ms; at most 7 ms \
             after the announced try"
        );
    }
}

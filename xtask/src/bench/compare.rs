//! One load on both servers in turn: how long it runs, what is measured, and what becomes of it in a table.

use std::time::Duration;

use super::instance::{Instance, Product};
use super::redis_benchmark::{Line, Run, What};
use super::report::Section;
use super::stats::{Spread, ratio};
use super::{Bench, Breadth};
use crate::failure::Outcome;

/// What one measurement is meant to take.
const AIM_SECONDS: f64 = 1.5;
const CALIBRATION_REQUESTS: u64 = 50_000;

/// The columns of [`Pairs::cells`].
pub const COLUMNS: [&str; 5] = ["rate", "CPU per request", "p50", "p99", "rate of Haypile"];

/// How to read them.
pub const NOTE: &str = "Each cell is the median (least..greatest) over pairs of the ratio Haypile / Redis. Rate: more \
                        is better; CPU of the server per request, p50 and p99: less is better. P is the number of \
                        requests in flight per client.";

/// A load.
pub struct Load<'a> {
    pub what: What,
    /// Requests in flight per client.
    pub depth: u32,
    pub space: Space,
    pub effect: Effect,
    /// Makes a server ready for a measurement of so many requests.
    pub prepare: &'a dyn Fn(&Instance, u64) -> Outcome,
}

/// How many different random numbers a load's lines have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    Fixed(u64),
    /// Each comes up so many times, on average.
    Repeated(u64),
}

impl Space {
    pub fn below(self, requests: u64) -> u64 {
        match self {
            Self::Fixed(space) => space,
            Self::Repeated(times) => (requests / times).max(1),
        }
    }
}

/// Whether a load leaves work in the background behind, whose end is awaited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    Reads,
    Writes,
}

/// Both servers, started with empty folders.
pub struct Both {
    pub haypile: Instance,
    pub redis: Instance,
}

impl Both {
    pub fn start(bench: &Bench) -> Outcome<Self> {
        let haypile = Instance::start(bench, Product::Haypile, &[])?;
        let redis = Instance::start(bench, Product::Redis, &[])?;
        Ok(Self { haypile, redis })
    }

    pub fn each(&self, mut with: impl FnMut(&Instance) -> Outcome) -> Outcome {
        with(&self.haypile)?;
        with(&self.redis)
    }

    /// Runs a load on one and the other, as often as was asked for.
    pub fn measure(&self, bench: &Bench, load: &Load<'_>) -> Outcome<Pairs> {
        let calibrate = |instance: &Instance| -> Outcome<f64> {
            (load.prepare)(instance, CALIBRATION_REQUESTS)?;
            Ok(run(instance, load, CALIBRATION_REQUESTS)?.rate)
        };
        let (ours, theirs) = (calibrate(&self.haypile)?, calibrate(&self.redis)?);
        let requests = bench.request.requests.unwrap_or_else(|| requests_for(ours, theirs));
        self.each(Instance::wait_until_quiet)?;
        let one = |instance| sample(instance, load, requests);
        let pairs: Outcome<Vec<_>> =
            (0..bench.request.pairs).map(|_| Ok((one(&self.haypile)?, one(&self.redis)?))).collect();
        Ok(Pairs(pairs?))
    }
}

/// How many requests of each client are in flight.
pub fn depths(bench: &Bench) -> &'static [u32] {
    match bench.request.breadth {
        Breadth::Usual => &[1, 16],
        Breadth::Full => &[1, 16, 64],
    }
}

/// A table with a row for each workload and depth, in which `cells` follow the workload's name and the depth.
pub fn table<W>(
    bench: &Bench,
    workloads: &[W],
    name: impl Fn(&W) -> &'static str,
    cells: impl Fn(&W, u32) -> Outcome<Vec<String>>,
) -> Outcome<Section> {
    let mut section = Section::new(NOTE, &[&["workload", "P"][..], &COLUMNS].concat());
    for workload in workloads {
        for &depth in depths(bench) {
            section.row([vec![name(workload).to_owned(), depth.to_string()], cells(workload, depth)?].concat());
        }
    }
    Ok(section)
}

/// One run on one server.
pub struct Sample {
    /// Requests per second.
    rate: f64,
    /// CPU time of the server per request, its background work included.
    cpu: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
}

/// Samples of Haypile and of Redis.
pub struct Pairs(Vec<(Sample, Sample)>);

impl Pairs {
    /// A cell per column of [`COLUMNS`].
    pub fn cells(&self) -> Vec<String> {
        let ours = Spread::of(self.0.iter().map(|(ours, _)| ours.rate / 1000.0));
        vec![
            ratio(&self.0, |sample| sample.rate),
            ratio(&self.0, |sample| sample.cpu),
            ratio(&self.0, |sample| sample.p50),
            ratio(&self.0, |sample| sample.p99),
            ours.map_or_else(String::new, |spread| format!("{:.0} k/s", spread.median)),
        ]
    }

    /// Both servers' p99 in milliseconds.
    pub fn p99(&self) -> (Option<Spread>, Option<Spread>) {
        (Spread::of(self.0.iter().map(|(ours, _)| ours.p99)), Spread::of(self.0.iter().map(|(_, theirs)| theirs.p99)))
    }
}

/// As many requests as take the aimed time on a server between the two.
fn requests_for(one_rate: f64, other_rate: f64) -> u64 {
    (AIM_SECONDS * (one_rate * other_rate).sqrt()) as u64
}

fn sample(instance: &Instance, load: &Load<'_>, requests: u64) -> Outcome<Sample> {
    (load.prepare)(instance, requests)?;
    let before = instance.cpu()?;
    let line = run(instance, load, requests)?;
    if load.effect == Effect::Writes {
        instance.wait_until_quiet()?;
    }
    let cpu: Duration = instance.cpu()? - before;
    Ok(Sample { rate: line.rate, cpu: cpu.as_secs_f64() / requests as f64, p50: line.p50, p99: line.p99 })
}

fn run(instance: &Instance, load: &Load<'_>, requests: u64) -> Outcome<Line> {
    let (what, depth, space) = (load.what, load.depth, load.space.below(requests));
    Run { port: instance.port, what, depth, space, requests }.start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_lie_between_what_the_two_servers_need() {
        assert_eq!(requests_for(100_000.0, 400_000.0), 300_000);
    }

    #[test]
    fn a_space_is_fixed_or_grows_with_the_requests() {
        assert_eq!(Space::Fixed(7).below(1000), 7);
        assert_eq!(Space::Repeated(50).below(1000), 20);
        assert_eq!(Space::Repeated(50).below(10), 1);
    }

    #[test]
    fn cells_fit_their_columns() {
        let sample = |rate, p99| Sample { rate, cpu: 0.000_01, p50: 0.5, p99 };
        let pairs = Pairs(vec![(sample(200_000.0, 0.5), sample(100_000.0, 1.0))]);
        let cells = pairs.cells();
        assert_eq!(cells.len(), COLUMNS.len());
        assert_eq!((cells[0].as_str(), cells[4].as_str()), ("2.00 (2.00..2.00)", "200 k/s"));
        let (ours, theirs) = pairs.p99();
        assert_eq!((ours.unwrap().median, theirs.unwrap().median), (0.5, 1.0));
    }
}

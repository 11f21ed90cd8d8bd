//! Suite `hot`: everything is in memory. redis-benchmark with 50 clients on 100 000 keys of 100 bytes.

use std::process::Command;
use std::time::Duration;

use super::instance::{Instance, Product};
use super::report::Section;
use super::stats::ratio;
use super::{Bench, Breadth, load};
use crate::failure::{Context, Failure, Outcome};
use crate::workspace::output_of;

const KEYS: u64 = 100_000;
/// The depth at which collections are filled.
const FILL_DEPTH: u32 = 16;
/// Of so many members those are chosen by chance that fill a set: hardly one is chosen twice.
const FILL_MEMBERS: u64 = 1_000_000_000;

const WORKLOADS: [Workload; 18] = [
    Workload::test("set"),
    Workload::test("get"),
    Workload::test("incr"),
    Workload::test("mset"),
    Workload::test("lpush"),
    Workload::test("rpush"),
    Workload::test("lpop").on(Before::AsManyBy("rpush")),
    Workload::test("rpop").on(Before::AsManyBy("rpush")),
    Workload::line("lrange_100", &["LRANGE", "mylist", "0", "99"]).on(Before::Elements(1000)),
    Workload::line("lrange_300", &["LRANGE", "mylist", "0", "299"]).on(Before::Elements(1000)),
    Workload::line("lrange_600", &["LRANGE", "mylist", "0", "599"]).on(Before::Elements(1000)),
    Workload::test("hset"),
    Workload::test("sadd"),
    Workload::test("spop").on(Before::AsManyBy("sadd")),
    Workload::test("zadd"),
    Workload::test("zpopmin").on(Before::AsManyBy("zadd")),
    Workload::line("lindex in 1 M", &["LINDEX", "mylist", "333333"]).on(Before::Elements(1_000_000)),
    Workload::line("lrange_100 in 1 M", &["LRANGE", "mylist", "500000", "500099"]).on(Before::Elements(1_000_000)),
];

/// What is measured.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    /// A command line for redis-benchmark; `None`: it has a test of that name.
    line: Option<&'static [&'static str]>,
    before: Before,
}

/// What redis-benchmark's collections hold at first.
#[derive(Clone, Copy)]
enum Before {
    /// Whatever is there.
    Anything,
    /// The list: so many elements.
    Elements(u64),
    /// As many elements more as there will be requests, for each measurement, put in by that test.
    AsManyBy(&'static str),
}

impl Workload {
    const fn test(name: &'static str) -> Self {
        Self { name, line: None, before: Before::Anything }
    }

    const fn line(name: &'static str, line: &'static [&'static str]) -> Self {
        Self { name, line: Some(line), before: Before::Anything }
    }

    const fn on(mut self, before: Before) -> Self {
        self.before = before;
        self
    }
}

/// What one measurement is meant to take.
const AIM_SECONDS: f64 = 3.0;
const CALIBRATION_REQUESTS: u64 = 50_000;

/// One run of redis-benchmark.
struct Sample {
    /// Requests per second.
    rate: f64,
    /// CPU time of the server per request, its background work included.
    cpu: f64,
    p50: f64,
    p99: f64,
}

pub fn measure(bench: &Bench) -> Outcome<Section> {
    let depths: &[u32] = match bench.request.breadth {
        Breadth::Usual => &[1, 16],
        Breadth::Full => &[1, 16, 64],
    };
    let mut section = Section::new(
        "Each cell is the median (least..greatest) over pairs of the ratio Haypile / Redis. Rate: more is better; CPU \
         of the server per request, p50 and p99: less is better. P is the number of requests in flight per client.",
        &["workload", "P", "rate", "CPU per request", "p50", "p99", "rate of Haypile"],
    );
    for workload in WORKLOADS {
        for &depth in depths {
            let pairs = pairs(bench, &workload, depth)?;
            let ours = super::stats::Spread::of(pairs.iter().map(|(ours, _)| ours.rate / 1000.0));
            section.row(vec![
                workload.name.to_owned(),
                depth.to_string(),
                ratio(&pairs, |sample| sample.rate),
                ratio(&pairs, |sample| sample.cpu),
                ratio(&pairs, |sample| sample.p50),
                ratio(&pairs, |sample| sample.p99),
                ours.map_or_else(String::new, |spread| format!("{:.0} k/s", spread.median)),
            ]);
        }
    }
    Ok(section)
}

/// Fresh servers for each test, so that no test inherits the log or the memory of the one before.
fn pairs(bench: &Bench, workload: &Workload, depth: u32) -> Outcome<Vec<(Sample, Sample)>> {
    let haypile = Instance::start(bench, Product::Haypile, &[])?;
    let redis = Instance::start(bench, Product::Redis, &[])?;
    load::fill(haypile.port, KEYS)?;
    load::fill(redis.port, KEYS)?;
    for instance in [&haypile, &redis] {
        match workload.before {
            Before::Anything => {}
            Before::Elements(count) => fill(instance, "rpush", count)?,
            Before::AsManyBy(test) => fill(instance, test, CALIBRATION_REQUESTS)?,
        }
    }
    let calibrate = |instance: &Instance| Ok(run(instance.port, workload, (depth, KEYS), CALIBRATION_REQUESTS)?.rate);
    let requests = match bench.request.requests {
        Some(requests) => requests,
        None => requests_for(calibrate(&haypile)?, calibrate(&redis)?),
    };
    haypile.wait_until_quiet()?;
    redis.wait_until_quiet()?;
    let one = |instance| sample(instance, workload, depth, requests);
    (0..bench.request.pairs).map(|_| Ok((one(&haypile)?, one(&redis)?))).collect()
}

/// As many requests as take the aimed time on a server between the two.
fn requests_for(one_rate: f64, other_rate: f64) -> u64 {
    (AIM_SECONDS * (one_rate * other_rate).sqrt()) as u64
}

/// Makes one of redis-benchmark's collections larger by one of its tests.
fn fill(instance: &Instance, test: &'static str, elements: u64) -> Outcome<()> {
    run(instance.port, &Workload::test(test), (FILL_DEPTH, FILL_MEMBERS), elements).map(drop)
}

fn sample(instance: &Instance, workload: &Workload, depth: u32, requests: u64) -> Outcome<Sample> {
    if let Before::AsManyBy(test) = workload.before {
        fill(instance, test, requests)?;
        instance.wait_until_quiet()?;
    }
    let before = instance.cpu()?;
    let line = run(instance.port, workload, (depth, KEYS), requests)?;
    instance.wait_until_quiet()?;
    let cpu: Duration = instance.cpu()? - before;
    Ok(Sample { rate: line.rate, cpu: cpu.as_secs_f64() / requests as f64, p50: line.p50, p99: line.p99 })
}

fn run(port: u16, workload: &Workload, (depth, keys): (u32, u64), requests: u64) -> Outcome<Line> {
    let mut command = Command::new("redis-benchmark");
    command.args(["--csv", "-c", "50", "-d", "100"]);
    command.args(["-r", &keys.to_string(), "-p", &port.to_string()]);
    command.args(["-P", &depth.to_string(), "-n", &requests.to_string()]);
    match workload.line {
        None => command.args(["-t", workload.name]),
        Some(line) => command.args(line),
    };
    let printed = output_of(&mut command)?;
    parse(&printed).context(format_args!("reading redis-benchmark's output\n{printed}"))
}

/// What redis-benchmark says of one test.
#[derive(PartialEq, Debug)]
struct Line {
    rate: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
}

/// Reads the output of a single test: a line of column names and a line of values, all quoted.
fn parse(csv: &str) -> Outcome<Line> {
    let mut lines = csv.lines().map(str::trim).filter(|line| line.starts_with('"'));
    let (names, values) = lines.next().zip(lines.next()).context("looking for two lines")?;
    if lines.next().is_some() {
        return Err(Failure::new("more than one test"));
    }
    let (names, values) = (cells(names), cells(values));
    let column = |name: &str| {
        let at = names.iter().position(|column| *column == name);
        let value = at.and_then(|at| values.get(at)?.parse::<f64>().ok());
        value.context(format_args!("looking for column {name}"))
    };
    Ok(Line { rate: column("rps")?, p50: column("p50_latency_ms")?, p99: column("p99_latency_ms")? })
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('"').split("\",\"").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
                         \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"";

    #[test]
    fn a_line_of_redis_benchmark_is_read_by_column_name() {
        let csv = format!(
            "{NAMES}\n\"MSET (10 keys)\",\"92165.90\",\"7.212\",\"1.224\",\"7.535\",\"10.2\",\"13.327\",\"13.5\"\n"
        );
        assert_eq!(parse(&csv).unwrap(), Line { rate: 92165.90, p50: 7.535, p99: 13.327 });
    }

    #[test]
    fn other_output_is_an_error() {
        assert!(parse("").is_err());
        assert!(parse("Could not connect\n").is_err());
        assert!(parse(&format!("{NAMES}\n\"SET\",\"x\"\n")).is_err());
        let line = "\"SET\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\"\n";
        assert!(parse(&format!("{NAMES}\n{line}")).is_ok());
        assert!(parse(&format!("{NAMES}\n{line}{line}")).is_err());
    }

    #[test]
    fn requests_lie_between_what_the_two_servers_need() {
        assert_eq!(requests_for(100_000.0, 400_000.0), 600_000);
    }
}

//! `redis-benchmark`: one run of one test of its own, or of a command line, and what it prints of it.

use std::process::Command;

use super::data::VALUE_BYTES;
use crate::failure::{Context, Failure, Outcome};
use crate::workspace::output_of;

const CLIENTS: &str = "50";

/// What is sent.
#[derive(Clone, Copy)]
pub enum What {
    /// The test of this name.
    Test(&'static str),
    /// This command line; each `__rand_int__` in it becomes a random number of twelve digits.
    Line(&'static [&'static str]),
}

/// A run.
pub struct Run {
    pub port: u16,
    pub what: What,
    /// Requests in flight per client.
    pub depth: u32,
    /// Random numbers are below this.
    pub space: u64,
    pub requests: u64,
}

/// What redis-benchmark says of a run.
#[derive(PartialEq, Debug)]
pub struct Line {
    /// Requests per second.
    pub rate: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
}

impl Run {
    pub fn start(&self) -> Outcome<Line> {
        let mut command = Command::new("redis-benchmark");
        command.args(["--csv", "-c", CLIENTS, "-d", &VALUE_BYTES.to_string()]);
        command.args(["-r", &self.space.to_string(), "-p", &self.port.to_string()]);
        command.args(["-P", &self.depth.to_string(), "-n", &self.requests.to_string()]);
        match self.what {
            What::Test(name) => command.args(["-t", name]),
            What::Line(line) => command.args(line),
        };
        let printed = output_of(&mut command)?;
        parse(&printed).context(format_args!("reading redis-benchmark's output\n{printed}"))
    }
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
    fn a_line_is_read_by_column_name() {
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
}

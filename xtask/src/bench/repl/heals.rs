//! Heals of one kind: how long they took, and whether they were full copies.

use std::time::Duration;

use crate::bench::stats::percentile;

#[derive(Default)]
pub struct Heals {
    pub times: Vec<Duration>,
    /// How many of them were full copies.
    pub full_copies: u64,
}

impl Heals {
    /// Those of all parts, the times sorted.
    pub fn all<'a>(parts: impl Iterator<Item = &'a Heals>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.times.extend_from_slice(&part.times);
            all.full_copies += part.full_copies;
        }
        all.times.sort_unstable();
        all
    }

    /// A row of the table; the times are sorted.
    pub fn row(&self, what: &str, target: &str) -> Vec<String> {
        vec![what.to_owned(), self.measured(), target.to_owned()]
    }

    /// The times, which are sorted, and the full copies.
    pub fn measured(&self) -> String {
        format!("{}; full copies: {}", times(&self.times), self.full_copies)
    }
}

/// What a table tells of sorted times.
pub fn times(sorted: &[Duration]) -> String {
    let millis = |time: Option<Duration>| time.map_or_else(|| "-".into(), |time| time.as_millis().to_string());
    let (p50, p99) = (millis(percentile(sorted, 50)), millis(percentile(sorted, 99)));
    let (count, longest) = (sorted.len(), millis(sorted.last().copied()));
    format!("p50 {p50} ms, p99 {p99} ms, longest {longest} ms of {count}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heals_of_all_pairs_make_one_row() {
        let heals = |millis: &[u64], full_copies| Heals {
            times: millis.iter().copied().map(Duration::from_millis).collect(),
            full_copies,
        };
        let all = Heals::all([heals(&[30, 10], 0), heals(&[20], 2)].iter());
        let row = all.row("a fault", "-");
        assert_eq!(row, ["a fault", "p50 20 ms, p99 30 ms, longest 30 ms of 3; full copies: 2", "-"]);
        assert!(heals(&[], 0).row("nothing", "-")[1].starts_with("p50 - ms"));
    }
}

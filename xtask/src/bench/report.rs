//! Tables, on the terminal and in `docs/benchmarks.md`.
//!
//! The document is written by hand but for the text between two markers per suite, `<!-- hot -->` and
//! `<!-- /hot -->`: a run replaces what lies between the markers of the suites that it measured.

use std::fmt::{self, Display};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::failure::{Context, Outcome};
use crate::workspace::output_of;

const DOCUMENT: &str = "docs/benchmarks.md";

/// What one suite measured, or a part of it.
pub struct Section {
    /// What was measured and how to read it.
    note: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Section {
    pub fn new(note: &str, columns: &[&str]) -> Self {
        Self { note: note.to_owned(), columns: columns.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row, and prints it for those who wait.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "a row has a cell per column");
        println!("    {}", cells.join("  "));
        self.rows.push(cells);
    }
}

/// A Markdown table that reads well as plain text, too.
impl Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |at: usize| self.rows.iter().chain([&self.columns]).map(|row| row[at].chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|at| width(at).unwrap_or(0)).collect();
        let line = |f: &mut fmt::Formatter<'_>, row: &[String]| {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")
        };
        writeln!(f, "{}\n", self.note)?;
        line(f, &self.columns)?;
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        line(f, &rules)?;
        for row in &self.rows {
            line(f, row)?;
        }
        Ok(())
    }
}

/// Puts the sections of a suite between its markers in the document.
pub fn write(root: &Path, suite: &str, sections: &[Section]) -> Outcome {
    let file = root.join(DOCUMENT);
    let document = fs::read_to_string(&file).context(format_args!("reading {}", file.display()))?;
    let date = output_of(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let tables: Vec<String> = sections.iter().map(Section::to_string).collect();
    let text = format!("Measured on {} on {}.\n\n{}", date.trim(), machine()?, tables.join("\n"));
    let document = replaced(&document, suite, &text).context(format_args!("looking for the markers of {suite}"))?;
    fs::write(&file, document).context(format_args!("writing {}", file.display()))
}

/// The class of this machine, in words that name no machine.
fn machine() -> Outcome<String> {
    let memory = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let kib: f64 = total.and_then(|total| total.parse().ok()).context("reading MemTotal")?;
    let cores = std::thread::available_parallelism().context("counting cores")?;
    Ok(format!("a machine with {cores} cores and {:.0} GiB of memory, shared by servers and loads", kib / 1_048_576.0))
}

/// The document with `text` between the markers of `suite`; `None` when it lacks them.
fn replaced(document: &str, suite: &str, text: &str) -> Option<String> {
    let (open, close) = (format!("<!-- {suite} -->"), format!("<!-- /{suite} -->"));
    let (before, rest) = document.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    Some(format!("{before}{open}\n{}\n{close}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let mut section = Section::new("A note.", &["a", "rate"]);
        section.row(vec!["get".into(), "1".into()]);
        assert_eq!(section.to_string(), "A note.\n\n| a   | rate |\n| --- | ---- |\n| get | 1    |\n");
    }

    #[test]
    fn only_the_measured_suite_is_replaced() {
        let document = "head\n<!-- hot -->\nold\n<!-- /hot -->\nmiddle\n<!-- cold -->\nkept\n<!-- /cold -->\n";
        let fresh = replaced(document, "hot", "new\n").unwrap();
        assert_eq!(fresh, "head\n<!-- hot -->\nnew\n<!-- /hot -->\nmiddle\n<!-- cold -->\nkept\n<!-- /cold -->\n");
        assert_eq!(replaced(document, "mem", "new"), None);
    }

    #[test]
    fn the_machine_is_described() {
        assert!(machine().unwrap().contains("GiB"));
    }
}

//! The text of INFO in the making.

use std::fmt::{Display, Write as _};

/// Lines that end in CR LF; an empty one between sections.
#[derive(Debug, Default)]
pub(super) struct Lines(String);

impl Lines {
    /// Begins a section.
    pub(super) fn heading(&mut self, heading: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        // Writing to a string does not fail, here and below.
        let _ = write!(self.0, "# {heading}\r\n");
    }

    /// Adds a field.
    pub(super) fn put(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// Adds a field in bytes, and the same for people as `<name>_human`.
    pub(super) fn put_bytes(&mut self, name: &str, bytes: u64) {
        self.put(name, bytes);
        self.put(&format!("{name}_human"), human(bytes));
    }

    /// Adds fields that are 0.
    pub(super) fn put_zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.put(name, 0));
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Bytes as Redis shows them to people.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.2}{}", UNITS[unit])
}

/// `part` of `whole`, as a ratio; 0 when there is no whole.
pub(in super::super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_with_two_digits() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(1024), "1.00K");
        assert_eq!(human(1_593_048), "1.52M");
        assert_eq!(human(3 << 30), "3.00G");
    }

    #[test]
    fn sections_are_apart() {
        let mut lines = Lines::default();
        lines.heading("A");
        lines.put("x", 1);
        lines.heading("B");
        lines.put_zeros(&["y", "z"]);
        assert_eq!(lines.into_text(), "# A\r\nx:1\r\n\r\n# B\r\ny:0\r\nz:0\r\n");
    }
}

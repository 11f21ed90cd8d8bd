//! What the command line asks for.

use std::path::PathBuf;

use server::config::Settings;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Haypile, a database that speaks the protocol of Redis and keeps its data on disk.

usage: haypile [serve] [FILE] [--PARAMETER VALUE ..]    start the server
       haypile check-config [FILE] [--PARAMETER VALUE ..]    say whether it would start with that
       haypile events FILE    report what an events.jsonl tells of replication
       haypile --version
       haypile --help

FILE is a configuration file in the form of redis.conf. Every parameter in it can be given as an
argument, too, and then wins: haypile --port 7000 --dir /var/lib/haypile
`haypile docs config` prints a file with all parameters and their defaults.
";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The server.
    Serve(Start),
    /// Whether it would start.
    CheckConfig(Start),
    /// A report on a file of events.
    Events(PathBuf),
    /// A text.
    Print(Document),
    /// Nothing that exists.
    Wrong(String),
}

/// A text that the binary can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    Version,
    Help,
    Commands,
    Parameters,
    Config,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    file: Option<PathBuf>,
    parameters: Vec<String>,
}

impl Start {
    /// Reads it.
    pub(crate) fn load(&self) -> Result<Settings, String> {
        Settings::load(self.file.as_deref(), &self.parameters).map_err(|error| error.to_string())
    }
}

/// Understands the arguments after the program's name.
pub(crate) fn read(args: Vec<String>) -> Wish {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--version" | "-v" | "-V"] => Wish::Print(Document::Version),
        ["--help" | "-h" | "help"] => Wish::Print(Document::Help),
        ["docs", "commands"] => Wish::Print(Document::Commands),
        ["docs", "parameters"] => Wish::Print(Document::Parameters),
        ["docs", "config"] => Wish::Print(Document::Config),
        ["docs", ..] => Wish::Wrong("usage: haypile docs commands|parameters|config".to_owned()),
        ["events", file] => Wish::Events(PathBuf::from(file)),
        ["events", ..] => Wish::Wrong("usage: haypile events FILE".to_owned()),
        ["serve", ..] => Wish::Serve(start(args, 1)),
        ["check-config", ..] => Wish::CheckConfig(start(args, 1)),
        _ => Wish::Serve(start(args, 0)),
    }
}

fn start(mut args: Vec<String>, from: usize) -> Start {
    let mut parameters = args.split_off(from);
    let file = parameters.first().is_some_and(|first| !first.starts_with("--"));
    let file = file.then(|| PathBuf::from(parameters.remove(0)));
    Start { file, parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(line: &str) -> Wish {
        read(line.split_whitespace().map(str::to_owned).collect())
    }

    fn start_of(file: Option<&str>, parameters: &[&str]) -> Start {
        Start { file: file.map(PathBuf::from), parameters: parameters.iter().map(|&word| word.to_owned()).collect() }
    }

    #[test]
    fn serving_is_the_default() {
        assert_eq!(wish(""), Wish::Serve(Start::default()));
        assert_eq!(wish("serve"), Wish::Serve(Start::default()));
        assert_eq!(wish("h.conf --port 1"), Wish::Serve(start_of(Some("h.conf"), &["--port", "1"])));
        assert_eq!(wish("serve --port 1"), Wish::Serve(start_of(None, &["--port", "1"])));
        assert_eq!(wish("check-config h.conf"), Wish::CheckConfig(start_of(Some("h.conf"), &[])));
    }

    #[test]
    fn texts_are_printed_on_demand() {
        assert_eq!(wish("--version"), Wish::Print(Document::Version));
        assert_eq!(wish("-h"), Wish::Print(Document::Help));
        assert_eq!(wish("docs config"), Wish::Print(Document::Config));
        assert!(matches!(wish("docs nonsense"), Wish::Wrong(_)));
        assert_eq!(wish("events data/events.jsonl"), Wish::Events(PathBuf::from("data/events.jsonl")));
        assert!(matches!(wish("events"), Wish::Wrong(_)));
    }
}

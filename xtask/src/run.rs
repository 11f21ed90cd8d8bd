//! `cargo xtask run`: builds the server in release and becomes it.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::setup::{self, Needs};
use crate::workspace::{Build, Workspace};

/// What the server is started with, unless the user says otherwise.
const DEFAULTS: [(&str, &str); 3] = [("--bind", "127.0.0.1"), ("--port", "6379"), ("--dir", "./data")];

pub fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    setup::run(workspace, Needs::Build)?;
    let binary = workspace.build(Build::Release)?;
    // The process is replaced, so signals and the exit code are the server's own.
    let error = Command::new(&binary).args(arguments(args)).exec();
    Err(Failure::new(format!("starting {}: {error}", binary.display())))
}

/// The server's arguments: the user's, after those defaults that the user did not give. A leading word (a subcommand
/// or a configuration file) means that the user knows what is wanted, so it gets no defaults.
fn arguments(args: &[String]) -> Vec<String> {
    let args = match args {
        [first, rest @ ..] if first == "--" => rest,
        all => all,
    };
    if args.first().is_some_and(|first| !first.starts_with("--")) {
        return args.to_vec();
    }
    let mut all = vec!["serve".to_owned()];
    for (name, value) in DEFAULTS {
        if !args.iter().any(|arg| arg == name) {
            all.extend([name.to_owned(), value.to_owned()]);
        }
    }
    all.extend_from_slice(args);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn defaults_fill_only_what_the_user_left_out() {
        assert_eq!(arguments(&[]), words("serve --bind 127.0.0.1 --port 6379 --dir ./data"));
        assert_eq!(arguments(&words("--port 7001")), words("serve --bind 127.0.0.1 --dir ./data --port 7001"));
        assert_eq!(arguments(&words("-- --dir /d")), words("serve --bind 127.0.0.1 --port 6379 --dir /d"));
    }

    #[test]
    fn a_subcommand_or_a_file_is_passed_on_as_it_is() {
        assert_eq!(arguments(&words("check-config my.conf")), words("check-config my.conf"));
        assert_eq!(arguments(&words("-- my.conf")), words("my.conf"));
    }
}

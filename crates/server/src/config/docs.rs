//! The table of parameters as documentation: `docs/parameters.md`, and a sample configuration file.

use super::foreign::{IGNORED, REFUSED, Refused};
use super::parse::join_words;
use super::rewrite::line_of;
use super::table::{Change, Effect, Group, Parameter};
use super::{Config, PARAMETERS};

/// Columns of a comment in the sample file.
const COLUMNS: usize = 100;

const ABOUT: &str = "\
# Parameters

Generated from the table of parameters; `cargo xtask docs` writes it anew.

The configuration file has the form of a redis.conf: a parameter and its values on each line, `#` at the beginning of a line
for comments, `include FILE`. Every parameter is also an argument: `--port 7000`. Memory is in bytes or has a unit: `1k` is
1000 bytes, `1kb` 1024, likewise `m`, `mb`, `g`, `gb`. *Live* parameters change by `CONFIG SET`, the others only at start.
**No effect**: accepted so that an existing redis.conf starts; the server warns when a start sets another value than the
default.
";

/// The reference of all parameters.
pub fn parameters_markdown() -> String {
    let default = Config::default();
    let mut page = ABOUT.to_owned();
    for group in Group::ALL {
        page += &format!(
            "\n## {}\n\n| parameter | default | values | change | meaning |\n|---|---|---|---|---|\n",
            group.title()
        );
        for parameter in PARAMETERS.iter().filter(|parameter| parameter.group == group) {
            page += &row(parameter, &default);
        }
    }
    page += "\n## Ignored\n\nThese parameters of Redis mean nothing here and are ignored with a warning: ";
    page += &IGNORED.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    page += ".\n\n## Refused\n\nWith these the server does not start, for without them it would be less safe than it was meant to be: ";
    let refused = |refused: &Refused| {
        let off = refused.off.map(|off| format!(" (except `{off}`)")).unwrap_or_default();
        format!("`{}`{off}", refused.name)
    };
    page += &REFUSED.iter().map(refused).collect::<Vec<_>>().join(", ");
    page += ".\n";
    page
}

fn row(parameter: &Parameter, default: &Config) -> String {
    let alias = parameter.alias.map(|alias| format!(" (also `{alias}`)")).unwrap_or_default();
    let words = parameter.line(default);
    let value = join_words(words.iter().map(String::as_str));
    let change = match parameter.change {
        Change::Live => "live",
        Change::StartOnly => "start",
    };
    let effect = match parameter.effect {
        Effect::Full => "",
        Effect::NoEffect => "**No effect.** ",
    };
    let cells = [format!("`{}`{alias}", parameter.name), format!("`{value}`"), parameter.accepts(), change.to_owned()];
    let cells = cells.map(|cell| cell.replace('|', "\\|")).join(" | ");
    format!("| {cells} | {effect}{} |\n", parameter.help())
}

/// A configuration file in which every parameter that has an effect stands as a comment with its default and its help.
pub fn sample_conf() -> String {
    let default = Config::default();
    let mut file =
        "# haypile.conf: every parameter with its default. Remove the # in front of what you change.\n".to_owned();
    file += "# Memory is in bytes or has a unit: 1k is 1000 bytes, 1kb 1024, likewise m, mb, g, gb.\n";
    for group in Group::ALL {
        let of_group = PARAMETERS.iter().filter(|parameter| parameter.group == group);
        let mut working = of_group.filter(|parameter| parameter.effect == Effect::Full).peekable();
        if working.peek().is_some() {
            file += &format!("\n### {} ###\n", group.title());
        }
        for parameter in working {
            let change = match parameter.change {
                Change::Live => "",
                Change::StartOnly => " Only at start.",
            };
            let help = format!("{} ({}){change}", parameter.help(), parameter.accepts());
            file += &format!("\n{}#{}", comment(&help), line_of(parameter, &default));
        }
    }
    file
}

/// `text` as comment lines.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > COLUMNS {
            lines += &line;
            lines.push('\n');
            line = "#".to_owned();
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}

//! What the table tells: the replies of COMMAND and its subcommands, the HELP of containers, and `docs/commands.md`.

mod info;
mod markdown;
mod reply;
mod syntax;

pub use markdown::commands_markdown;
pub use reply::{command, count, docs, getkeys, getkeysandflags, help, info, list};
pub use syntax::syntax;

//! Which arguments nobody but the server may see: passwords, wherever command lines are shown.

use commands::{Args, Command};

use crate::config::{Parameter, Privacy};

/// What is shown in place of a secret, as in Redis.
const HIDDEN: &[u8] = b"(redacted)";

/// The arguments as others may see them.
pub(crate) fn hide<'a>(command: &Command, args: Args<'a>) -> Vec<&'a [u8]> {
    let mut shown = args.from(0).to_vec();
    match (command.spec.container, command.spec.name) {
        (None, "auth") => shown[1..].fill(HIDDEN),
        (None, "hello") => {
            let login = (2..args.len()).find(|at| args.is(*at, "AUTH")).map_or(args.len(), |at| at + 1);
            let end = args.len().min(login + 2);
            shown[login.min(end)..end].fill(HIDDEN);
        }
        (Some("config"), "set") => {
            for pair in shown[2..].chunks_exact_mut(2) {
                if is_secret(pair[0]) {
                    pair[1] = HIDDEN;
                }
            }
        }
        _ => {}
    }
    shown
}

fn is_secret(name: &[u8]) -> bool {
    let found = std::str::from_utf8(name).ok().and_then(Parameter::find);
    found.is_some_and(|(parameter, _)| parameter.privacy == Privacy::Secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let args = Args::new(&args);
        let command = commands::resolve(args).unwrap();
        String::from_utf8(hide(command, args).join(&b' ')).unwrap()
    }

    #[test]
    fn passwords_are_hidden_and_nothing_else() {
        assert_eq!(shown("AUTH pass"), "AUTH (redacted)");
        assert_eq!(shown("AUTH user pass"), "AUTH (redacted) (redacted)");
        assert_eq!(shown("HELLO 3 auth user pass SETNAME x"), "HELLO 3 auth (redacted) (redacted) SETNAME x");
        assert_eq!(shown("HELLO 3 AUTH user"), "HELLO 3 AUTH (redacted)");
        assert_eq!(shown("HELLO 3 AUTH"), "HELLO 3 AUTH");
        assert_eq!(shown("HELLO"), "HELLO");
        assert_eq!(
            shown("CONFIG SET timeout 1 RequirePass pass port"),
            "CONFIG SET timeout 1 RequirePass (redacted) port"
        );
        assert_eq!(shown("SET requirepass pass"), "SET requirepass pass");
    }
}

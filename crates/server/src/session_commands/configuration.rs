//! CONFIG GET, SET, REWRITE, RESETSTAT.
//!
//! SET and REWRITE go to the desk: a rewrite waits for the disk, and they must not overtake each other.

use commands::glob::{self, Case};
use commands::{Error, text};
use replication::replica::Order;

use super::{Answer, Call, Outcome, at_desk};
use crate::config::{self, Config, SetError};
use crate::{following, open_files};

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "get" => get(call),
        "set" => return set(call),
        "rewrite" => return rewrite(),
        "resetstat" => {
            call.shared.stats.reset();
            call.reply.ok();
        }
        _ => return super::not_built(),
    }
    Ok(Outcome::Done)
}

fn get(call: &mut Call<'_>) {
    let config = call.shared.config.load();
    let found = config.get(call.args.from(2), |pattern, name| glob::matches(pattern, name, Case::Ignored));
    call.reply.map(found.len());
    for (name, value) in found {
        call.reply.bulk(name.as_bytes());
        call.reply.bulk(value.as_bytes());
    }
}

fn set(call: &mut Call<'_>) -> Answer {
    if call.args.len() % 2 == 1 {
        return Err(text::SYNTAX.into());
    }
    let words: Vec<Vec<u8>> = call.args.from(2).iter().map(|word| word.to_vec()).collect();
    at_desk(move |context, reply| {
        let pairs: Vec<(&[u8], &[u8])> = words.chunks_exact(2).map(|pair| (&pair[0][..], &pair[1][..])).collect();
        let change = |config: &mut Config| {
            let changed = config.set(&pairs)?;
            if changed.contains(&"maxclients") {
                open_files::allow_clients(config.maxclients).map_err(too_many_clients)?;
            }
            Ok(changed)
        };
        context.shared.configure(change).map_err(|error: SetError| Error::from(error.to_string()))?;
        reply.ok();
        Ok(())
    })
}

fn too_many_clients(possible: u32) -> SetError {
    let system = "The operating system is not able to handle the specified number of clients";
    SetError::Refused { name: "maxclients", reason: format!("{system}, try with {possible}") }
}

fn rewrite() -> Answer {
    at_desk(|context, reply| {
        let file = context.shared.config_file.as_deref();
        // Within a change, so that nothing changes meanwhile and one rewrite runs at a time.
        let rewritten = context.shared.configure(|config| config::rewrite(file, config).map(|()| Vec::new()));
        rewritten.map_err(|error| Error::from(error.to_string()))?;
        // What the file says now is no news at the next start.
        let says = following::configured(&context.shared.config.load());
        let known = context.shared.replica.order(Order::FileSays(says));
        known.map_err(|sentence| Error::from(format!("MISCONF The file is written, but {sentence}.")))?;
        reply.ok();
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use crate::config::Settings;

    #[test]
    fn parameters_are_read_and_set() {
        let server = Server::new(&["--port", "7000"]);
        let mut session = server.session();
        assert_eq!(session.text(&["CONFIG", "GET", "port"]), "*2\r\n$4\r\nport\r\n$4\r\n7000\r\n");
        assert_eq!(session.text(&["CONFIG", "GET", "nosuch"]), "*0\r\n");
        assert_eq!(session.text(&["CONFIG", "SET", "timeout", "7", "MaxClients", "50"]), "+OK\r\n");
        let both = session.text(&["CONFIG", "GET", "time*", "maxclients"]);
        assert_eq!(both, "*4\r\n$7\r\ntimeout\r\n$1\r\n7\r\n$10\r\nmaxclients\r\n$2\r\n50\r\n");
        session.state.set_protocol(resp::Protocol::Resp3);
        assert_eq!(session.text(&["CONFIG", "GET", "timeout"]), "%1\r\n$7\r\ntimeout\r\n$1\r\n7\r\n");
    }

    #[test]
    fn refusals_have_redis_texts_and_change_nothing() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["CONFIG", "SET", "timeout", "1", "x"]), "-ERR syntax error\r\n");
        assert_eq!(
            session.text(&["CONFIG", "SET", "timeout", "1", "nosuch", "x"]),
            "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n"
        );
        let immutable = session.text(&["CONFIG", "SET", "port", "1"]);
        assert!(immutable.starts_with("-ERR CONFIG SET failed (possibly related to argument 'port')"), "{immutable}");
        assert_eq!(session.text(&["CONFIG", "GET", "timeout"]), "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n");
        let many = session.text(&["CONFIG", "SET", "timeout", "1", "maxclients", "4294967295"]);
        let refused = "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to \
                       handle the specified number of clients, try with ";
        assert!(many.starts_with(refused), "{many}");
        assert_eq!(session.text(&["CONFIG", "GET", "maxclients"]), "*2\r\n$10\r\nmaxclients\r\n$5\r\n10000\r\n");
        assert_eq!(session.text(&["CONFIG", "GET", "timeout"]), "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n");
        assert_eq!(session.text(&["CONFIG", "REWRITE"]), "-ERR The server is running without a config file\r\n");
    }

    #[test]
    fn a_rewrite_reaches_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("haypile.conf");
        std::fs::write(&file, "timeout 3\n").unwrap();
        let server = Server::with(Settings::load(Some(&file), &[]).unwrap());
        let mut session = server.session();
        assert_eq!(session.text(&["CONFIG", "SET", "timeout", "9"]), "+OK\r\n");
        assert_eq!(session.text(&["CONFIG", "REWRITE"]), "+OK\r\n");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "timeout 9\n");
    }

    #[test]
    fn counters_are_reset() {
        let server = Server::new(&[]);
        server.shared.stats.connections.add(3);
        assert_eq!(server.session().text(&["CONFIG", "RESETSTAT"]), "+OK\r\n");
        assert_eq!(server.shared.stats.connections.get(), 0);
    }
}

//! LATENCY LATEST, HISTORY, RESET: no events are recorded yet, so there are none to show.

use super::{Answer, Call, Outcome};

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "latest" | "history" => call.reply.array(0),
        "reset" => call.reply.integer(0),
        _ => return super::not_built(),
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;

    #[test]
    fn there_are_no_events() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["LATENCY", "LATEST"]), "*0\r\n");
        assert_eq!(session.text(&["LATENCY", "HISTORY", "command"]), "*0\r\n");
        assert_eq!(session.text(&["LATENCY", "RESET"]), ":0\r\n");
        assert_eq!(session.text(&["LATENCY", "RESET", "command"]), ":0\r\n");
    }
}

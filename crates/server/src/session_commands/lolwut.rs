//! LOLWUT: a haystack, another one each time, and the version.

use super::{Answer, Call, Outcome, REDIS_VERSION};

const ROWS: usize = 9;
/// What hay looks like from a distance; one of them is a needle.
const STRAWS: &[u8; 8] = b"/\\|~,'`/";
const NEEDLE: u8 = b'!';

/// Versions of Redis that had a picture; of the others one gets the version alone.
const WITH_PICTURE: [i64; 2] = [5, 6];

pub(super) fn run(call: &mut Call<'_>) -> Answer {
    if call.args.len() > 1 && call.args.is(1, "VERSION") {
        let asked = if call.args.len() > 2 { Some(call.args.integer(2)?) } else { None };
        if asked.is_none_or(|version| !WITH_PICTURE.contains(&version)) {
            call.reply.verbatim(b"txt", format!("Redis ver. {REDIS_VERSION}\n").as_bytes());
            return Ok(Outcome::Done);
        }
    }
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let picture = haystack(u64::from(seed.subsec_nanos()));
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("{picture}\nHaypile ver. {version}, as Redis ver. {REDIS_VERSION}\n");
    call.reply.verbatim(b"txt", text.as_bytes());
    Ok(Outcome::Done)
}

fn haystack(seed: u64) -> String {
    let mut random = seed;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let (needle_row, mut picture) = (1 + draw(ROWS - 1), String::new());
    for row in 0..ROWS {
        let width = 2 * row + 1;
        let needle = draw(width);
        picture.push_str(&" ".repeat(ROWS - row));
        for at in 0..width {
            let straw = if row == needle_row && at == needle { NEEDLE } else { STRAWS[draw(STRAWS.len())] };
            picture.push(char::from(straw));
        }
        picture.push('\n');
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn there_is_one_needle_in_every_stack() {
        for seed in 0..50 {
            let picture = haystack(seed);
            assert_eq!(picture.lines().count(), ROWS);
            assert_eq!(picture.matches(char::from(NEEDLE)).count(), 1);
        }
    }

    #[test]
    fn it_ends_with_the_version() {
        let server = Server::new(&[]);
        let reply = server.session().text(&["LOLWUT", "VERSION", "5"]);
        assert!(reply.lines().count() > ROWS && reply.ends_with("Redis ver. 7.2.4\n\r\n"), "{reply}");
        for line in [&["LOLWUT", "version"][..], &["LOLWUT", "VERSION", "7"]] {
            assert_eq!(server.session().text(line), "$17\r\nRedis ver. 7.2.4\n\r\n");
        }
        let wrong = "-ERR value is not an integer or out of range\r\n";
        assert_eq!(server.session().text(&["LOLWUT", "VERSION", "abc"]), wrong);
    }
}

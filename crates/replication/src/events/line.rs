//! A record as a line of JSON, and back: one flat object of texts and whole numbers.

use core::fmt::Write as _;

use super::{Record, Subject, Turn, What};

pub(super) fn encode(record: &Record) -> String {
    let mut object = Object::new();
    object.text("time", &utc(record.at_ms)).number("ms", record.at_ms);
    match record.subject {
        Subject::Instance => object.text("level", "instance"),
        Subject::Shard(database) => object.text("level", "shard").number("db", database.into()),
    };
    match &record.what {
        What::Started => object.text("event", "started"),
        What::Transition { from, to, cause, detail, attempt, position } => object
            .text("event", "transition")
            .text("from", from)
            .text("to", to)
            .text("cause", cause)
            .text("detail", detail)
            .number("attempt", (*attempt).into())
            .number("position", *position),
        What::Alarm { name, turn, detail } => {
            object.text("event", "alarm").text("alarm", name).text("turn", turn.word()).text("detail", detail)
        }
        What::Note { text } => object.text("event", "note").text("text", text),
        What::Missing { count } => object.text("event", "missing").number("count", *count),
    };
    object.end()
}

pub(super) fn decode(line: &str) -> Result<Record, String> {
    let fields = Fields(parse(line)?);
    let subject = match fields.text("level")?.as_str() {
        "instance" => Subject::Instance,
        "shard" => Subject::Shard(fields.small("db")?),
        other => return Err(format!("an unknown level '{other}'")),
    };
    let what = match fields.text("event")?.as_str() {
        "started" => What::Started,
        "transition" => What::Transition {
            from: fields.text("from")?,
            to: fields.text("to")?,
            cause: fields.text("cause")?,
            detail: fields.text("detail")?,
            attempt: fields.small("attempt")?,
            position: fields.number("position")?,
        },
        "alarm" => What::Alarm {
            name: fields.text("alarm")?,
            turn: match fields.text("turn")?.as_str() {
                "raised" => Turn::Raised,
                "cleared" => Turn::Cleared,
                other => return Err(format!("an unknown turn '{other}'")),
            },
            detail: fields.text("detail")?,
        },
        "note" => What::Note { text: fields.text("text")? },
        "missing" => What::Missing { count: fields.number("count")? },
        other => return Err(format!("an unknown event '{other}'")),
    };
    Ok(Record { at_ms: fields.number("ms")?, subject, what })
}

/// Milliseconds since 1970 as people read them: `2026-11-22T20:31:00.123Z`.
#[must_use]
pub fn utc(ms: u64) -> String {
    const DAY: u64 = 86_400;
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (days, seconds) = (seconds / DAY, seconds % DAY);
    // Years begin in March, so that the leap day is a year's last; eras are 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// An object that is being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn name(&mut self, name: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a text does not fail.
        let _ = write!(self.0, "{comma}\"{name}\":");
    }

    fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.name(name);
        let _ = write!(self.0, "{value}");
        self
    }

    fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        self.0.push('"');
        for letter in value.chars() {
            match letter {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                letter if letter < ' ' || letter == '\u{7f}' => {
                    let _ = write!(self.0, "\\u{:04x}", u32::from(letter));
                }
                letter => self.0.push(letter),
            }
        }
        self.0.push('"');
        self
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

enum Value {
    Text(String),
    Number(u64),
}

/// The fields of an object.
struct Fields(Vec<(String, Value)>);

impl Fields {
    fn find(&self, name: &str) -> Result<&Value, String> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value).ok_or_else(|| format!("no field '{name}'"))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        match self.find(name)? {
            Value::Text(text) => Ok(text.clone()),
            Value::Number(_) => Err(format!("'{name}' is not a text")),
        }
    }

    fn number(&self, name: &str) -> Result<u64, String> {
        match self.find(name)? {
            Value::Number(number) => Ok(*number),
            Value::Text(_) => Err(format!("'{name}' is not a number")),
        }
    }

    fn small(&self, name: &str) -> Result<u32, String> {
        u32::try_from(self.number(name)?).map_err(|_| format!("'{name}' is too large"))
    }
}

/// Reads an object of texts and whole numbers.
fn parse(line: &str) -> Result<Vec<(String, Value)>, String> {
    let mut input = Input(line.trim());
    let mut fields = Vec::new();
    input.expect('{')?;
    if input.accept('}') {
        return input.end().map(|()| fields);
    }
    loop {
        let name = input.text()?;
        input.expect(':')?;
        let value = if input.peek() == Some('"') { Value::Text(input.text()?) } else { Value::Number(input.number()?) };
        fields.push((name, value));
        if !input.accept(',') {
            input.expect('}')?;
            return input.end().map(|()| fields);
        }
    }
}

/// What is left of a line.
struct Input<'a>(&'a str);

impl Input<'_> {
    fn peek(&mut self) -> Option<char> {
        self.0 = self.0.trim_start();
        self.0.chars().next()
    }

    fn accept(&mut self, letter: char) -> bool {
        let is_next = self.peek() == Some(letter);
        if is_next {
            self.0 = &self.0[letter.len_utf8()..];
        }
        is_next
    }

    fn expect(&mut self, letter: char) -> Result<(), String> {
        if self.accept(letter) { Ok(()) } else { Err(format!("no '{letter}' before '{}'", excerpt(self.0))) }
    }

    fn end(&self) -> Result<(), String> {
        if self.0.trim().is_empty() { Ok(()) } else { Err(format!("'{}' after the end", excerpt(self.0))) }
    }

    fn number(&mut self) -> Result<u64, String> {
        self.peek();
        let digits = self.0.len() - self.0.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let number = self.0[..digits].parse().map_err(|_| format!("no number at '{}'", excerpt(self.0)))?;
        self.0 = &self.0[digits..];
        Ok(number)
    }

    fn text(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        let mut letters = self.0.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Ok(text);
                }
                '\\' => text.push(escaped(&mut letters)?),
                letter => text.push(letter),
            }
        }
        Err("a text without its end".to_owned())
    }
}

fn escaped(letters: &mut std::str::CharIndices<'_>) -> Result<char, String> {
    let wrong = || "an unknown escape".to_owned();
    match letters.next().ok_or_else(wrong)?.1 {
        'n' => Ok('\n'),
        letter @ ('"' | '\\' | '/') => Ok(letter),
        'u' => {
            let digits: String = letters.take(4).map(|(_, digit)| digit).collect();
            u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn excerpt(text: &str) -> String {
    const SHOWN: usize = 20;
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Record> {
        let awkward = "\"quoted\" \\ \n\t\u{1}\u{7f} ü 中";
        let transition = What::Transition {
            from: "WaitReply".to_owned(),
            to: "Connected".to_owned(),
            cause: "closed".to_owned(),
            detail: awkward.to_owned(),
            attempt: 7,
            position: u64::MAX,
        };
        let alarm = |turn| What::Alarm { name: "lag".to_owned(), turn, detail: awkward.to_owned() };
        let whats = [
            What::Started,
            transition,
            alarm(Turn::Raised),
            alarm(Turn::Cleared),
            What::Note { text: String::new() },
            What::Missing { count: 3 },
        ];
        let record = |(n, what): (u64, What)| {
            let subject = if n % 2 == 0 { Subject::Instance } else { Subject::Shard(1023) };
            Record { at_ms: 1_763_843_460_123 + n, subject, what }
        };
        (0..).zip(whats).map(record).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        for record in all() {
            let line = encode(&record);
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(decode(&line), Ok(record), "{line}");
        }
    }

    #[test]
    fn the_form_is_pinned() {
        let what = What::Transition {
            from: "Connecting".to_owned(),
            to: "Error".to_owned(),
            cause: "auth_refused".to_owned(),
            detail: "\"x\"".to_owned(),
            attempt: 2,
            position: 9,
        };
        let line = encode(&Record { at_ms: 951_782_400_007, subject: Subject::Shard(3), what });
        let expected = "{\"time\":\"2000-02-29T00:00:00.007Z\",\"ms\":951782400007,\"level\":\"shard\",\"db\":3,\
            \"event\":\"transition\",\"from\":\"Connecting\",\"to\":\"Error\",\"cause\":\"auth_refused\",\
            \"detail\":\"\\\"x\\\"\",\"attempt\":2,\"position\":9}";
        assert_eq!(line, expected);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let good = encode(&all()[1]);
        for end in 0..good.len() {
            if good.is_char_boundary(end) {
                assert!(decode(&good[..end]).is_err(), "{}", &good[..end]);
            }
        }
        for line in ["", "{}", "null", "{\"level\":\"instance\"}", &format!("{good}x"), "{\"a\":\"\\q\"}", "{\"a\":-1}"]
        {
            assert!(decode(line).is_err(), "{line}");
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(1_709_251_199_999), "2024-02-29T23:59:59.999Z");
        assert_eq!(utc(4_102_444_800_000), "2100-01-01T00:00:00.000Z");
        assert_eq!(utc(4_107_542_399_000), "2100-02-28T23:59:59.000Z");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }
}

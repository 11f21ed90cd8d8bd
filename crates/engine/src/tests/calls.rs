//! What a command may do, as values: applied to the engine and to the plain model alike, with the same answers.

use keyspace::string::{self, StringError};
use keyspace::{Encoding, Head, Kind, Millis, Page, Seek, View};
use proptest::prelude::*;

use crate::run::Abort;

/// Keys of the tests, by index.
pub const KEYS: usize = 7;

pub fn key(index: usize) -> Vec<u8> {
    format!("key{}", index % KEYS).into_bytes()
}

pub fn stop(error: StringError) -> Abort {
    match error {
        StringError::Stop(stop) => Abort::Stop(stop),
        StringError::WrongType => Abort::Undo,
    }
}

/// One step of a command.
#[derive(Clone, Debug)]
pub enum Call {
    /// Makes a string of so many bytes; expires so many milliseconds from now.
    Set {
        key: usize,
        len: usize,
        fill: u8,
        expires: Option<u64>,
    },
    /// Makes a packed string without looking.
    Blind {
        key: usize,
        fill: u8,
    },
    Write {
        key: usize,
        offset: u64,
        len: usize,
        fill: u8,
    },
    Append {
        key: usize,
        len: usize,
        fill: u8,
    },
    Read {
        key: usize,
        from: u64,
        to: u64,
    },
    Splice {
        key: usize,
        at: usize,
        remove: usize,
        len: usize,
    },
    Delete {
        key: usize,
    },
    Expire {
        key: usize,
        expires: Option<u64>,
    },
    Rename {
        from: usize,
        to: usize,
    },
    Touch {
        key: usize,
    },
    PutRow {
        key: usize,
        row: u8,
        fill: u8,
    },
    DeleteRow {
        key: usize,
        row: u8,
    },
    ReadRow {
        key: usize,
        row: u8,
    },
    /// Reads rows of a range one way or the other, so many at most.
    ReadRows {
        key: usize,
        from: u8,
        to: Option<u8>,
        back: bool,
        most: usize,
    },
    /// Makes as many rows as there are from one to the other.
    PutRows {
        key: usize,
        from: u8,
        to: u8,
        fill: u8,
    },
    DeleteRows {
        key: usize,
        from: u8,
        to: Option<u8>,
    },
    Usage {
        key: usize,
    },
    Move {
        key: usize,
        to: usize,
    },
    Clear,
    Count,
    Walk {
        limit: usize,
    },
    RandomKey,
}

impl Call {
    /// The keys it names.
    pub fn keys(&self) -> Vec<usize> {
        match *self {
            Self::Set { key, .. }
            | Self::Blind { key, .. }
            | Self::Write { key, .. }
            | Self::Append { key, .. }
            | Self::Read { key, .. }
            | Self::Splice { key, .. }
            | Self::Delete { key }
            | Self::Expire { key, .. }
            | Self::Touch { key }
            | Self::PutRow { key, .. }
            | Self::DeleteRow { key, .. }
            | Self::ReadRow { key, .. }
            | Self::ReadRows { key, .. }
            | Self::PutRows { key, .. }
            | Self::DeleteRows { key, .. }
            | Self::Usage { key }
            | Self::Move { key, .. } => vec![key],
            Self::Rename { from, to } => vec![from, to],
            Self::Clear | Self::Count | Self::Walk { .. } | Self::RandomKey => Vec::new(),
        }
    }

    /// The other database it names.
    pub fn other_database(&self) -> Option<usize> {
        match *self {
            Self::Move { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Whether it only looks, at a whole database.
    pub fn looks(&self) -> bool {
        matches!(self, Self::Count | Self::Walk { .. } | Self::RandomKey)
    }

    #[expect(clippy::too_many_lines, reason = "one arm a call, each of them short")]
    pub fn apply(&self, view: &mut dyn View, database: usize) -> Result<String, Abort> {
        view.select(database)?;
        let answer = match *self {
            Self::Set { key: k, len, fill, expires } => {
                let at = expires.map(|ms| Millis(view.now().0 + ms));
                string::set(view, &key(k), &pattern(len, fill), at).map_err(stop)?;
                String::new()
            }
            Self::Blind { key: k, fill } => {
                view.put(&key(k), &Head::string(None), &[fill])?;
                String::new()
            }
            Self::Write { key: k, offset, len, fill } => write(view, &key(k), Some(offset), &pattern(len, fill))?,
            Self::Append { key: k, len, fill } => write(view, &key(k), None, &pattern(len, fill))?,
            Self::Read { key: k, from, to } => read(view, &key(k), from, to)?,
            Self::Splice { key: k, at, remove, len } => {
                let Some(record) = view.record(&key(k))? else { return Ok("nil".into()) };
                if (record.head.kind, record.head.encoding) != (Kind::String, Encoding::Packed) {
                    return Ok("not packed".into());
                }
                let at = at % (record.payload.len() + 1);
                let remove = remove.min(record.payload.len() - at);
                view.splice(&key(k), at, remove, &pattern(len, b's'))?;
                String::new()
            }
            Self::Delete { key: k } => view.delete(&key(k))?.to_string(),
            Self::Expire { key: k, expires } => {
                let at = expires.map(|ms| Millis(view.now().0 + ms));
                if view.record(&key(k))?.is_none() {
                    return Ok("nil".into());
                }
                view.set_expiry(&key(k), at)?;
                String::new()
            }
            Self::Rename { from, to } => {
                if view.record(&key(from))?.is_none() {
                    return Ok("nil".into());
                }
                view.rename(&key(from), &key(to))?;
                String::new()
            }
            Self::Touch { key: k } => {
                if view.record(&key(k))?.is_some() {
                    view.touch(&key(k))?;
                }
                String::new()
            }
            Self::PutRow { key: k, row, fill } => put_row(view, &key(k), &[row], fill)?,
            Self::DeleteRow { key: k, row } => match rows_of(view, &key(k))? {
                Some(rows) => {
                    view.delete_row(&key(k), rows, &[row])?;
                    view.touch(&key(k))?;
                    String::new()
                }
                None => "no hash".into(),
            },
            Self::ReadRow { key: k, row } => match rows_of(view, &key(k))? {
                Some(rows) => {
                    let mut out = Vec::new();
                    format!("{} {out:?}", view.row(&key(k), rows, &[row], &mut out)?)
                }
                None => "no hash".into(),
            },
            Self::ReadRows { key: k, from, to, back, most } => {
                let to = to.map_or(Vec::new(), |to| vec![to]);
                some_rows(view, &key(k), &[from], &to, back, most)?
            }
            Self::PutRows { key: k, from, to, fill } => {
                for row in from..to {
                    put_row(view, &key(k), &[row], fill.wrapping_add(row))?;
                }
                String::new()
            }
            Self::DeleteRows { key: k, from, to } => match rows_of(view, &key(k))? {
                Some(rows) => {
                    let to = to.map_or(Vec::new(), |to| vec![to]);
                    view.delete_rows(&key(k), rows, &[from], &to)?;
                    view.touch(&key(k))?;
                    String::new()
                }
                None => "no hash".into(),
            },
            Self::Usage { key: k } => view.usage(&key(k))?.is_some().to_string(),
            Self::Move { key: k, to } => move_to(view, &key(k), database, to)?,
            Self::Clear => {
                view.clear()?;
                String::new()
            }
            Self::Count => view.count()?.to_string(),
            Self::Walk { limit } => walk(view, limit)?.join(" "),
            Self::RandomKey => match view.random_key()? {
                None => "none".into(),
                Some(_) => "some".into(),
            },
        };
        Ok(answer)
    }
}

/// Bytes that tell where they are.
pub fn pattern(len: usize, fill: u8) -> Vec<u8> {
    // Long runs of zeros, too: chunks of zeros have no rows.
    (0..len).map(|at| if fill == 0 { 0 } else { fill.wrapping_add((at / 97) as u8) }).collect()
}

fn write(view: &mut dyn View, key: &[u8], offset: Option<u64>, bytes: &[u8]) -> Result<String, Abort> {
    let shape = match string::look(view, key) {
        Err(StringError::WrongType) => return Ok("wrong type".into()),
        other => other.map_err(stop)?,
    };
    let offset = offset.unwrap_or(shape.map_or(0, |shape| shape.len));
    Ok(string::write(view, key, offset, bytes).map_err(stop)?.to_string())
}

fn read(view: &mut dyn View, key: &[u8], from: u64, to: u64) -> Result<String, Abort> {
    let mut out = Vec::new();
    match string::read(view, key, from, to, &mut |piece| out.extend_from_slice(piece)) {
        Err(StringError::WrongType) => Ok("wrong type".into()),
        Err(error) => Err(stop(error)),
        Ok(()) => Ok(format!("{} {:?}", out.len(), crc(&out))),
    }
}

/// A short stand-in for long bytes.
fn crc(bytes: &[u8]) -> u64 {
    bytes.iter().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte) + 1))
}

fn rows_of(view: &mut dyn View, key: &[u8]) -> Result<Option<keyspace::RowsId>, Abort> {
    let record = view.record(key)?;
    Ok(record.filter(|record| record.head.kind == Kind::Hash).and_then(|record| record.rows_id()))
}

fn put_row(view: &mut dyn View, key: &[u8], row: &[u8], fill: u8) -> Result<String, Abort> {
    let rows = match rows_of(view, key)? {
        Some(rows) => {
            view.touch(key)?;
            rows
        }
        None => {
            let rows = view.new_rows();
            let head = Head::new(Kind::Hash, Encoding::Exploded, None);
            view.put(key, &head, &rows.0.to_le_bytes())?;
            rows
        }
    };
    view.put_row(key, rows, row, &[fill; 20])?;
    Ok(String::new())
}

fn some_rows(
    view: &mut dyn View,
    key: &[u8],
    from: &[u8],
    to: &[u8],
    back: bool,
    most: usize,
) -> Result<String, Abort> {
    let Some(rows) = rows_of(view, key)? else { return Ok("no hash".into()) };
    let (mut seen, mut count) = (String::new(), 0);
    let mut see = |row: &[u8], value: &[u8]| {
        seen.push_str(&format!("{row:?}={}", value.first().copied().unwrap_or_default()));
        count += 1;
        count < most
    };
    if back {
        view.rows_back(key, rows, from, to, &mut see)?
    } else {
        view.rows(key, rows, from, to, &mut see)?
    };
    Ok(seen)
}

/// All rows, seen both ways.
fn all_rows(view: &mut dyn View, key: &[u8]) -> Result<String, Abort> {
    let back = some_rows(view, key, b"", b"", true, usize::MAX)?;
    Ok(some_rows(view, key, b"", b"", false, usize::MAX)? + " " + &back)
}

fn move_to(view: &mut dyn View, key: &[u8], from: usize, to: usize) -> Result<String, Abort> {
    let Some(record) = view.record(key)?.filter(|record| record.head.encoding == Encoding::Packed) else {
        return Ok("nil".into());
    };
    let (head, payload) = (record.head, record.payload.to_vec());
    if from == to {
        return Ok("same".into());
    }
    view.select(to)?;
    if view.record(key)?.is_some() {
        return Ok("busy".into());
    }
    view.put(key, &head, &payload)?;
    view.select(from)?;
    view.delete(key)?;
    Ok("moved".into())
}

/// All live keys with their heads, page by page.
pub fn walk(view: &mut dyn View, limit: usize) -> Result<Vec<String>, Abort> {
    let mut keys = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let seek = after.as_deref().map_or(Seek::Start, Seek::After);
        let page = view.walk(seek, b"k", limit.max(1), &mut |key, record| {
            keys.push(format!("{}:{:?}", String::from_utf8_lossy(key), record.head.kind));
        })?;
        match page {
            Page::More(last) => after = Some(last),
            Page::End => return Ok(keys),
        }
    }
}

/// All of a record and its rows, but for the number of its rows.
pub fn dump_key(view: &mut dyn View, name: &[u8]) -> Result<String, Abort> {
    let Some(record) = view.record(name)? else { return Ok(String::new()) };
    let head = record.head;
    let body = match (head.kind, head.encoding) {
        (Kind::String, _) => {
            let value = string::read_all(view, name).map_err(stop)?.unwrap_or_default();
            format!("{} bytes {}", value.len(), crc(&value))
        }
        (_, Encoding::Exploded) => all_rows(view, name)?,
        (_, Encoding::Packed) => format!("{:?}", record.payload),
    };
    Ok(format!("{:?} {:?} {:?} {body}", head.kind, head.encoding, head.expire_at))
}

pub fn any_call() -> impl Strategy<Value = Call> {
    let key = || 0..KEYS;
    let len = || prop::sample::select(vec![0, 1, 40, 99, 101, 4095, 4096, 5000, 9000]);
    let fill = || prop::sample::select(vec![0u8, 1, 50, 200]);
    let offset = || prop::sample::select(vec![0u64, 3, 90, 4000, 4096, 4100, 8192, 12000]);
    let row = || 0..24u8;
    let most = || prop::sample::select(vec![1usize, 2, 5, 100]);
    let expires = || prop::option::weighted(0.3, prop::sample::select(vec![500u64, 5_000, 1_000_000]));
    prop_oneof![
        4 => (key(), len(), fill(), expires()).prop_map(|(key, len, fill, expires)| Call::Set { key, len, fill, expires }),
        2 => (key(), fill()).prop_map(|(key, fill)| Call::Blind { key, fill }),
        4 => (key(), offset(), len(), fill()).prop_map(|(key, offset, len, fill)| Call::Write { key, offset, len, fill }),
        2 => (key(), len(), fill()).prop_map(|(key, len, fill)| Call::Append { key, len, fill }),
        3 => (key(), offset(), offset()).prop_map(|(key, from, to)| Call::Read { key, from, to }),
        2 => (key(), 0..50usize, 0..50usize, 0..60usize)
            .prop_map(|(key, at, remove, len)| Call::Splice { key, at, remove, len }),
        3 => key().prop_map(|key| Call::Delete { key }),
        1 => (key(), expires()).prop_map(|(key, expires)| Call::Expire { key, expires }),
        3 => (key(), key()).prop_map(|(from, to)| Call::Rename { from, to }),
        1 => key().prop_map(|key| Call::Touch { key }),
        3 => (key(), row(), fill()).prop_map(|(key, row, fill)| Call::PutRow { key, row, fill }),
        1 => (key(), row()).prop_map(|(key, row)| Call::DeleteRow { key, row }),
        1 => (key(), row()).prop_map(|(key, row)| Call::ReadRow { key, row }),
        4 => (key(), row(), prop::option::of(row()), any::<bool>(), most())
            .prop_map(|(key, from, to, back, most)| Call::ReadRows { key, from, to, back, most }),
        2 => (key(), row(), row(), fill()).prop_map(|(key, from, to, fill)| Call::PutRows { key, from, to, fill }),
        2 => (key(), row(), prop::option::of(row())).prop_map(|(key, from, to)| Call::DeleteRows { key, from, to }),
        1 => key().prop_map(|key| Call::Usage { key }),
        1 => (key(), 0..3usize).prop_map(|(key, to)| Call::Move { key, to }),
        1 => Just(Call::Clear),
        1 => Just(Call::Count),
        1 => (1..5usize).prop_map(|limit| Call::Walk { limit }),
        1 => Just(Call::RandomKey),
    ]
}

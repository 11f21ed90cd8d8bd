//! Sorted sets: the commands, by what they do.
//!
//! `add` gives scores, `read` asks for one member or a number, `range` shows parts in order, `remove` and `pop` take
//! members away, `algebra` makes one of several, `pick` shows members in no order. `bounds` reads the ends of ranges,
//! `shown` is the shape of members and scores in replies.

mod add;
mod algebra;
mod bounds;
mod pick;
mod pop;
mod range;
mod read;
mod remove;
mod shown;
mod source;
mod table;
mod table_many;

pub(crate) use table::COMMANDS;
pub(crate) use table_many::COMMANDS as COMMANDS_OF_MANY;

use keyspace::zset::ZsetError;

use crate::error::{Error, text};

impl From<ZsetError> for Error {
    fn from(error: ZsetError) -> Self {
        match error {
            ZsetError::WrongType => text::WRONG_TYPE.into(),
            ZsetError::Stop(stop) => Self::Stop(stop),
        }
    }
}

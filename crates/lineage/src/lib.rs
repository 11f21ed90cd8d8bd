//! Positions in a shard's history, and where two histories part.
//!
//! A shard's history is one growing string of bytes, the frames of its log. A position in it is an [`Lsn`].
//! The history is written by one primary after another; the stretch that one primary wrote is an [`Era`], named by a
//! random [`ReplId`]. The eras in order are the [`Lineage`]:
//!
//! ```text
//! Lsn      0              4100                 9000        9700
//!          |--- era 1 ----|------ era 2 -------|-- era 3 --| end
//!          epoch 1         epoch 2              epoch 5
//!          id 3f..         id a0..              id 77..
//! ```
//!
//! Two logs that hold an era of the same id hold the same bytes up to where that era ends in the shorter of the two:
//! that is all [`Lineage::fork_point`] needs.
//!
//! This crate does not know what a frame contains, what a peer is, or what a clock or a file is.
#![no_std]

extern crate alloc;

mod fork;
mod history;
mod position;
mod replid;

pub use fork::Fork;
pub use history::{Era, Lineage, LineageError, MAX_ENCODED, MAX_ERAS};
pub use position::{Epoch, Lsn};
pub use replid::{ReplId, ReplIdError};

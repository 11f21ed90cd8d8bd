//! A cluster in one thread: the real engine, log and state machine on simulated disks, network and time.
//!
//! A run has a stormy part, in which nodes crash, lose power, are cut off from each other, have clocks that jump, disks that
//! fill up and frames that are spoiled, and operators who fail over and send nodes after the wrong ones; and a calm part,
//! in which every node must come to hold what the leader holds, by itself. Then all nodes are compared, and every write that
//! a client with `repl-sync-replicas 1` was told of must be there.
//!
//! What drives the machine here is written for the simulation; the driver of real processes is tested with real ones.
#![forbid(unsafe_code)]

mod check;
pub mod disk;
mod engine_side;
mod follow;
pub mod manifest;
pub mod net;
pub mod process;
pub mod rng;
mod serve;
pub mod settings;
pub mod storm;
pub mod workload;
pub mod world;

pub use storm::{Plan, run};

//! The binary as its users meet it: real processes, real sockets.
//!
//! Longer runs with `HAYPILE_TEST_LONG=1`.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod basics;
mod blocking;
mod clients;
mod cluster;
mod command_line;
mod confirmed;
mod conformance;
mod connections;
mod crash;
mod desk;
mod faults;
mod follower;
mod full_disk;
mod large;
mod limits;
mod mixed_crash;
mod multi;
mod network;
mod pause;
mod proxy;
mod random;
mod replication;
mod replication_cases;
mod replication_clock;
mod replication_copy;
mod replication_disk;
mod replication_faults;
mod replication_feed;
mod replication_roles;
mod replication_snapshot;
mod server;
mod small_disk;
mod snapshot;
mod stop;
mod wire;

/// One number for a quick run and one for a long one.
fn scale(quick: usize, long: usize) -> usize {
    if std::env::var_os("HAYPILE_TEST_LONG").is_some_and(|value| value == "1") { long } else { quick }
}

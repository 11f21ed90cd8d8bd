//! Fuzzes `checks::wire`: `cargo +nightly fuzz run wire` in `crates/replication`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks.rs"]
mod checks;

fuzz_target!(|data: &[u8]| checks::wire(data));

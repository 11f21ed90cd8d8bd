//! Fuzzes `checks::reply`: `cargo +nightly fuzz run reply` in `crates/resp`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks.rs"]
#[expect(dead_code, reason = "each target makes one of the checks")]
mod checks;

fuzz_target!(|data: &[u8]| checks::reply(data));

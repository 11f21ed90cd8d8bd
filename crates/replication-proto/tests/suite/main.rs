//! Tests of the whole machine through its public interface: golden scripts, named cases, random walks.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod cases;
mod docs;
mod model;
mod scripts;
mod states;
mod text;
mod walk;
mod world;

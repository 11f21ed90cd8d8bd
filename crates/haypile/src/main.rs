//! The haypile binary: arguments, logging, and the wiring of the store into the server.
fn main() {}

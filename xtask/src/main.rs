//! The project's own commands: run, test, tidy, gen, bench, setup.
fn main() {}

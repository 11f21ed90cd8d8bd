//! The command table and every command that works on keys.

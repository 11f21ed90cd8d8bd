//! Records, rows and log operations of the key space, and the view a command has of it.

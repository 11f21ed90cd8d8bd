//! Everything a client can see: sessions, workers, configuration, INFO.

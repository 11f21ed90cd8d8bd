//! RESP2 and RESP3: request parser, reply writer and Redis's number formats.

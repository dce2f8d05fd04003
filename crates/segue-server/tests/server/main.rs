//! The server's tests: shards under virtual time, the recorder on a real folder, the API and one whole server on
//! loopback.

#![allow(clippy::unwrap_used, reason = "a test whose expectation fails panics")]

mod api;
mod drain;
mod record;
mod serve;
mod smoke;
mod world;

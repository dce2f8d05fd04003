//! The server's tests: shards under virtual time, the recorder on a real folder, the API and one whole server on
//! loopback.

mod api;
mod drain;
mod record;
mod serve;
mod smoke;
mod world;

//! Tag headers against the specifications' tables and what FFmpeg writes.
#![allow(clippy::arithmetic_side_effects)]

mod info;

//! Tag headers against the specifications' tables and what FFmpeg writes.
#![allow(clippy::arithmetic_side_effects)]

use bytes::Bytes;

mod audio;
mod info;
mod numbers;
mod properties;
mod video;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn bytes(data: &'static [u8]) -> Bytes {
    Bytes::from_static(data)
}

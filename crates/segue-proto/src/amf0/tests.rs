//! Golden bytes, bounds and round trips of AMF0.

//! Golden bytes, bounds, splits and round trips of chunks.

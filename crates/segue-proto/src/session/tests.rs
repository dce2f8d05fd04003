//! Two sessions wired in memory.

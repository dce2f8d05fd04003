//! Assertions that several targets share.

use bytes::Bytes;

/// Runs `work` on `len` bytes that came, and asserts that it never had more than `fixed` bytes and `per_byte` for each
/// of them allocated at a time, what it returns included.
pub(crate) fn bounded<T>(len: usize, fixed: u64, per_byte: u64, work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(work()));
    let bound = fixed + per_byte * len as u64;
    assert!(info.bytes_max <= bound, "{} bytes for {len} that came, past {bound}", info.bytes_max);
    result.expect("the work was done")
}

/// Asserts that `part` is a slice of `whole`, and not a copy.
pub(crate) fn assert_slice(whole: &Bytes, part: &Bytes) {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    assert!(part.is_empty() || (whole.start <= part.start && part.end <= whole.end), "a copy");
}

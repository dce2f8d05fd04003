//! Status codes of `onStatus`, `_result` and `_error`, and the objects that carry them.

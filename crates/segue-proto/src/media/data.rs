//! Data messages, as far as a relay must know them: the name they start with, and the `@setDataFrame` wrapper that
//! publishers put around metadata. The values behind the name are [`crate::amf0`]'s.

use bytes::{Buf, Bytes};

/// The AMF0 string that a data message starts with: the name of its handler.
pub(super) fn name(body: &[u8]) -> Option<&[u8]> {
    let mut r = body;
    if r.try_get_u8().ok()? != 0x02 {
        return None;
    }
    let len = usize::from(r.try_get_u16().ok()?);
    r.get(..len)
}

/// `@setDataFrame` as an AMF0 string.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// A data message's payload without the `@setDataFrame` wrapper that publishers put around `onMetaData`, nor one inside
/// that: what is recorded and read again is to be the same.
pub fn strip_set_data_frame(mut payload: Bytes) -> Bytes {
    while payload.starts_with(SET_DATA_FRAME) {
        payload.advance(SET_DATA_FRAME.len());
    }
    payload
}

/// The opposite of [`strip_set_data_frame`]: what a publisher sends for metadata.
pub fn wrap_set_data_frame(payload: &[u8]) -> Bytes {
    let mut wrapped = Vec::with_capacity(SET_DATA_FRAME.len().saturating_add(payload.len()));
    wrapped.extend_from_slice(SET_DATA_FRAME);
    wrapped.extend_from_slice(payload);
    wrapped.into()
}

//! Aggregate messages: parts are slices, in order, bounded in number, and come apart alike when joined again.

use bytes::Bytes;
use segue_proto::Timestamp;
use segue_proto::message::aggregate::{Fault, MAX_PARTS, Parts, join};
use segue_proto::message::{Message, MessageStreamId, type_id};

use crate::check::assert_slice;
use crate::input::Input;

/// Bytes of a sub-message without payload and back pointer.
const HEADER: usize = 11;

/// A timestamp, then an aggregate's payload.
pub fn aggregate(data: &[u8]) {
    let mut input = Input::new(data);
    let timestamp = Timestamp::from_millis(input.u32());
    let payload = Bytes::copy_from_slice(input.rest());
    let stream_id = MessageStreamId(1);
    let whole = Message { type_id: type_id::AGGREGATE, stream_id, timestamp, payload: payload.clone() };

    let mut parts = Parts::of(&whole);
    let found: Vec<_> = parts.by_ref().collect();
    assert!(parts.is_over() && parts.next().is_none(), "an end is an end");
    assert!(found.len() <= MAX_PARTS && found.len() * HEADER <= payload.len());
    assert!(found.iter().map(|part| part.payload.len() + HEADER).sum::<usize>() <= payload.len());
    if parts.fault().is_none() {
        // All of it was taken: with nothing left out there is something where there are bytes.
        assert!(found.len() * HEADER <= payload.len());
    }
    for part in &found {
        assert_eq!(part.stream_id, stream_id);
        assert!(matches!(
            part.type_id,
            type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0 | type_id::DATA_AMF3
        ));
        assert_slice(&payload, &part.payload);
    }
    if let Some(first) = found.first()
        && payload.first() == Some(&first.type_id)
    {
        assert_eq!(first.timestamp, timestamp, "the first part has the aggregate's");
    }

    match join(&found) {
        Ok(again) => {
            let mut parts = Parts::of(&again);
            assert_eq!(parts.by_ref().collect::<Vec<_>>(), found);
            assert_eq!(parts.fault(), None::<Fault>);
        }
        Err(error) => assert!(found.is_empty(), "{error}"),
    }
}

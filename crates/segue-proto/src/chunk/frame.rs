//! `Frame`: one message cut into chunks once, to be sent on many connections. Headers and payload are separate slices:
//! all connections share the payload, and those on the usual message stream share the headers too.

use bytes::Bytes;

use super::header::{Encoded, Format};
use crate::message::{ChunkStreamId, Message, MessageStreamId};
use crate::outqueue::OutQueue;

/// A message in chunks: a format 0 header with the absolute timestamp, then payload with format 3 headers between.
///
/// It depends on nothing that a connection said before, but for the chunk size, which must be the one it was cut for.
#[derive(Clone, Debug)]
pub struct Frame {
    csid: ChunkStreamId,
    message: Message,
    /// The first chunk's header, on [`Frame::STREAM`].
    head: Encoded,
    /// The first chunk's payload, then each further chunk's header and payload.
    rest: Vec<Bytes>,
    len: usize,
}

impl Frame {
    /// The message stream of [`push_to`](Self::push_to): the first that `createStream` answers.
    pub const STREAM: MessageStreamId = MessageStreamId(1);

    /// `message` in chunks of at most `chunk_size` bytes of payload (0 counts as 1) on `csid`. Its own message stream
    /// id does not matter.
    ///
    /// A payload longer than [`Message::MAX_PAYLOAD`], which no header can state, makes an empty frame.
    pub fn new(message: &Message, csid: ChunkStreamId, chunk_size: u32) -> Self {
        let mut frame =
            Self { csid, message: message.clone(), head: Encoded::default(), rest: Vec::new(), len: 0 };
        if message.payload.len() > Message::MAX_PAYLOAD {
            frame.message.payload = Bytes::new();
            return frame;
        }
        let format = Format::full(message, Self::STREAM);
        frame.head = format.encode(csid);
        let size = usize::try_from(chunk_size.max(1)).unwrap_or(usize::MAX);
        let mut left = message.payload.clone();
        if left.len() > size {
            let between = Bytes::copy_from_slice(&format.between(csid));
            while left.len() > size {
                frame.rest.extend([left.split_to(size), between.clone()]);
            }
        }
        frame.rest.push(left);
        frame.len = frame.rest.iter().map(Bytes::len).fold(frame.head.len(), usize::saturating_add);
        frame
    }

    /// The message that was cut.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Appends it on message stream [`STREAM`](Self::STREAM). Nothing is copied.
    pub fn push_to(&self, out: &mut OutQueue) {
        self.push_with(&self.head, out);
    }

    /// Appends it on message stream `stream_id`: only the first header is made anew.
    pub fn push_to_stream(&self, stream_id: MessageStreamId, out: &mut OutQueue) {
        if stream_id == Self::STREAM || self.is_empty() {
            self.push_to(out);
        } else {
            self.push_with(&Format::full(&self.message, stream_id).encode(self.csid), out);
        }
    }

    /// Its bytes on the wire, headers included; the same on every message stream.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds nothing, because the message was too long to be sent.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push_with(&self, head: &[u8], out: &mut OutQueue) {
        out.copy(head);
        self.rest.iter().for_each(|slice| out.share(slice));
    }
}

//! `Reader`: puts one connection's messages together from its chunks. It trusts no length: memory grows by what was
//! received, within [`Limits`]. Set Chunk Size and Abort take effect here, in their place among the chunks; every other
//! message is handed on.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};

use super::budget::{Budget, CONTROL_COST};
use super::header::{Header, MAX_HEADER, Stop, take_basic, take_continuation, take_message};
use super::input::Input;
use super::table::{ChunkStream, Table};
use super::{DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE};
use crate::error::Error;
use crate::message::{ChunkStreamId, Message, type_id};
use crate::state::{self, RestoreError, State};
use crate::time::Moment;

/// How many chunk streams a peer may use on one connection; what is remembered of each lasts as long as that.
pub const MAX_CHUNK_STREAMS: usize = 1024;

/// How much a peer may have a [`Reader`] keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest message, in bytes of payload.
    pub max_message: u32,
    /// How many messages may be begun and, after a chunk, not complete: one a chunk stream.
    pub max_partials: usize,
    /// Payload bytes of all of those, with the whole of the chunk that is arriving.
    pub max_partial_bytes: usize,
}

impl Limits {
    /// Before a client is a publisher.
    pub const BEFORE_PUBLISH: Self =
        Self { max_message: 16 << 20, max_partials: 8, max_partial_bytes: 1 << 20 };
    /// For a publisher.
    pub const PUBLISHING: Self =
        Self { max_message: 16 << 20, max_partials: 64, max_partial_bytes: 32 << 20 };
}

/// Puts messages together from chunks. Plain data.
///
/// [`push`](Self::push) what was received, have it [`copied`](Self::copy), or receive it in the reader's own
/// [`room`](Self::room), then call [`next`](Self::next) until it has no more.
#[derive(Clone, Debug)]
pub struct Reader {
    limits: Limits,
    chunk_size: u32,
    input: Input,
    streams: Table,
    /// The chunk whose payload is arriving.
    current: Option<Current>,
    /// The header of the last message that came to its end.
    ended: Header,
    /// Chunk streams with a message that takes more chunks than came.
    partials: usize,
    /// What counts against [`Limits::max_partial_bytes`].
    partial_bytes: usize,
    consumed: u64,
    budget: Budget,
    failed: Option<Error>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    csid: ChunkStreamId,
    /// Payload bytes still to come.
    left: usize,
    /// Whether it holds a message from its first byte to its last.
    whole: bool,
}

impl Reader {
    /// A reader at the first byte after the handshake.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            input: Input::new(),
            streams: Table::new(),
            current: None,
            ended: Header::NONE,
            partials: 0,
            partial_bytes: 0,
            consumed: 0,
            budget: Budget::new(),
            failed: None,
        }
    }

    /// Other limits, for every chunk that begins from now on.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// It is `now`: time pays for work. See [`MAX_CREDIT`](super::MAX_CREDIT).
    pub fn tick(&mut self, now: Moment) {
        self.budget.tick(now);
    }

    /// Charges for what a message asks of the caller.
    ///
    /// # Errors
    /// `LimitExceeded` if the peer has asked for more than what it sent is worth.
    pub fn charge(&mut self, cost: u64) -> Result<(), Error> {
        self.budget.spend(cost)
    }

    /// Takes bytes that were received.
    pub fn push(&mut self, data: Bytes) {
        self.input.push(data);
    }

    /// Takes a copy of bytes that were received where they cannot stay, for a caller whose connections share one buffer:
    /// what a message waits for is put where it belongs at once, the rest together.
    pub fn copy(&mut self, mut data: &[u8]) {
        if self.input.is_empty()
            && let Some(current) = &mut self.current
            && let Some(stream) = self.streams.get_mut(current.csid)
        {
            let (piece, rest) = data.split_at_checked(current.left).unwrap_or((data, &[]));
            append(&mut stream.partial, piece, stream.header.length as usize, self.limits);
            current.left = current.left.saturating_sub(piece.len());
            self.input.pass(piece.len());
            data = rest;
        }
        self.input.push(Bytes::copy_from_slice(data));
    }

    /// Room to receive in, behind all that came before: at least `least` bytes of it. To be appended to and nothing else.
    ///
    /// What lies there together is shared and not copied, so a message in one chunk costs no copy however many reads
    /// bring it. Where there is no room left, `fresh` bytes are made; what messages of the old room live on keeps it.
    pub fn room(&mut self, least: usize, fresh: usize) -> &mut BytesMut {
        self.input.room(least, fresh)
    }

    /// The next whole message, or `None` until more is pushed.
    ///
    /// # Errors
    /// `PeerMisbehaved` if the chunks make no sense, `LimitExceeded` past [`Limits`] or [`MAX_CHUNK_STREAMS`]. An error
    /// is final: it is returned from then on.
    #[expect(clippy::should_implement_trait, reason = "an iterator's end is final, this `None` is not")]
    pub fn next(&mut self) -> Result<Option<Message>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.advance() {
            Ok(payload) => {
                let Header { timestamp, type_id, stream_id, .. } = self.ended;
                Ok(Some(Message { type_id, stream_id, timestamp, payload }))
            }
            Err(Stop::Starved) => Ok(None),
            Err(Stop::Failed(error)) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// The stream offset, in bytes after the handshake, of the end of the last whole chunk: after [`next`](Self::next)
    /// returned a message, of that message's last byte.
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Bytes that were pushed and not yet taken.
    pub fn waiting(&self) -> usize {
        self.input.len()
    }

    /// Bytes allocated for incomplete messages.
    #[cfg(test)]
    pub(crate) fn buffered(&self) -> usize {
        self.streams.iter().map(|(_, stream)| stream.partial.capacity()).sum()
    }

    /// Works through the input up to the end of a message that is handed on, with the header `ended`: its payload.
    #[inline]
    fn advance(&mut self) -> Result<Bytes, Stop> {
        loop {
            let payload = match self.current {
                Some(current) => self.payload(current)?,
                None => self.chunk()?,
            };
            let Some(payload) = payload else { continue };
            match self.ended.type_id {
                type_id::SET_CHUNK_SIZE => self.chunk_size = chunk_size(&payload)?,
                type_id::ABORT => self.abort(&payload)?,
                _ => return Ok(payload),
            }
            self.budget.spend(CONTROL_COST)?;
        }
    }

    /// Takes a chunk: its header, once all of it is there, and its payload, as much as is there. `Some` when it completes
    /// its message.
    #[inline]
    fn chunk(&mut self) -> Result<Option<Bytes>, Stop> {
        let mut peeked;
        let front = self.input.front();
        let mut head = front;
        if front.len() < MAX_HEADER {
            peeked = [0; MAX_HEADER];
            head = self.input.peek(&mut peeked);
        }
        let available = head.len();
        let (format, csid) = take_basic(&mut head)?;
        let known = self.streams.get_mut(csid);
        let (header, received) = match &known {
            Some(stream) if !stream.partial.is_empty() => {
                take_continuation(format, stream.header, &mut head)?;
                (stream.header, stream.partial.len())
            }
            _ => {
                let last = known.as_ref().map(|stream| stream.header);
                (take_message(format, csid, last, &mut head)?, 0)
            }
        };
        let header_len = available.saturating_sub(head.len());
        let length = header.length as usize;
        let size = length.saturating_sub(received).min(self.chunk_size as usize);
        // The next header lies where no cache line is fetched by itself: this fetches it, behind what is done meanwhile.
        black_box(front.get(header_len.saturating_add(size)).copied());

        let begins = received == 0 && size < length;
        if header.length > self.limits.max_message {
            return Err(Error::LimitExceeded("message too long").into());
        }
        if size > self.limits.max_partial_bytes.saturating_sub(self.partial_bytes) {
            return Err(Error::LimitExceeded("too many bytes in incomplete messages").into());
        }
        if begins && self.partials >= self.limits.max_partials {
            return Err(Error::LimitExceeded("too many incomplete messages").into());
        }
        if let Some(stream) = known {
            stream.header = header;
        } else if self.streams.len() < MAX_CHUNK_STREAMS {
            self.streams.insert(csid, ChunkStream { header, partial: Vec::new() });
        } else {
            return Err(Error::LimitExceeded("too many chunk streams").into());
        }
        let whole = size == length;
        if whole && let Some(payload) = self.input.share(header_len, length) {
            self.ended = header;
            self.end_chunk()?;
            return Ok(Some(payload));
        }
        self.input.skip(header_len);
        self.partial_bytes = self.partial_bytes.saturating_add(size);
        if begins {
            self.partials = self.partials.saturating_add(1);
        }
        self.payload(Current { csid, left: size, whole })
    }

    /// Takes the current chunk's payload, as much as is there; `Some` when it completes its message, of header
    /// `ended`.
    fn payload(&mut self, mut current: Current) -> Result<Option<Bytes>, Stop> {
        let Some(stream) = self.streams.get_mut(current.csid) else {
            return Err(Error::Misuse("chunk without its chunk stream").into());
        };
        let header = stream.header;
        let length = header.length as usize;
        let payload = if current.left == length
            && let Some(payload) = self.input.share(0, length)
        {
            // All of the message is in one slice: it is shared as it came.
            self.end_chunk()?;
            payload
        } else if self.input.will_have(current.left) {
            // The chunk waits for its end where it is received.
            self.current = Some(current);
            return Err(Stop::Starved);
        } else {
            while current.left > 0 {
                let front = self.input.front();
                let piece = front.get(..current.left).unwrap_or(front);
                if piece.is_empty() {
                    self.current = Some(current);
                    return Err(Stop::Starved);
                }
                append(&mut stream.partial, piece, length, self.limits);
                let taken = piece.len();
                self.input.skip(taken);
                current.left = current.left.saturating_sub(taken);
            }
            self.end_chunk()?;
            self.run(current.csid)?;
            match self.streams.get_mut(current.csid) {
                Some(stream) if stream.partial.len() == length => {
                    Bytes::from(std::mem::take(&mut stream.partial))
                }
                _ => return Ok(None),
            }
        };
        self.partial_bytes = self.partial_bytes.saturating_sub(length);
        if !current.whole {
            self.partials = self.partials.saturating_sub(1);
        }
        self.ended = header;
        Ok(Some(payload))
    }

    /// Takes the chunks that continue the message on `csid`, as long as nothing else stands between them and they are
    /// whole: what [`chunk`](Self::chunk) and [`payload`](Self::payload) do, with less to look at. Where
    /// anything is out of the ordinary it stops, and leaves it to them.
    fn run(&mut self, csid: ChunkStreamId) -> Result<(), Error> {
        let Some(stream) = self.streams.get_mut(csid) else { return Ok(()) };
        let ChunkStream { header, partial } = stream;
        let length = header.length as usize;
        let Some(start) =
            header.short_continuation(csid).filter(|_| header.length <= self.limits.max_message)
        else {
            return Ok(());
        };
        let front = self.input.front();
        let (mut rest, mut ended) = (front, Ok(()));
        while let Some((first, behind)) = rest.split_first() {
            let size = length.saturating_sub(partial.len()).min(self.chunk_size as usize);
            let free = self.limits.max_partial_bytes.saturating_sub(self.partial_bytes);
            let Some((piece, behind)) = behind.split_at_checked(size) else { break };
            if *first != start || size == 0 || size > free {
                break;
            }
            append(partial, piece, length, self.limits);
            self.partial_bytes = self.partial_bytes.saturating_add(size);
            rest = behind;
            ended = self.budget.chunk(1_u64.saturating_add(size as u64));
            if ended.is_err() {
                break;
            }
        }
        let taken = front.len().saturating_sub(rest.len());
        self.input.skip(taken);
        self.consumed = self.input.taken();
        ended
    }

    fn end_chunk(&mut self) -> Result<(), Error> {
        self.current = None;
        let bytes = self.input.taken().saturating_sub(self.consumed);
        self.consumed = self.input.taken();
        self.budget.chunk(bytes)
    }

    /// Abort Message (5.4.2): drops what has come of a message. The header stays in force.
    fn abort(&mut self, body: &[u8]) -> Result<(), Error> {
        let id = u32::from_be_bytes(*body.first_chunk().ok_or(SHORT_CONTROL)?);
        if let Some(stream) = ChunkStreamId::new(id).and_then(|csid| self.streams.get_mut(csid))
            && !stream.partial.is_empty()
        {
            self.partial_bytes = self.partial_bytes.saturating_sub(stream.partial.len());
            self.partials = self.partials.saturating_sub(1);
            stream.partial = Vec::new();
        }
        Ok(())
    }
}

state::plain!(struct Limits { max_message, max_partials, max_partial_bytes });
state::plain!(struct Current { csid, left, whole });

/// Without an error: a session that has one is not saved. What counts against the limits is counted again.
impl State for Reader {
    fn save(&self, to: &mut Vec<u8>) {
        let Self {
            limits,
            chunk_size,
            input,
            streams,
            current,
            ended: _,
            partials: _,
            partial_bytes: _,
            consumed,
            budget,
            failed: _,
        } = self;
        limits.save(to);
        chunk_size.save(to);
        input.save(to);
        streams.save(to);
        current.save(to);
        consumed.save(to);
        budget.save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let mut reader = Self::new(Limits::restore(from)?);
        reader.chunk_size = State::restore(from)?;
        reader.input = State::restore(from)?;
        reader.streams = State::restore(from)?;
        reader.current = State::restore(from)?;
        reader.consumed = State::restore(from)?;
        reader.budget = State::restore(from)?;
        if !reader.is_sound() {
            return Err(RestoreError::Malformed("chunks"));
        }
        for (csid, stream) in reader.streams.iter() {
            let current = reader.current.filter(|current| current.csid == csid);
            let left = current.map_or(0, |current| current.left);
            reader.partial_bytes =
                reader.partial_bytes.saturating_add(stream.partial.len()).saturating_add(left);
            if current.map_or(!stream.partial.is_empty(), |current| !current.whole) {
                reader.partials = reader.partials.saturating_add(1);
            }
        }
        Ok(reader)
    }
}

impl Reader {
    /// Whether it could have come to this.
    fn is_sound(&self) -> bool {
        let current = self.current.is_none_or(|current| {
            self.streams.get(current.csid).is_some_and(|stream| {
                let (length, coming) =
                    (stream.header.length as usize, stream.partial.len().saturating_add(current.left));
                coming <= length && (!current.whole || coming == length)
            })
        });
        current
            && self.streams.len() <= MAX_CHUNK_STREAMS
            && (1..=MAX_CHUNK_SIZE).contains(&self.chunk_size)
            && self.consumed <= self.input.taken()
    }
}

const SHORT_CONTROL: Error = Error::PeerMisbehaved("protocol control message too short");

/// Set Chunk Size (5.4.1): 1 to 2^31−1. It sizes nothing here, so that any of them will do.
fn chunk_size(body: &[u8]) -> Result<u32, Error> {
    match u32::from_be_bytes(*body.first_chunk().ok_or(SHORT_CONTROL)?) {
        size @ 1..=MAX_CHUNK_SIZE => Ok(size),
        _ => Err(Error::PeerMisbehaved("chunk size is 0 or has its top bit set")),
    }
}

/// Below so many bytes a message's memory quadruples: most are whole after one allocation.
const SMALL: usize = 16 << 10;
/// Under a limit of so many bytes memory only doubles, from what the first chunk brought on: it is what a peer is trusted
/// with that has said nothing of itself.
const STRICT: usize = 1 << 20;

/// So many bytes are copied at once: some processors are several times slower where a longer copy's two addresses lie
/// unluckily in their pages.
const COPY: usize = 4096;

/// Appends `slice` to a message of `length` bytes. Memory grows by doubling with what was received, in a reader of more
/// than [`STRICT`] bytes from twice the first slice on, and to four times while it is [`SMALL`]; never past the message.
fn append(partial: &mut Vec<u8>, slice: &[u8], length: usize, limits: Limits) {
    let needed = partial.len().saturating_add(slice.len());
    if needed > partial.capacity() {
        let grown = match limits.max_partial_bytes > STRICT {
            true if needed < SMALL => needed.saturating_mul(4),
            true if partial.is_empty() => needed.saturating_mul(2),
            _ => partial.capacity().saturating_mul(2),
        };
        partial.reserve_exact(grown.max(needed).min(length).saturating_sub(partial.len()));
    }
    for piece in slice.chunks(COPY) {
        partial.extend_from_slice(piece);
    }
}

//! A server's session, saved and restored. Its configuration is the process's, and stays out.

use std::sync::Arc;

use super::{Asked, Config, Phase, Session, Stream};
use crate::caps::ObjectEncoding;
use crate::session::MAX_STREAMS;
use crate::state::{self, RestoreError, State};
use crate::url::valid_stream_name;

const KIND: [u8; 4] = *b"RTMS";

state::plain!(enum ObjectEncoding { 0 => Amf0, 1 => Amf3 });
state::plain!(enum Asked { 0 => Pending, 1 => Granted });
state::plain!(enum Stream { 0 => Idle, 1 => Publish { name, state }, 2 => Play { state, reset } });
state::plain!(enum Phase {
    0 => Handshake { machine, input },
    1 => AwaitConnect,
    2 => Asked { transaction, encoding },
    3 => Open,
    4 => Rejected,
});

impl Session {
    /// Its whole state, received and unsent bytes included, for [`restore`](Self::restore) in another process of the
    /// same machine and build. To be taken when the outputs are drained but for what `out` holds. It contains keys.
    ///
    /// `None` after an error: such a session is over.
    pub fn save(&self) -> Option<Vec<u8>> {
        self.failed.is_none().then(|| state::save(KIND, self))
    }

    /// The session that was saved, under the same or a like configuration: it goes on as if nothing had been.
    ///
    /// # Errors
    /// `bytes` were saved by another build, or are no server's session, or one whose client was told another chunk
    /// size than `config`'s.
    pub fn restore(config: Arc<Config>, bytes: &[u8]) -> Result<Self, RestoreError> {
        let session = Self { config, ..state::restore(KIND, bytes)? };
        let told = matches!(session.phase, Phase::Open);
        if told && session.writer.chunk_size() != session.config.chunk_size {
            return Err(RestoreError::ChunkSize);
        }
        Ok(session)
    }
}

impl State for Session {
    fn save(&self, to: &mut Vec<u8>) {
        let Self {
            config: _,
            now,
            phase,
            reader,
            writer,
            out,
            streams,
            announce,
            media_caps,
            window_told,
            acks,
            go_away,
            last_ack_sent,
            deadline,
            idle_renewals,
            failed: _,
        } = self;
        now.save(to);
        phase.save(to);
        reader.save(to);
        writer.save(to);
        out.save(to);
        streams.save(to);
        announce.save(to);
        media_caps.save(to);
        window_told.save(to);
        acks.save(to);
        go_away.save(to);
        last_ack_sent.save(to);
        deadline.save(to);
        idle_renewals.save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let session = Self {
            config: Arc::default(),
            now: State::restore(from)?,
            phase: State::restore(from)?,
            reader: State::restore(from)?,
            writer: State::restore(from)?,
            out: State::restore(from)?,
            streams: State::restore(from)?,
            announce: State::restore(from)?,
            media_caps: State::restore(from)?,
            window_told: State::restore(from)?,
            acks: State::restore(from)?,
            go_away: State::restore(from)?,
            last_ack_sent: State::restore(from)?,
            deadline: State::restore(from)?,
            idle_renewals: State::restore(from)?,
            failed: None,
        };
        let sound = session.streams.len() <= MAX_STREAMS
            && session.streams.values().all(|stream| match stream {
                Stream::Publish { name, .. } => valid_stream_name(name),
                _ => true,
            });
        if sound { Ok(session) } else { Err(RestoreError::Malformed("streams")) }
    }
}

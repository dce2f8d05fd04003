//! A client's session, saved and restored, its configuration with it.

use super::{Config, Phase, Role, Session};
use crate::state::{self, RestoreError, State};

const KIND: [u8; 4] = *b"RTMC";

state::plain!(enum Role { 0 => Publisher, 1 => Player });
state::plain!(struct Config { url, announce, chunk_size, flash_ver, window_ack_size, digest });
state::plain!(enum Phase {
    0 => Handshake { machine, input },
    1 => Connecting { transaction },
    2 => Connected,
    3 => Creating { transaction },
    4 => Created { stream },
    5 => Asked { stream, transaction },
    6 => Streaming { stream },
    7 => Ended,
    8 => Rejected,
});

impl Session {
    /// Its whole state, received and unsent bytes included, for [`restore`](Self::restore) in another process of the
    /// same machine and build. To be taken when the outputs are drained but for what `out` holds. It contains the key.
    ///
    /// `None` after an error: such a session is over.
    pub fn save(&self) -> Option<Vec<u8>> {
        self.failed.is_none().then(|| state::save(KIND, self))
    }

    /// The session that was saved: it goes on as if nothing had been.
    ///
    /// # Errors
    /// `bytes` were saved by another build, or are no client's session.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        state::restore(KIND, bytes)
    }
}

impl State for Session {
    fn save(&self, to: &mut Vec<u8>) {
        let Self {
            config,
            role,
            now,
            phase,
            reader,
            writer,
            out,
            acks,
            server,
            window_told,
            transaction,
            deadline,
            failed: _,
        } = self;
        config.save(to);
        role.save(to);
        now.save(to);
        phase.save(to);
        reader.save(to);
        writer.save(to);
        out.save(to);
        acks.save(to);
        server.save(to);
        window_told.save(to);
        transaction.save(to);
        deadline.save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        Ok(Self {
            config: State::restore(from)?,
            role: State::restore(from)?,
            now: State::restore(from)?,
            phase: State::restore(from)?,
            reader: State::restore(from)?,
            writer: State::restore(from)?,
            out: State::restore(from)?,
            acks: State::restore(from)?,
            server: State::restore(from)?,
            window_told: State::restore(from)?,
            transaction: State::restore(from)?,
            deadline: State::restore(from)?,
            failed: None,
        })
    }
}

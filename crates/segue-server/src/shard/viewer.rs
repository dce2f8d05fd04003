//! A watching connection: a cursor into the log, read on while there is room in the out queue.

use std::sync::Arc;

use segue_proto::leg::PlayPosition;
use segue_proto::log::{Entry, Read, Start};
use segue_proto::message::MessageStreamId;
use segue_proto::{MediaMessage, Moment};

use super::conn::{Conn, Role};
use super::watch::Viewer;
use super::{CHUNK_SIZE, Core};
use crate::config::VIEWER_QUEUE_BYTES;
use crate::hub::{Slot, Watcher};

/// Why a viewer is ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The stream is over.
    Stream,
    /// Its leg here is, and the viewer goes where it goes on.
    Leg,
    /// Likewise, but the viewer cannot follow.
    Left,
}

impl Conn {
    /// Starts watching.
    pub(super) fn attach(&mut self, core: &mut Core, slot: &Arc<Slot>, stream: MessageStreamId, from: Start) {
        let Some(client) = &self.client else { return };
        let mut state = slot.lock();
        let cursor = state.log.start(from);
        let watcher = Watcher { announce: client.announce, tc_url: client.tc_url.clone(), told: None };
        core.hub.join(&mut state, self.id, watcher);
        drop(state);
        core.viewers.entry(slot.serial).or_default().insert(self.number);
        self.session.play_start(stream);
        let viewer =
            Viewer { slot: slot.clone(), stream, cursor, headers: None, counted: None, ended: false };
        self.role = Role::Viewer(Box::new(viewer));
        self.set_busy(core, true);
    }

    /// Reads on while there is room.
    pub(super) fn pull(&mut self, core: &mut Core, now: Moment) {
        let id = self.id;
        let segue = self.announce().segue;
        if self.closing.is_some() {
            return;
        }
        let Role::Viewer(viewer) = &mut self.role else { return };
        let slot = viewer.slot.clone();
        let state = slot.lock();
        let end = loop {
            if self.session.out().len() >= VIEWER_QUEUE_BYTES {
                break None;
            }
            match state.log.read(&mut viewer.cursor) {
                Read::Entry(entry) => {
                    if segue && (entry.jump || viewer.counted != Some(entry.stream)) {
                        let position = PlayPosition { stream: entry.stream, position: entry.position };
                        self.session.send_position(viewer.stream, position);
                        viewer.counted = Some(entry.stream);
                    }
                    send_headers(&mut self.session, viewer, entry);
                    self.session.send_frame(viewer.stream, entry.frame(CHUNK_SIZE));
                }
                Read::Lagged => {
                    viewer.headers = None;
                    viewer.counted = None;
                }
                Read::Empty if state.end_viewers => {
                    let told = state.viewers.get(&id).is_some_and(|viewer| viewer.told.is_some());
                    // Who came just now is told before it hears that this is the end here: it is not the stream's.
                    let told = told || self.session.go_away(None, now).is_some();
                    break Some(if told { End::Leg } else { End::Left });
                }
                Read::Empty => break None,
                Read::Ended => break Some(End::Stream),
            }
        };
        drop(state);
        let Some(end) = end.filter(|_| !viewer.ended) else { return };
        viewer.ended = true;
        match end {
            End::Stream | End::Left => self.session.play_ended(viewer.stream, true),
            End::Leg => self.session.stream_eof(viewer.stream),
        }
        viewer.part(core, id, self.number, end == End::Left);
        self.close(core, now);
    }

    /// The connection is gone.
    pub(super) fn part_viewer(&mut self, core: &mut Core) {
        if let Role::Viewer(viewer) = &mut self.role
            && !std::mem::replace(&mut viewer.ended, true)
        {
            viewer.part(core, self.id, self.number, false);
        }
    }

    /// The server stops: the viewer is told that nothing more comes.
    pub(super) fn end_viewer(&mut self, core: &mut Core) {
        if let Role::Viewer(viewer) = &mut self.role
            && !std::mem::replace(&mut viewer.ended, true)
        {
            self.session.stream_eof(viewer.stream);
            viewer.part(core, self.id, self.number, false);
        }
    }
}

/// Configuration that changed, stamped with the time of the message that needs it.
fn send_headers(session: &mut segue_proto::session::server::Session, viewer: &mut Viewer, entry: &Entry) {
    if viewer.headers.as_ref().is_some_and(|known| Arc::ptr_eq(known, &entry.headers)) {
        return;
    }
    let known = viewer.headers.replace(entry.headers.clone()).unwrap_or_default();
    for message in entry.headers.changed_since(&known) {
        let stamped = MediaMessage { timestamp: entry.message.timestamp, ..message.clone() };
        session.send_media(viewer.stream, &stamped);
    }
}

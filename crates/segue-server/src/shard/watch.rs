//! What a watching connection is to its shard: a place in a stream's log.

use std::sync::Arc;

use segue_proto::leg::StreamHash;
use segue_proto::log::{ConnId, Cursor, Headers};
use segue_proto::message::MessageStreamId;

use super::Core;
use crate::hub::Slot;

pub(super) struct Viewer {
    pub(super) slot: Arc<Slot>,
    pub(super) stream: MessageStreamId,
    pub(super) cursor: Cursor,
    /// What its decoder was configured with.
    pub(super) headers: Option<Arc<Headers>>,
    /// The count that it was last told a position in; none before the first message, and after a skip.
    pub(super) counted: Option<StreamHash>,
    /// All there is was read, and the viewer told so.
    pub(super) ended: bool,
}

impl Viewer {
    /// Leaves the stream.
    pub(super) fn part(&self, core: &mut Core, conn: ConnId, number: u64, ended: bool) {
        if let Some(viewers) = core.viewers.get_mut(&self.slot.serial) {
            viewers.remove(&number);
            if viewers.is_empty() {
                core.viewers.remove(&self.slot.serial);
            }
        }
        core.hub.part(&self.slot, conn, ended);
    }
}

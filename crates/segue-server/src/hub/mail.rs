//! Mail between shards: what one shard must tell a connection of another (or of its own: there is one way only). A
//! mailbox is a list behind a lock and a waker; nothing here knows threads or sockets.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use segue_proto::log::ConnId;

use super::Slot;

/// Something for a connection, or for a shard as a whole.
#[derive(Clone)]
pub enum Mail {
    /// The leg may write: answer its `publish`.
    Granted(ConnId),
    /// The leg may not: answer with this status, then close.
    Refused {
        /// The connection.
        conn: ConnId,
        /// Status code.
        code: String,
        /// For a person.
        description: String,
    },
    /// Another leg took over, or the drain cuts it: close, last acknowledgement first.
    Fenced(ConnId),
    /// Stop this publisher now.
    Cut(ConnId),
    /// What was held back is in the log, or on disk: acknowledgements may go on.
    Progress(ConnId),
    /// A stream that this parked viewer waits for is here.
    Arrived(ConnId, Arc<Slot>),
    /// Refuse this parked viewer: the server drains.
    Unpark(ConnId),
    /// The log has something for the viewers of this shard.
    Readable(Arc<Slot>),
    /// Send the go-away.
    Tell {
        /// The connection.
        conn: ConnId,
        /// Where to; a type-32 signal has no place for it.
        tc_url: Option<String>,
        /// Counts down; the last of a batch releases the publisher.
        batch: Arc<Batch>,
    },
    /// The drain was cancelled: a go-away that still waits for its keyframe, or to be repeated, is not sent.
    Untell(ConnId),
    /// Close every connection, the server stops.
    Stop,
}

/// The viewers of a stream that must be told before its publisher.
pub struct Batch {
    remaining: AtomicUsize,
    then: Option<Box<Mail>>,
}

impl Batch {
    /// A batch of `viewers`; `then` is due when all are told.
    pub fn new(viewers: usize, then: Option<Mail>) -> Arc<Self> {
        Arc::new(Self { remaining: AtomicUsize::new(viewers), then: then.map(Box::new) })
    }

    /// One is told, or gone. Returns what is due now.
    pub fn done(&self) -> Option<Mail> {
        let before = self.remaining.fetch_sub(1, Ordering::AcqRel);
        if before == 1 { self.then.as_deref().cloned() } else { None }
    }
}

/// Ends a shard's wait.
pub trait Wake: Send + Sync {
    /// May be called from any thread, at any time, more than once.
    fn wake(&self);
}

/// Where a shard's mail waits.
#[derive(Default)]
pub struct Mailbox {
    mail: Mutex<Vec<Mail>>,
    waker: Mutex<Option<Arc<dyn Wake>>>,
}

impl Mailbox {
    /// Sets what is woken by new mail.
    pub fn set_waker(&self, waker: Arc<dyn Wake>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    /// Adds one, and wakes the shard if it was empty.
    pub fn post(&self, mail: Mail) {
        let was_empty = {
            let mut waiting = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(mail);
            waiting.len() == 1
        };
        if was_empty {
            self.wake();
        }
    }

    /// Wakes the shard without mail.
    pub fn wake(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all that waits, in order.
    pub fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut *self.mail.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether something waits.
    pub fn is_empty(&self) -> bool {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

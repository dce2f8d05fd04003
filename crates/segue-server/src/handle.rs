//! The handle by which the binary and the API steer a server, from any thread.

use std::sync::Arc;
use std::time::Duration;

use crate::config::DrainDefaults;
use crate::drain::{Control, Refused, Report, Request, ServerState, Target};
use crate::hub::Hub;
use crate::reactor::Clock;

/// Steers a server. Cheap to clone; usable from any thread.
#[derive(Debug, Clone)]
pub struct Handle {
    hub: Arc<Hub>,
    drain: Arc<Control>,
    clock: Clock,
    defaults: Arc<DrainDefaults>,
}

impl Handle {
    pub(crate) fn new(hub: Arc<Hub>, drain: Arc<Control>, clock: Clock, defaults: DrainDefaults) -> Self {
        Self { hub, drain, clock, defaults: Arc::new(defaults) }
    }

    /// The server's own idea of a drain, as its configuration says.
    pub fn default_drain(&self) -> Request {
        let drain = &self.defaults;
        Request {
            to: drain.to.as_deref().and_then(|to| Target::parse(to).ok()),
            deadline: drain.deadline,
            settle: drain.settle,
            over: drain.over,
            stream: None,
            dry_run: false,
        }
    }

    /// Begins a drain, or tells one stream.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn drain(&self, request: Request) -> Result<Report, Refused> {
        self.drain.lock().begin(&self.hub, request, self.clock.now())
    }

    /// Back to running.
    ///
    /// # Errors
    ///
    /// [`Refused::NotDraining`].
    pub fn cancel_drain(&self) -> Result<Report, Refused> {
        self.drain.lock().cancel(&self.hub, self.clock.now())
    }

    /// Ends every connection now, each by the closing sequence; the server's threads end after it.
    pub fn stop_now(&self) {
        self.hub.stop();
    }

    /// `running`, `draining` or `drained`.
    pub fn state(&self) -> ServerState {
        self.drain.lock().state()
    }

    /// How the newest drain goes, or went.
    pub fn report(&self) -> Report {
        self.drain.board().report()
    }

    /// Blocks until the server is drained, its drain is cancelled, or `patience` is over; the newest report in each
    /// case.
    pub fn wait_drained(&self, patience: Duration) -> Report {
        self.drain.board().wait_drained(patience)
    }

    /// Publishing connections right now.
    pub fn publishers(&self) -> usize {
        self.hub.streams().iter().filter(|slot| !slot.lock().legs.is_empty()).count()
    }

    /// Messages that were to be recorded and were not, since the start.
    pub fn unrecorded(&self) -> u64 {
        self.hub.unrecorded()
    }

    /// What the shards share.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

//! [`Player`]: one live stream from wherever it is, as messages in order. Owns the task that drives `client::Player`
//! and the bounded channel from it.

use segue_proto::MediaMessage;
use segue_proto::client::{self, Action, Outcome, PlayerConfig};
use segue_proto::handover::record::Record;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock;
use crate::dial::Purpose;
use crate::driver::Driver;
use crate::event::{Events, Listener};

/// Messages between the driver's task and the program. Beyond them the sockets are not read, and the server holds the
/// rest, or skips.
pub const MAX_WAITING: usize = 256;

/// A stream being played.
///
/// ```no_run
/// use segue_net::Player;
/// use segue_proto::client::PlayerConfig;
/// use segue_proto::url::RtmpUrl;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let url = RtmpUrl::parse("rtmp://127.0.0.1/live/name")?;
/// let mut player = Player::connect(PlayerConfig::new(url), None);
/// while let Some(message) = player.next().await {
///     println!("{} at {} ms: {} bytes", message.kind, message.timestamp, message.payload.len());
/// }
/// let report = player.finish().await;
/// println!("{:?}, {} hand-overs", report.outcome, report.handovers.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Player {
    messages: mpsc::Receiver<MediaMessage>,
    stop: mpsc::Sender<()>,
    task: JoinHandle<Report>,
}

/// What became of a stream.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended, and how much is known to be missing.
    pub outcome: Outcome,
    /// Its hand-overs, in order; at most [`MAX_RECORDS`](crate::event::MAX_RECORDS).
    pub handovers: Vec<Record>,
}

impl Player {
    /// Begins to play: connects in the background, on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn connect(config: PlayerConfig, listener: Option<Listener>) -> Self {
        let (outbox, messages) = mpsc::channel(MAX_WAITING);
        let (stop, stopped) = mpsc::channel(1);
        let machine = client::Player::new(config, crate::seed(), clock::now());
        let driver = Driver::new(machine, Purpose::Play);
        let task = tokio::spawn(run(driver, outbox, stopped, Events::new(listener)));
        Self { messages, stop, task }
    }

    /// The stream's next message: configuration first, then media, on one timeline whatever server it comes from.
    /// `None` when the stream is over, or lost for good.
    ///
    /// Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<MediaMessage> {
        self.messages.recv().await
    }

    /// Asks the server to stop. What is on its way can still be taken with [`next`](Self::next).
    pub fn stop(&self) {
        // A full channel holds a request already, a closed one is past it.
        let _ = self.stop.try_send(());
    }

    /// Stops if it is not over yet, and reports. Messages not taken are dropped.
    pub async fn finish(mut self) -> Report {
        self.stop();
        self.messages.close();
        while self.messages.recv().await.is_some() {}
        match self.task.await {
            Ok(report) => report,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

async fn run(
    mut driver: Driver<client::Player>,
    outbox: mpsc::Sender<MediaMessage>,
    mut stopped: mpsc::Receiver<()>,
    mut events: Events,
) -> Report {
    let mut stopping = false;
    let outcome = 'stream: loop {
        while let Some(action) = driver.next_action() {
            match action {
                Action::Handover(record) => events.handover(record),
                Action::Notice(notice) => events.notice(notice),
                Action::Finished(outcome) => break 'stream outcome,
                Action::Media(message) => {
                    // While this waits, nothing is read: a program that does not take its messages stops the server,
                    // not this task's memory. A program that has gone wants no more.
                    let mut sent = std::pin::pin!(outbox.send(message));
                    loop {
                        tokio::select! {
                            biased;
                            result = &mut sent => {
                                if result.is_err() && !stopping {
                                    stopping = true;
                                    driver.machine().stop(clock::now());
                                }
                                break;
                            }
                            _ = stopped.recv(), if !stopping => {
                                stopping = true;
                                driver.machine().stop(clock::now());
                            }
                        }
                    }
                }
                // The driver keeps the rest to itself.
                _ => {}
            }
        }
        tokio::select! {
            biased;
            // A player that was dropped stops too.
            _ = stopped.recv(), if !stopping => {
                stopping = true;
                driver.machine().stop(clock::now());
            }
            () = driver.ready() => {}
        }
    };
    Report { outcome, handovers: events.into_records() }
}

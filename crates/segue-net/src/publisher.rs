//! [`Publisher`]: one live stream to wherever it is taken, for as long as the program pushes messages. Owns the task
//! that drives `client::Publisher` and the bounded channel to it.

use segue_proto::MediaMessage;
use segue_proto::client::{self, Action, Outcome, PublisherConfig};
use segue_proto::handover::record::Record;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock;
use crate::dial::Purpose;
use crate::driver::Driver;
use crate::event::{Events, Listener};

/// Messages between the program and the driver's task.
pub const MAX_WAITING: usize = 64;

/// How the program feeds a publisher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feed {
    /// In real time: messages come when they are due, so the replay buffer takes them all, and drops (and counts) whole
    /// GOPs when a server is too slow for them.
    Live,
    /// As fast as they are taken: [`Publisher::push`] waits while the replay buffer is full.
    Unpaced,
}

/// A stream being published.
///
/// ```no_run
/// use segue_net::Publisher;
/// use segue_net::publisher::Feed;
/// use segue_proto::client::PublisherConfig;
/// use segue_proto::url::RtmpUrl;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let url = RtmpUrl::parse("rtmp://127.0.0.1/live/name")?;
/// let mut publisher = Publisher::connect(PublisherConfig::new(url), Feed::Unpaced, None);
/// for message in segue_flv::reader::read_file("clip.flv".as_ref())? {
///     if publisher.push(message?).await.is_err() {
///         break; // It ended early: the report says why.
///     }
/// }
/// let report = publisher.finish().await;
/// println!("{:?}, {} hand-overs", report.outcome, report.handovers.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Publisher {
    messages: mpsc::Sender<MediaMessage>,
    abort: mpsc::Sender<()>,
    task: JoinHandle<Report>,
}

/// The stream is over: nothing more is taken. [`Publisher::finish`] says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream is over")]
pub struct Over;

/// What became of a stream.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// What was sent and what was lost.
    pub counts: client::Report,
    /// Its hand-overs, in order; at most [`MAX_RECORDS`](crate::event::MAX_RECORDS).
    pub handovers: Vec<Record>,
}

/// Aborts a publisher from elsewhere, a signal handler for one.
#[derive(Debug, Clone)]
pub struct Aborter(mpsc::Sender<()>);

impl Aborter {
    /// Ends the stream at once; what is not sent by now is lost, and counted.
    pub fn abort(&self) {
        // A full channel holds an abort already, a closed one is past it.
        let _ = self.0.try_send(());
    }
}

impl Publisher {
    /// Begins to publish: connects in the background, on the current tokio runtime. A server that cannot be reached or
    /// refuses shows in [`push`](Self::push) and in the report.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn connect(config: PublisherConfig, feed: Feed, listener: Option<Listener>) -> Self {
        let (messages, inbox) = mpsc::channel(MAX_WAITING);
        let (abort, aborted) = mpsc::channel(1);
        let machine = client::Publisher::new(config, crate::seed(), clock::now());
        let driver = Driver::new(machine, Purpose::Publish);
        let task = tokio::spawn(run(driver, feed, inbox, aborted, Events::new(listener)));
        Self { messages, abort, task }
    }

    /// Hands on the stream's next message, in the order of the stream; configuration too. Waits while too many wait.
    ///
    /// # Errors
    ///
    /// [`Over`] if the stream has ended by itself. Cancelling may lose `message`.
    pub async fn push(&self, message: MediaMessage) -> Result<(), Over> {
        self.messages.send(message).await.map_err(|_| Over)
    }

    /// Waits until the stream has ended by itself; [`finish`](Self::finish) says why. Cancelling it loses nothing.
    pub async fn over(&self) {
        self.messages.closed().await;
    }

    /// A handle to abort it with.
    pub fn aborter(&self) -> Aborter {
        Aborter(self.abort.clone())
    }

    /// Ends the stream properly after what was pushed, waits for the server's confirmation and reports.
    ///
    /// A publisher that is dropped instead ends its stream properly too, unheard.
    pub async fn finish(self) -> Report {
        drop(self.messages);
        match self.task.await {
            Ok(report) => report,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

async fn run(
    mut driver: Driver<client::Publisher>,
    feed: Feed,
    mut inbox: mpsc::Receiver<MediaMessage>,
    mut aborted: mpsc::Receiver<()>,
    mut events: Events,
) -> Report {
    let (mut feeding, mut abortable) = (true, true);
    let outcome = 'stream: loop {
        while let Some(action) = driver.next_action() {
            match action {
                Action::Handover(record) => events.handover(record),
                Action::Notice(notice) => events.notice(notice),
                Action::Finished(outcome) => break 'stream outcome,
                // A publisher's machine gives no media, and the driver keeps the rest to itself.
                _ => {}
            }
        }
        let room = feeding && (feed == Feed::Live || driver.machine().room());
        tokio::select! {
            biased;
            asked = aborted.recv(), if abortable => match asked {
                Some(()) => driver.machine().abort(clock::now()),
                None => abortable = false,
            },
            message = inbox.recv(), if room => match message {
                Some(message) => driver.machine().push(message, clock::now()),
                None => {
                    feeding = false;
                    driver.machine().finish(clock::now());
                }
            },
            () = driver.ready() => {}
        }
    };
    Report { outcome, counts: driver.machine().report(), handovers: events.into_records() }
}

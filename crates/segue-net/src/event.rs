//! What a publisher or player tells its program beside media: hand-overs, and notices for a person. Owns the delivery,
//! which is a call from the driver's task, so that nothing queues up for a program that does not listen.

use std::fmt;

use segue_proto::client::Notice;
use segue_proto::handover::record::Record;

/// Most hand-over records kept for the final report; later ones are delivered as events only.
pub const MAX_RECORDS: usize = 10_000;

/// Something happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The stream moved, or did not. The record says all that is known.
    Handover(Record),
    /// One line for a person.
    Notice(Notice),
}

/// Receives events, on the driver's task: it must not block.
pub type Listener = Box<dyn FnMut(Event) + Send>;

/// Delivers events and keeps the records.
pub(crate) struct Events {
    listener: Option<Listener>,
    records: Vec<Record>,
}

impl Events {
    pub(crate) fn new(listener: Option<Listener>) -> Self {
        Self { listener, records: Vec::new() }
    }

    /// A hand-over took place now: the machine, which knows no time of day, left that out.
    pub(crate) fn handover(&mut self, mut record: Record) {
        record
            .at
            .get_or_insert_with(|| jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        if self.records.len() < MAX_RECORDS {
            self.records.push(record.clone());
        }
        self.deliver(Event::Handover(record));
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.deliver(Event::Notice(notice));
    }

    pub(crate) fn into_records(self) -> Vec<Record> {
        self.records
    }

    fn deliver(&mut self, event: Event) {
        if let Some(listener) = &mut self.listener {
            listener(event);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("records", &self.records.len()).finish_non_exhaustive()
    }
}

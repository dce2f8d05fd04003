//! What `publish` reads: an FLV file or stdin, on a thread of its own, because reading may block for as long as an
//! encoder is silent. Messages arrive through a bounded channel, which holds the reader back.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use segue_flv::Messages;
use segue_proto::MediaMessage;
use tokio::sync::mpsc;

use crate::pace::Passes;

/// Messages read ahead of their time.
const READ_AHEAD: usize = 64;

/// One thing that the input gives.
#[derive(Debug)]
pub(crate) enum Item {
    /// A message. In a loop its timestamp continues from pass to pass.
    Message(MediaMessage),
    /// The input ended inside a tag, of which it held this many bytes.
    Truncated(u64),
    /// It cannot be read, or is not FLV. The last item.
    Failed(segue_flv::Error),
}

/// Where the messages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `-`
    Stdin,
    /// A file.
    File(PathBuf),
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.into()) }
    }
}

/// An input being read.
#[derive(Debug)]
pub(crate) struct Input {
    items: mpsc::Receiver<Item>,
    read: Arc<AtomicU64>,
    size: Option<u64>,
}

impl Input {
    /// Starts reading `source`; a file over and over if `looped`, until the input is dropped.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(source: &Source, looped: bool) -> io::Result<Self> {
        let (sender, items) = mpsc::channel(READ_AHEAD);
        let read = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&read);
        let (size, job): (_, Box<dyn FnOnce() + Send>) = match source {
            Source::Stdin => {
                let job = move || {
                    pass(io::stdin(), counter, &sender, &mut Passes::new());
                };
                (None, Box::new(job))
            }
            Source::File(path) => {
                let file = File::open(path)?;
                let size = file.metadata()?.len();
                let path = path.clone();
                (Some(size), Box::new(move || read_file(file, &path, looped, &counter, &sender)))
            }
        };
        thread::Builder::new().name("input".into()).spawn(job)?;
        Ok(Self { items, read, size })
    }

    /// The next item; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        self.items.recv().await
    }

    /// Bytes read so far, in all passes.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// A file's size in bytes.
    pub(crate) fn size(&self) -> Option<u64> {
        self.size
    }
}

fn read_file(file: File, path: &Path, looped: bool, read: &Arc<AtomicU64>, items: &mpsc::Sender<Item>) {
    let mut passes = Passes::new();
    let mut next = io::Result::Ok(file);
    loop {
        match next {
            Ok(file) => {
                if !pass(file, Arc::clone(read), items, &mut passes) || !looped || passes.is_empty() {
                    return;
                }
            }
            Err(error) => return drop(items.blocking_send(Item::Failed(error.into()))),
        }
        passes.next_pass();
        next = File::open(path);
    }
}

/// Reads `input` to its end. Whether another pass makes sense: it was FLV, and someone still listens.
fn pass(input: impl Read, read: Arc<AtomicU64>, items: &mpsc::Sender<Item>, passes: &mut Passes) -> bool {
    let mut messages = Messages::new(Counted { input, read });
    for message in &mut messages {
        let (item, go_on) = match message {
            Ok(message) => (Item::Message(passes.shift(message)), true),
            Err(error) => (Item::Failed(error), false),
        };
        if items.blocking_send(item).is_err() || !go_on {
            return false;
        }
    }
    match messages.truncated() {
        Ok(None) => true,
        Ok(Some(bytes)) => items.blocking_send(Item::Truncated(bytes)).is_ok(),
        Err(error) => {
            let _ = items.blocking_send(Item::Failed(error));
            false
        }
    }
}

/// Counts what is read, for a progress bar.
struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(into)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use segue_flv::Writer;
    use segue_proto::{Timestamp, TrackKind};

    use super::*;

    fn clip() -> Vec<u8> {
        let mut writer = Writer::new(false, true);
        for ts in [0, 40, 80] {
            let payload = Bytes::from_static(b"\x17\x01\0\0\0x");
            writer.push(&MediaMessage::new(TrackKind::Video, Timestamp::from_millis(ts), payload)).unwrap();
        }
        writer.take().to_vec()
    }

    async fn items(content: &[u8], looped: bool, most: usize) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.flv");
        std::fs::write(&path, content).unwrap();
        let mut input = Input::open(&Source::File(path), looped).unwrap();
        assert_eq!(input.size(), Some(content.len() as u64));
        let mut seen = Vec::new();
        while let Some(item) = input.next().await {
            seen.push(match item {
                Item::Message(message) => message.timestamp.to_string(),
                Item::Truncated(bytes) => format!("truncated {bytes}"),
                Item::Failed(error) => error.to_string(),
            });
            if seen.len() == most {
                break;
            }
        }
        seen
    }

    #[tokio::test]
    async fn a_file_to_its_end_or_to_its_last_whole_tag() {
        let clip = clip();
        assert_eq!(items(&clip, false, 9).await, ["0", "40", "80"]);
        let cut = &clip[..clip.len() - 7];
        assert_eq!(items(cut, false, 9).await, ["0", "40", "truncated 14"]);
    }

    #[tokio::test]
    async fn a_loop_continues_the_timestamps() {
        assert_eq!(items(&clip(), true, 7).await, ["0", "40", "80", "120", "160", "200", "240"]);
    }

    #[tokio::test]
    async fn what_is_not_flv_fails_even_in_a_loop() {
        assert_eq!(items(b"#!/bin/sh\n", true, 9).await, ["not an FLV file"]);
        assert_eq!(items(b"", true, 9).await.len(), 1);
        assert!(items(&clip()[..13], true, 9).await.is_empty());
    }
}

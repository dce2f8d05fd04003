//! What `play` writes: an FLV file or stdout, on a thread of its own behind a bounded channel, because a pipe may block
//! for as long as its reader likes.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;
use segue_flv::Writer;
use segue_proto::MediaMessage;
use tokio::sync::{mpsc, oneshot};

use crate::exit::wrong_usage;

/// Messages that wait for the disk or the pipe.
const WAITING: usize = 64;

/// An output being written.
#[derive(Debug)]
pub(crate) struct Output {
    messages: mpsc::Sender<MediaMessage>,
    end: oneshot::Receiver<io::Result<()>>,
}

impl Output {
    /// Opens `path`; stdout for `-` or without a path, unless that is a terminal.
    ///
    /// # Errors
    /// Wrong usage if FLV would go to a terminal; a failure if the file cannot be made.
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        match path.filter(|path| *path != Path::new("-")) {
            Some(path) => {
                let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
                Self::start(file)
            }
            None if io::stdout().is_terminal() => Err(wrong_usage(
                "FLV is not for a terminal: name a file with -o, or pipe stdout into a player",
            )),
            None => Self::start(io::stdout()),
        }
    }

    fn start(to: impl Write + Send + 'static) -> anyhow::Result<Self> {
        let (messages, queue) = mpsc::channel(WAITING);
        let (ended, end) = oneshot::channel();
        thread::Builder::new().name("output".into()).spawn(move || drop(ended.send(write(to, queue))))?;
        Ok(Self { messages, end })
    }

    /// Hands `message` on, waiting for room. `false` if the output has failed: [`close`](Self::close) says why.
    pub(crate) async fn push(&self, message: MediaMessage) -> bool {
        self.messages.send(message).await.is_ok()
    }

    /// Waits until everything is written.
    pub(crate) async fn close(self) -> io::Result<()> {
        drop(self.messages);
        self.end.await.unwrap_or_else(|_| Err(io::Error::other("the writing thread died")))
    }
}

/// Writes as messages come, flushing whenever none waits, so that a player on a pipe sees them at once.
fn write(mut to: impl Write, mut queue: mpsc::Receiver<MediaMessage>) -> io::Result<()> {
    let mut writer = Writer::new(true, true);
    to.write_all(&writer.take())?;
    while let Some(message) = queue.blocking_recv() {
        let mut next = Some(message);
        while let Some(message) = next {
            writer.push(&message).map_err(io::Error::other)?;
            next = queue.try_recv().ok();
        }
        to.write_all(&writer.take())?;
        to.flush()?;
    }
    to.flush()
}

/// The path as a person reads it.
pub(crate) fn name(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| "stdout".into(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use segue_proto::{Timestamp, TrackKind};

    use super::*;

    #[tokio::test]
    async fn a_file_holds_the_messages_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.flv");
        let output = Output::open(Some(&path)).unwrap();
        let message = |ms| {
            MediaMessage::new(TrackKind::Audio, Timestamp::from_millis(ms), Bytes::from_static(b"\xaf\x01x"))
        };
        for ms in 0..200 {
            assert!(output.push(message(ms)).await);
        }
        output.close().await.unwrap();
        let read: Vec<_> = segue_flv::reader::read_file(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, (0..200).map(message).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_failed_output_takes_no_more_and_says_why() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let output = Output::start(Full).unwrap();
        let message = MediaMessage::new(TrackKind::Audio, Timestamp::ZERO, Bytes::from_static(b"\xaf\x01"));
        while output.push(message.clone()).await {}
        assert_eq!(output.close().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn an_unwritable_folder_is_an_error() {
        assert!(Output::open(Some(Path::new("/nonexistent/out.flv"))).is_err());
    }
}

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
    /// Opens `path`; stdout for `-` or without a path, unless that is a terminal. What a file held is kept until there is
    /// a first message to replace it; a file that was made for nothing is taken away.
    ///
    /// # Errors
    /// Wrong usage if FLV would go to a terminal; a failure if the file cannot be made.
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        match path.filter(|path| *path != Path::new("-")) {
            Some(path) => {
                let existed = path.exists();
                let mut options = File::options();
                let file = options.write(true).create(true).truncate(false).open(path);
                let file = file.with_context(|| format!("cannot write {}", path.display()))?;
                Self::start(Destination::File { file, made: (!existed).then(|| path.to_owned()) })
            }
            None if io::stdout().is_terminal() => Err(wrong_usage(
                "FLV is not for a terminal: name a file with -o, or pipe stdout into a player",
            )),
            None => Self::start(Destination::Other(Box::new(io::stdout()))),
        }
    }

    fn start(to: Destination) -> anyhow::Result<Self> {
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

/// Where it goes.
enum Destination {
    File {
        file: File,
        /// Its path, if there was no such file before.
        made: Option<PathBuf>,
    },
    Other(Box<dyn Write + Send>),
}

/// Writes as messages come, flushing whenever none waits, so that a player on a pipe sees them at once.
fn write(to: Destination, mut queue: mpsc::Receiver<MediaMessage>) -> io::Result<()> {
    let Some(first) = queue.blocking_recv() else {
        return match to {
            Destination::File { made: Some(path), .. } => std::fs::remove_file(path),
            _ => Ok(()),
        };
    };
    match to {
        Destination::File { file, .. } => {
            // A device has no length to cut off.
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            write_from(first, file, queue)
        }
        Destination::Other(to) => write_from(first, to, queue),
    }
}

fn write_from(
    first: MediaMessage,
    mut to: impl Write,
    mut queue: mpsc::Receiver<MediaMessage>,
) -> io::Result<()> {
    let mut writer = Writer::new(true, true);
    let mut next = Some(first);
    while let Some(first) = next {
        writer.push(&first).map_err(io::Error::other)?;
        while let Ok(message) = queue.try_recv() {
            writer.push(&message).map_err(io::Error::other)?;
        }
        to.write_all(&writer.take())?;
        to.flush()?;
        next = queue.blocking_recv();
    }
    Ok(())
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
        let output = Output::start(Destination::Other(Box::new(Full))).unwrap();
        let message = MediaMessage::new(TrackKind::Audio, Timestamp::ZERO, Bytes::from_static(b"\xaf\x01"));
        while output.push(message.clone()).await {}
        assert_eq!(output.close().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[tokio::test]
    async fn without_a_message_a_file_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, new) = (dir.path().join("kept.flv"), dir.path().join("new.flv"));
        std::fs::write(&kept, b"a show").unwrap();
        for path in [&kept, &new] {
            Output::open(Some(path)).unwrap().close().await.unwrap();
        }
        assert_eq!(std::fs::read(&kept).unwrap(), b"a show");
        assert!(!new.exists());
    }

    #[test]
    fn an_unwritable_folder_is_an_error() {
        assert!(Output::open(Some(Path::new("/nonexistent/out.flv"))).is_err());
    }
}

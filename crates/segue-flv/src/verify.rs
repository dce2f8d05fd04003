//! The ledger applied to files: what `segue verify` does. Reading is here; judging is in [`crate::ledger`], printing
//! and exit codes belong to the caller.

use std::path::{Path, PathBuf};

use segue_proto::MediaMessage;

use crate::ledger::{Ledger, Options, Report};
use crate::{Error, reader};

/// What a comparison of files gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The counts.
    pub report: Report,
    /// Files that end inside a tag, with the number of bytes after their last whole one, which were not compared.
    pub truncated: Vec<(PathBuf, u64)>,
}

/// A file that could not be read: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct Unreadable {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: Error,
}

/// Compares `received`, in the order of the legs, with `sent`. Of all files together it keeps about 50 bytes a message.
///
/// A received file without a byte, or cut off inside its header, is a leg that received nothing: that is how the file
/// of a server looks that was killed in time.
///
/// # Errors
///
/// [`Unreadable`] for the first file that cannot be read or is not FLV.
pub fn files<P: AsRef<Path>>(options: Options, sent: &Path, received: &[P]) -> Result<Outcome, Unreadable> {
    let mut ledger = Ledger::new(options);
    let mut truncated = Vec::new();
    let mut read = |path: &Path, empty_is_fine: bool, each: &mut dyn FnMut(&MediaMessage)| {
        let left = match read(path, each) {
            Err(Error::NoHeader) if empty_is_fine => None,
            left => left.map_err(|source| Unreadable { path: path.to_owned(), source })?,
        };
        truncated.extend(left.map(|left| (path.to_owned(), left)));
        Ok(())
    };
    read(sent, false, &mut |message| ledger.sent(message))?;
    for path in received {
        ledger.leg_start();
        read(path.as_ref(), true, &mut |message| ledger.received(message))?;
    }
    Ok(Outcome { report: ledger.finish(), truncated })
}

fn read(path: &Path, each: &mut dyn FnMut(&MediaMessage)) -> Result<Option<u64>, Error> {
    let mut messages = reader::read_file(path)?;
    for message in &mut messages {
        each(&message?);
    }
    messages.truncated()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use segue_proto::{Timestamp, TrackKind};

    use super::*;
    use crate::Writer;

    fn file(dir: &Path, name: &str, frames: std::ops::Range<u32>) -> PathBuf {
        let mut writer = Writer::new(false, true);
        for i in frames {
            let payload: Bytes = [b"\x17\x01\0\0\0".as_slice(), &i.to_be_bytes()].concat().into();
            writer
                .push(&MediaMessage::new(TrackKind::Video, Timestamp::from_millis(i * 33), payload))
                .unwrap();
        }
        let path = dir.join(name);
        std::fs::write(&path, writer.take()).unwrap();
        path
    }

    fn cut(path: &Path, bytes: usize) {
        let content = std::fs::read(path).unwrap();
        std::fs::write(path, &content[..content.len() - bytes]).unwrap();
    }

    #[test]
    fn legs_of_a_source() {
        let dir = tempfile::tempdir().unwrap();
        let sent = file(dir.path(), "sent.flv", 0..100);
        let legs = [file(dir.path(), "a.flv", 0..40), file(dir.path(), "b.flv", 40..100)];
        let options = Options { whole: true, no_overlap: true, ..Options::default() };
        let outcome = files(options, &sent, &legs).unwrap();
        assert_eq!(outcome.report.exit_code(), 0, "{}", outcome.report);
        assert!(outcome.truncated.is_empty());

        cut(&legs[1], 10);
        let outcome = files(options, &sent, &legs).unwrap();
        assert_eq!((outcome.report.missing, outcome.report.exit_code()), (1, 3));
        assert_eq!(outcome.truncated, [(legs[1].clone(), 14)]);
    }

    #[test]
    fn an_empty_leg_is_counted_and_other_files_are_unreadable() {
        let dir = tempfile::tempdir().unwrap();
        let sent = file(dir.path(), "sent.flv", 0..30);
        let bare = file(dir.path(), "bare.flv", 0..0);
        for bytes in [0, 5, 9] {
            cut(&bare, bytes.min(std::fs::metadata(&bare).unwrap().len() as usize));
            let report = files(Options::default(), &sent, &[&bare]).unwrap().report;
            assert_eq!((report.missing, report.received, report.exit_code()), (30, 0, 3));
        }
        assert!(
            files(Options::default(), &bare, &[&sent])
                .unwrap_err()
                .to_string()
                .contains("bare.flv: not an FLV")
        );
        std::fs::write(&bare, "GIF89a").unwrap();
        let error = files(Options::default(), &sent, &[&bare]).unwrap_err().to_string();
        assert!(error.ends_with("bare.flv: not an FLV file"), "{error}");
        let error = files(Options::default(), &sent, &[dir.path().join("none.flv")]).unwrap_err().to_string();
        assert!(error.contains("none.flv: No such file"), "{error}");
    }
}

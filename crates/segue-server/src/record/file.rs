//! One leg's FLV file: where it lies, its header, and tags written whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use segue_flv::Frame;
use segue_proto::log::{Entry, Headers};
use segue_proto::{MediaMessage, TrackKind};

use crate::hub::Slot;

/// Bytes gathered before they are handed to the system.
const BATCH_BYTES: usize = 1 << 20;
/// Where an FLV file says which kinds of tag it holds (Video File Format 10.1, E.2).
const FLAGS_AT: u64 = 4;

/// A file being written.
pub(super) struct LegFile {
    file: File,
    pending: Vec<u8>,
    headers: Option<Arc<Headers>>,
    audio: bool,
    video: bool,
    flags_written: Option<(bool, bool)>,
}

/// Nothing of an app's name may lead out of the folder, whatever the system makes of it.
fn folder(app: &str) -> String {
    let mut name: String =
        app.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    if name.starts_with('.') {
        name.insert(0, '_');
    }
    name
}

/// `DIR/APP/ID8-START-eEPOCH.flv`.
pub(super) fn path(dir: &Path, slot: &Slot, epoch: u64, start: jiff::Timestamp) -> PathBuf {
    let id = slot.id.get(..8).unwrap_or(&slot.id);
    dir.join(folder(&slot.key.app))
        .join(format!("{id}-{}-e{epoch}.flv", start.strftime("%Y%m%dT%H%M%S%.3fZ")))
}

impl LegFile {
    /// Makes the file and its folder. An existing file is never written over.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = File::options().write(true).create_new(true).open(path)?;
        Ok(Self { file, pending: Vec::new(), headers: None, audio: false, video: false, flags_written: None })
    }

    /// Adds one message, and what of its configuration changed before it.
    pub(super) fn push(&mut self, entry: &Entry) -> io::Result<()> {
        if !self.headers.as_ref().is_some_and(|known| Arc::ptr_eq(known, &entry.headers)) {
            let known = self.headers.replace(entry.headers.clone()).unwrap_or_default();
            for message in entry.headers.changed_since(&known) {
                self.tag(&MediaMessage { timestamp: entry.message.timestamp, ..message.clone() });
            }
        }
        self.tag(&entry.message);
        if self.pending.len() >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn tag(&mut self, message: &MediaMessage) {
        // RTMP's length field has 24 bits as FLV's has: there is no message that does not fit.
        let Ok(frame) = Frame::new(message) else { return };
        self.audio |= message.kind == TrackKind::Audio;
        self.video |= message.kind == TrackKind::Video;
        for part in frame.parts() {
            self.pending.extend_from_slice(part);
        }
    }

    /// Hands everything to the system, so that whoever reads the file sees whole tags.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let flags = (self.audio, self.video);
        match self.flags_written {
            None => self.file.write_all(&segue_flv::writer::file_header(self.audio, self.video))?,
            Some(written) if written != flags => {
                let header = segue_flv::writer::file_header(self.audio, self.video);
                self.file.write_all_at(&header[4..5], FLAGS_AT)?;
            }
            Some(_) => {}
        }
        self.flags_written = Some(flags);
        self.file.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::folder;

    #[test]
    fn no_app_leads_out_of_the_folder() {
        for (app, name) in
            [("live", "live"), ("a/b", "a_b"), ("..", "_.."), (".x", "_.x"), ("a\\b", "a_b"), ("é", "_")]
        {
            assert_eq!(folder(app), name);
        }
    }
}

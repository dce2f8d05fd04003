//! `--report FILE`: the hand-over records as a JSON array.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use segue_proto::handover::record::Record;

/// A report to be written at the end. The file is made at the start, so that an unwritable folder is noticed before
/// anything is published.
#[derive(Debug)]
pub(crate) struct ReportFile {
    path: PathBuf,
    file: File,
}

impl ReportFile {
    /// Creates the file at `path`.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut report = Self { path: path.to_owned(), file };
        // Until there is more to say: an array all the same.
        report.put(b"[]\n")?;
        Ok(report)
    }

    fn put(&mut self, text: &[u8]) -> anyhow::Result<()> {
        let written =
            self.file.rewind().and_then(|()| self.file.set_len(0)).and_then(|()| self.file.write_all(text));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Writes `records`.
    pub(crate) fn write(mut self, records: &[Record]) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(records)?;
        text.push(b'\n');
        self.put(&text)
    }
}

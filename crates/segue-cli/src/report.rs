//! `--report FILE`: the hand-over records as a JSON array.

use std::fs::File;
use std::io::Write;
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
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes `records`.
    pub(crate) fn write(mut self, records: &[Record]) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(records)?;
        text.push(b'\n');
        self.file.write_all(&text).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

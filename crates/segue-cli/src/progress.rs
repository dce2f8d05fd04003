//! Progress on a terminal: one line on stderr that is redrawn. Elsewhere there is none, and a command that has
//! something to say there prints plain lines.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar, or nothing. A clone is the same bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar up to `length`, or a spinner where that is unknown; nothing if stderr is not a terminal.
    pub(crate) fn new(length: Option<u64>) -> Self {
        if !on_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(5));
        let template = match length {
            Some(_) => "[{elapsed_precise}] [{bar:40}] {msg}",
            None => "[{elapsed_precise}] {spinner} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }

    /// Where it stands, and what is written beside it.
    pub(crate) fn update(&self, position: u64, text: impl Fn() -> String) {
        if !self.0.is_hidden() {
            self.0.set_position(position);
            self.0.set_message(text());
        }
    }

    /// Prints a line on stderr above the bar.
    pub(crate) fn say(&self, text: &str) {
        self.0.suspend(|| crate::exit::complain(text));
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}

/// Whether a person is watching stderr.
pub(crate) fn on_terminal() -> bool {
    std::io::stderr().is_terminal()
}

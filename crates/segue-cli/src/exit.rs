//! How a command ends: the exit codes of the contract, and one line on stderr for an error.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::error::ErrorKind;

/// What the caller's script sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// 0
    Done,
    /// 1
    Failed,
    /// 2
    Usage,
    /// 3: done, but something was lost or cut.
    Lost,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Lost => 3,
        })
    }
}

/// An error that is the caller's: exit code 2.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// An [`anyhow::Error`] of wrong usage.
pub(crate) fn wrong_usage(text: impl Into<String>) -> anyhow::Error {
    UsageError(text.into()).into()
}

/// Prints `error` as one line and says how to exit.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    complain(&chain(error));
    if error.is::<UsageError>() { Exit::Usage } else { Exit::Failed }
}

/// The error and its causes. A cause that the error before it quotes already is not said twice.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Writes a command's result to stdout, whole.
///
/// # Errors
/// Nobody reads it any more, or the disk is full.
pub(crate) fn print(text: impl std::fmt::Display) -> anyhow::Result<()> {
    let write = || {
        let mut out = std::io::stdout().lock();
        out.write_all(text.to_string().as_bytes())?;
        out.flush()
    };
    write().context("cannot write to stdout")
}

/// One line for a person on stderr.
pub(crate) fn complain(text: &str) {
    eprintln!("segue: {}", one_line(text));
}

/// `text` with control characters escaped, so that what a peer or a file says cannot forge a line or drive a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Prints what clap found: help and version as they are, anything else as one line.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            return Exit::Done;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
        }
        _ => complain(&without_keys(
            &first_sentence(&error.render().to_string()),
            std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()),
        )),
    }
    Exit::Usage
}

/// Clap's message is a paragraph, a usage and a hint; the paragraph says it.
fn first_sentence(rendered: &str) -> String {
    let paragraph = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let lines =
        paragraph.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let text = lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{text} (see --help)")
}

/// Arguments that hold a stream key do not show up in an error that quotes them.
fn without_keys(text: &str, arguments: impl Iterator<Item = String>) -> String {
    arguments
        .filter(|argument| argument.contains("rtmp://") || argument.contains("rtmps://"))
        .fold(text.to_owned(), |text, argument| text.replace(&argument, "rtmp://..."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_it_quotes() {
        assert_eq!(one_line("a\r\nsegue: b\u{1b}[2J"), "a\\r\\nsegue: b\\u{1b}[2J");
        let rendered =
            "error: the following required arguments were not provided:\n  <INPUT>\n  <URL>\n\nUsage: x\n";
        assert_eq!(
            first_sentence(rendered),
            "the following required arguments were not provided: <INPUT> <URL> (see --help)"
        );
    }

    #[test]
    fn causes_are_said_once() {
        let quoting = anyhow::anyhow!("refused").context("cannot listen: refused");
        assert_eq!(chain(&quoting), "cannot listen: refused");
        let plain = anyhow::anyhow!("refused").context("cannot listen").context("server A");
        assert_eq!(chain(&plain), "server A: cannot listen: refused");
    }

    #[test]
    fn a_quoted_url_loses_its_key() {
        let url = "rtmp://h/app/secret".to_owned();
        let text = format!("unexpected argument '{url}' found");
        assert_eq!(without_keys(&text, [url].into_iter()), "unexpected argument 'rtmp://...' found");
    }
}

//! `onStatus` and its relatives: the codes, and how the info object is built and read. Codes are those of RTMP 1.0,
//! 7.2.2, of the servers that encoders know, and of E-RTMP v2 ("Reconnect Request").

use super::command::{Command, object, string};
use crate::amf0::Value;

/// The codes of `onStatus`, `_result` and `_error`.
pub mod code {
    /// `connect` succeeded.
    pub const CONNECT_SUCCESS: &str = "NetConnection.Connect.Success";
    /// The server refuses, for now or for good.
    pub const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
    /// The application name is not allowed.
    pub const CONNECT_INVALID_APP: &str = "NetConnection.Connect.InvalidApp";
    /// E-RTMP v2: go to another server at the next media boundary.
    pub const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";
    /// The command is unknown or failed.
    pub const CALL_FAILED: &str = "NetConnection.Call.Failed";
    /// The publisher may send.
    pub const PUBLISH_START: &str = "NetStream.Publish.Start";
    /// Somebody else publishes under this name, or the name is not allowed.
    pub const PUBLISH_BAD_NAME: &str = "NetStream.Publish.BadName";
    /// The stream is no longer published, as its publisher is told.
    pub const UNPUBLISH_SUCCESS: &str = "NetStream.Unpublish.Success";
    /// A play begins, after what was played before was discarded.
    pub const PLAY_RESET: &str = "NetStream.Play.Reset";
    /// A play begins.
    pub const PLAY_START: &str = "NetStream.Play.Start";
    /// A play is over.
    pub const PLAY_STOP: &str = "NetStream.Play.Stop";
    /// A play failed.
    pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
    /// There is no such stream.
    pub const PLAY_STREAM_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
    /// The publisher has ended the stream, as its viewers are told.
    pub const PLAY_UNPUBLISH_NOTIFY: &str = "NetStream.Play.UnpublishNotify";
}

/// The `level` of an info object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Something went as it should.
    Status,
    /// Something failed.
    Error,
}

impl Level {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Error => "error",
        }
    }
}

/// `onStatus`: transaction 0, null, info object of level, code and description.
pub fn on_status(level: Level, code: &str, description: &str) -> Command {
    Command::new("onStatus", 0.0).arg(info(level, code, description))
}

/// The info object alone.
pub fn info(level: Level, code: &str, description: &str) -> Value {
    object([("level", string(level.as_str())), ("code", string(code)), ("description", string(description))])
}

/// E-RTMP v2, "Reconnect Request": `onStatus` with the code, level `status`, and `tcUrl` if there is a target.
pub fn reconnect_request(tc_url: Option<&str>) -> Command {
    let mut properties = Vec::with_capacity(4);
    if let Some(tc_url) = tc_url {
        properties.push(("tcUrl".to_owned(), string(tc_url)));
    }
    properties.push(("code".to_owned(), string(code::RECONNECT_REQUEST)));
    properties.push(("description".to_owned(), string("The server is about to go.")));
    properties.push(("level".to_owned(), string(Level::Status.as_str())));
    Command::new("onStatus", 0.0).arg(Value::Object(properties))
}

/// `onFCPublish` or `onFCUnpublish`, as FMLE expects them.
pub fn on_fc(name: &str, code: &str) -> Command {
    Command::new(name, 0.0).arg(object([("code", string(code)), ("description", string(""))]))
}

/// What the info object of an `onStatus`, `_result` or `_error` says; what is absent is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// `code`.
    pub code: String,
    /// `level`.
    pub level: String,
    /// `description`.
    pub description: String,
    /// `tcUrl` of a ReconnectRequest.
    pub tc_url: Option<String>,
    /// Where a rejected `connect` is sent instead: `ex.redirect`, or `redirect` at the top.
    pub redirect: Option<String>,
}

impl Status {
    /// Reads the first argument of `command` that is an object; some servers put null before it.
    pub fn of(command: &Command) -> Self {
        let Some(info) = command.args.iter().find(|arg| arg.as_object().is_some()) else {
            return Self::default();
        };
        let text = |of: &Value, key: &str| of.property(key).and_then(Value::as_str).map(str::to_owned);
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            code: text(info, "code").unwrap_or_default(),
            level: text(info, "level").unwrap_or_default(),
            description: text(info, "description").unwrap_or_default(),
            tc_url: some(text(info, "tcUrl")),
            redirect: some(info.property("ex").and_then(|ex| text(ex, "redirect")))
                .or_else(|| some(text(info, "redirect"))),
        }
    }

    /// Whether its level is `error`.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand from the tables of E-RTMP v2, "Reconnect Request", and AMF0's: string 02, number 00, null 05, object 03
    /// with 16-bit key lengths, end 00 00 09.
    #[test]
    fn a_reconnect_request_on_the_wire() {
        let expected = [
            &b"\x02\x00\x08onStatus"[..],
            b"\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            b"\x05",
            b"\x03",
            b"\x00\x05tcUrl\x02\x00\x18rtmp://127.0.0.1/liveapp",
            b"\x00\x04code\x02\x00\x26NetConnection.Connect.ReconnectRequest",
            b"\x00\x0bdescription\x02\x00\x1aThe server is about to go.",
            b"\x00\x05level\x02\x00\x06status",
            b"\x00\x00\x09",
        ]
        .concat();
        assert_eq!(&reconnect_request(Some("rtmp://127.0.0.1/liveapp")).encode()[..], &expected[..]);

        let without = reconnect_request(None);
        assert_eq!(without.args[0].property("tcUrl"), None);
        let status = Status::of(&without);
        assert_eq!((status.code.as_str(), status.level.as_str()), (code::RECONNECT_REQUEST, "status"));
        assert!(!status.is_error());
    }

    #[test]
    fn a_status_is_read_wherever_it_stands() {
        let info = object([
            ("level", string("error")),
            ("code", string(code::CONNECT_REJECTED)),
            ("description", string("moved")),
            ("ex", object([("code", Value::Number(302.0)), ("redirect", string("rtmp://b/live"))])),
        ]);
        let status = Status::of(&Command::new("_error", 1.0).arg(Value::Null).arg(info));
        assert!(status.is_error());
        assert_eq!(status.redirect.as_deref(), Some("rtmp://b/live"));
        let top = object([("redirect", string("rtmp://c/live")), ("ex", object([("redirect", string(""))]))]);
        assert_eq!(
            Status::of(&Command::new("_error", 1.0).arg(top)).redirect.as_deref(),
            Some("rtmp://c/live")
        );
        assert_eq!(Status::of(&Command::new("_error", 1.0)), Status::default());
    }
}

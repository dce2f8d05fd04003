//! What client and server tell each other about themselves in `connect` and its `_result`: E-RTMP v2's `capsEx`, Go
//! Away's `supportsGoAway`, Segue's `segue`; codecs and media are [`MediaCaps`]'. Which signal follows from it is
//! `session::go_away`'s business.

use crate::amf0::Value;
use crate::state;

mod media;
mod saved;

pub use media::{CodecFlags, CodecMap, CodecName, MAX_FOUR_CCS, MediaCaps, video_function};

/// `capsEx` bit of E-RTMP v2 ("Enhancing NetConnection connect Command"): reconnect is supported.
pub const CAPS_EX_RECONNECT: u32 = 0x01;
/// `capsEx` bit: multitrack messages are understood.
pub const CAPS_EX_MULTITRACK: u32 = 0x02;
/// `capsEx` bit: ModEx is parsed.
pub const CAPS_EX_MOD_EX: u32 = 0x04;
/// `capsEx` bit: so are nanosecond offsets of timestamps.
pub const CAPS_EX_TIMESTAMP_NANO_OFFSET: u32 = 0x08;
/// The version of Segue's own extension.
pub const SEGUE_VERSION: f64 = 1.0;
/// The longest `serverId` taken from a server, in bytes.
const MAX_SERVER_ID: usize = 64;

/// In what a client can read values: `objectEncoding` of `connect` and of its `_result` (RTMP 1.0, 7.2.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ObjectEncoding {
    /// 0, or absent.
    #[default]
    Amf0,
    /// 3: AMF0 and AMF3, and so the message types 15 and 17 beside 18 and 20.
    Amf3,
}

impl ObjectEncoding {
    /// Reads the object of a `connect` command.
    pub fn parse(connect: &Value) -> Self {
        match connect.property("objectEncoding") {
            Some(Value::Number(number)) if *number == Self::Amf3.number() => Self::Amf3,
            _ => Self::Amf0,
        }
    }

    /// The number on the wire. Our server gives back what the client announced, as it reads both, and as SRS and
    /// nginx-rtmp do.
    pub const fn number(self) -> f64 {
        match self {
            Self::Amf0 => 0.0,
            Self::Amf3 => 3.0,
        }
    }
}

/// What a client announces in `connect`, or what a server understood of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Announce {
    /// It follows a ReconnectRequest.
    pub reconnect: bool,
    /// It follows a go-away message (type 32).
    pub go_away: bool,
    /// It speaks Segue's extension: leg headers, positions, the last acknowledgement.
    pub segue: bool,
}

state::plain!(struct Announce { reconnect, go_away, segue });

impl Announce {
    /// Everything.
    pub const ALL: Self = Self { reconnect: true, go_away: true, segue: true };
    /// Nothing.
    pub const NONE: Self = Self { reconnect: false, go_away: false, segue: false };

    /// Reads the object of a `connect` command. A malformed value announces nothing.
    ///
    /// `capsEx` is found in any case, since some send `CapsEx`. `supportsGoAway` counts as boolean true or as a number
    /// other than 0, as both are in the field.
    pub fn parse(connect: &Value) -> Self {
        let go_away = match connect.property("supportsGoAway") {
            Some(Value::Boolean(yes)) => *yes,
            // NaN is other than 0, and yet says nothing.
            Some(Value::Number(n)) => *n != 0.0 && !n.is_nan(),
            _ => false,
        };
        Self { reconnect: caps_ex(connect) & CAPS_EX_RECONNECT != 0, go_away, segue: speaks_segue(connect) }
    }

    /// The properties that announce this in a `connect` object.
    pub fn properties(&self) -> Vec<(String, Value)> {
        let mut properties = Vec::new();
        if self.reconnect {
            properties.push(("capsEx".to_owned(), Value::Number(f64::from(CAPS_EX_RECONNECT))));
        }
        if self.go_away {
            properties.push(("supportsGoAway".to_owned(), Value::Boolean(true)));
        }
        if self.segue {
            properties.push(("segue".to_owned(), Value::Number(SEGUE_VERSION)));
        }
        properties
    }

    /// The properties of a `connect` object that announce this, and `media`. `capsEx` speaks of both: its bit for
    /// Reconnect is this side's word alone.
    pub fn with_media(&self, media: &MediaCaps) -> Vec<(String, Value)> {
        let mut properties = media.four_cc_properties();
        let bits = if self.reconnect { CAPS_EX_RECONNECT } else { 0 } | (media.caps_ex & !CAPS_EX_RECONNECT);
        properties.push(("capsEx".to_owned(), Value::Number(bits.into())));
        properties.extend(self.properties().into_iter().filter(|(name, _)| name != "capsEx"));
        properties
    }

    /// What is announced here and switched on there.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            reconnect: self.reconnect && other.reconnect,
            go_away: self.go_away && other.go_away,
            segue: self.segue && other.segue,
        }
    }
}

/// What a server says of itself in the `_result` of `connect`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerInfo {
    /// It speaks Segue's extension.
    pub segue: bool,
    /// Random per process: two connections with the same are to one server.
    pub server_id: Option<String>,
    /// It is draining: it takes no new streams.
    pub draining: bool,
    /// E-RTMP's `capsEx`, 0 if absent.
    pub caps_ex: u32,
    /// What it says of media.
    pub media: MediaCaps,
}

state::plain!(struct ServerInfo { segue, server_id, draining, caps_ex, media });

impl ServerInfo {
    /// Reads the objects of a `_result`: properties and information. `serverId` and `draining` count only from a
    /// server that speaks `segue`.
    pub fn parse(objects: &[&Value]) -> Self {
        let find = |name: &str| objects.iter().find_map(|object| object.property(name));
        let segue = objects.iter().any(|object| speaks_segue(object));
        let server_id =
            find("serverId").and_then(Value::as_str).filter(|id| !id.is_empty() && id.len() <= MAX_SERVER_ID);
        let media = objects.iter().map(|object| MediaCaps::parse(object));
        Self {
            media: media
                .reduce(|first, next| if first.is_enhanced() { first } else { next })
                .unwrap_or_default(),
            segue,
            server_id: server_id.filter(|_| segue).map(str::to_owned),
            draining: segue && find("draining").and_then(Value::as_bool).unwrap_or(false),
            caps_ex: objects.iter().map(|object| caps_ex(object)).find(|&bits| bits != 0).unwrap_or(0),
        }
    }
}

/// The bits of `capsEx`; 0 if it is absent or no unsigned 32-bit integer.
fn caps_ex(object: &Value) -> u32 {
    let properties = object.as_object().unwrap_or_default();
    let found = properties.iter().find(|(key, _)| key.eq_ignore_ascii_case("capsEx"));
    found.and_then(|(_, bits)| media::integer(bits)).unwrap_or(0)
}

fn speaks_segue(object: &Value) -> bool {
    matches!(object.property("segue"), Some(Value::Number(version)) if *version >= SEGUE_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::command::{object, string};

    fn parsed(key: &str, value: Value) -> Announce {
        Announce::parse(&object([("app", string("live")), (key, value)]))
    }

    #[test]
    fn what_announces_reconnect() {
        for (value, expected) in [
            (Value::Number(1.0), true),
            (Value::Number(15.0), true),
            (Value::Number(4_294_967_295.0), true),
            (Value::Number(4_294_967_297.0), false),
            (Value::Number(2.0), false),
            (Value::Number(0.0), false),
            (Value::Number(-1.0), false),
            (Value::Number(1.5), false),
            (Value::Number(f64::NAN), false),
            (Value::Number(f64::INFINITY), false),
            (Value::Boolean(true), false),
            (string("1"), false),
            (Value::Null, false),
        ] {
            for key in ["capsEx", "CapsEx", "CAPSEX"] {
                let expected = Announce { reconnect: expected, ..Announce::NONE };
                assert_eq!(parsed(key, value.clone()), expected, "{key} {value:?}");
            }
        }
    }

    #[test]
    fn what_announces_go_away() {
        for (value, expected) in [
            (Value::Boolean(true), true),
            (Value::Boolean(false), false),
            (Value::Number(1.0), true),
            (Value::Number(-2.0), true),
            (Value::Number(0.0), false),
            (Value::Number(f64::NAN), false),
            (string("true"), false),
            (Value::Null, false),
            (Value::Undefined, false),
            (object([]), false),
        ] {
            let expected = Announce { go_away: expected, ..Announce::NONE };
            assert_eq!(parsed("supportsGoAway", value.clone()), expected, "{value:?}");
        }
        assert_eq!(parsed("supportsgoaway", Value::Boolean(true)), Announce::NONE, "one spelling only");
    }

    #[test]
    fn what_announces_amf3() {
        for (value, expected) in [
            (Value::Number(3.0), ObjectEncoding::Amf3),
            (Value::Number(0.0), ObjectEncoding::Amf0),
            (Value::Number(1.0), ObjectEncoding::Amf0),
            (Value::Number(f64::NAN), ObjectEncoding::Amf0),
            (string("3"), ObjectEncoding::Amf0),
        ] {
            assert_eq!(ObjectEncoding::parse(&object([("objectEncoding", value)])), expected);
        }
        assert_eq!(ObjectEncoding::parse(&Value::Null), ObjectEncoding::Amf0);
    }

    #[test]
    fn what_announces_segue() {
        for (value, expected) in [
            (Value::Number(1.0), true),
            (Value::Number(2.0), true),
            (Value::Number(0.9), false),
            (Value::Boolean(true), false),
            (string("1"), false),
        ] {
            assert_eq!(parsed("segue", value), Announce { segue: expected, ..Announce::NONE });
        }
    }

    #[test]
    fn what_is_announced_is_understood() {
        for bits in 0..8 {
            let announce =
                Announce { reconnect: bits & 1 != 0, go_away: bits & 2 != 0, segue: bits & 4 != 0 };
            assert_eq!(Announce::parse(&Value::Object(announce.properties())), announce);
            assert_eq!(announce.and(Announce::ALL), announce);
            assert_eq!(announce.and(Announce::NONE), Announce::NONE);
        }
        assert_eq!(Announce::parse(&Value::Null), Announce::NONE);
    }

    #[test]
    fn caps_ex_speaks_of_reconnect_only_if_it_is_announced() {
        for (announce, bits) in [(Announce::ALL, 0x0f), (Announce::NONE, 0x0e)] {
            let object = Value::Object(announce.with_media(&MediaCaps::publisher()));
            assert_eq!(object.property("capsEx"), Some(&Value::Number(bits.into())));
            assert_eq!(Announce::parse(&object), announce);
            assert_eq!(MediaCaps::parse(&object), MediaCaps { caps_ex: bits, ..MediaCaps::publisher() });
        }
    }

    #[test]
    fn a_server_describes_itself_in_either_object() {
        let properties = object([("fmsVer", string("FMS/3,5,7,7009")), ("capsEx", Value::Number(1.0))]);
        let own = object([
            ("segue", Value::Number(1.0)),
            ("serverId", string("abc")),
            ("draining", Value::Boolean(true)),
        ]);
        let info = ServerInfo::parse(&[&properties, &own]);
        assert_eq!(
            info,
            ServerInfo {
                segue: true,
                server_id: Some("abc".into()),
                draining: true,
                caps_ex: 1,
                media: MediaCaps { caps_ex: 1, ..MediaCaps::default() },
            }
        );

        let foreign = object([("serverId", string("abc")), ("draining", Value::Boolean(true))]);
        assert_eq!(ServerInfo::parse(&[&foreign]), ServerInfo::default(), "without segue these are not ours");
        let long = |n| object([("segue", Value::Number(1.0)), ("serverId", string(&"x".repeat(n)))]);
        assert!(ServerInfo::parse(&[&long(MAX_SERVER_ID)]).server_id.is_some());
        assert!(ServerInfo::parse(&[&long(MAX_SERVER_ID + 1)]).server_id.is_none());
    }
}

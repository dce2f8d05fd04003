//! `VideoPacketType::Metadata`: names and AMF-coded values about the video that follows; `colorInfo` is the one that is
//! defined (E-RTMP v2, "Metadata Frame"). All numbers are kept as they come, in range or not: they are the publisher's
//! word to the decoder, and only passed on here.

use bytes::Bytes;

use crate::amf0::{self, Value};
use crate::error::Error;

/// The name of colour information.
pub const COLOR_INFO: &str = "colorInfo";

/// The names and values of a metadata packet, in order; those in AMF3 as the AMF0 values that say the same
/// ([`amf0::plain`]).
///
/// # Errors
/// As [`amf0::decode_all`], and `PeerMisbehaved` if a name is no string or has no value.
pub fn decode(data: &[u8]) -> Result<Vec<(String, Value)>, Error> {
    let mut pairs = Vec::new();
    let mut values = amf0::plain(amf0::decode_all(data)?).into_iter();
    while let Some(name) = values.next() {
        match (name, values.next()) {
            (Value::String(name), Some(value)) => pairs.push((name, value)),
            _ => return Err(Error::PeerMisbehaved("video metadata is not names and values")),
        }
    }
    Ok(pairs)
}

/// The data of a metadata packet.
pub fn encode(pairs: &[(String, Value)]) -> Bytes {
    let mut out = Vec::new();
    for (name, value) in pairs {
        Value::String(name.clone()).encode(&mut out);
        value.encode(&mut out);
    }
    out.into()
}

/// Colour information: how the samples are to be shown. What is absent was not told. A new one replaces all of the old.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ColorInfo {
    /// How colours are coded.
    pub config: ColorConfig,
    /// Light levels of the content (`hdrCll`).
    pub light: LightLevel,
    /// The display on which it was mastered (`hdrMdcv`).
    pub mastering: MasteringDisplay,
}

/// `colorConfig`. The three codes are indexes into the tables of ITU-T H.273.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ColorConfig {
    /// Bits of each colour channel: 8, 10 or 12.
    pub bit_depth: Option<f64>,
    /// `colorPrimaries`, 0 to 255.
    pub primaries: Option<f64>,
    /// `transferCharacteristics`, 0 to 255.
    pub transfer: Option<f64>,
    /// `matrixCoefficients`, 0 to 255.
    pub matrix: Option<f64>,
}

/// `hdrCll`, in cd/m², 0.0001 to 10,000.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct LightLevel {
    /// The highest average of a frame.
    pub max_fall: Option<f64>,
    /// The highest of any pixel.
    pub max_cll: Option<f64>,
}

/// `hdrMdcv`: SMPTE ST 2086.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct MasteringDisplay {
    /// Chromaticity of red, x and y.
    pub red: [Option<f64>; 2],
    /// Of green.
    pub green: [Option<f64>; 2],
    /// Of blue.
    pub blue: [Option<f64>; 2],
    /// Of the white point.
    pub white_point: [Option<f64>; 2],
    /// In cd/m², 5 to 10,000.
    pub max_luminance: Option<f64>,
    /// In cd/m², 0.0001 to 5.
    pub min_luminance: Option<f64>,
}

impl ColorInfo {
    /// Reads the value of `colorInfo`. `None`: back to what the video itself says, which is what undefined, or an empty
    /// object, ask for; anything else that is no object says no more than that.
    pub fn from_value(value: &Value) -> Option<Self> {
        let properties = value.as_object()?;
        if properties.is_empty() {
            return None;
        }
        let number = |object: &str, name: &str| value.property(object)?.property(name)?.as_f64();
        let mdcv = |name: &str| number("hdrMdcv", name);
        Some(Self {
            config: ColorConfig {
                bit_depth: number("colorConfig", "bitDepth"),
                primaries: number("colorConfig", "colorPrimaries"),
                transfer: number("colorConfig", "transferCharacteristics"),
                matrix: number("colorConfig", "matrixCoefficients"),
            },
            light: LightLevel { max_fall: number("hdrCll", "maxFall"), max_cll: number("hdrCll", "maxCLL") },
            mastering: MasteringDisplay {
                red: [mdcv("redX"), mdcv("redY")],
                green: [mdcv("greenX"), mdcv("greenY")],
                blue: [mdcv("blueX"), mdcv("blueY")],
                white_point: [mdcv("whitePointX"), mdcv("whitePointY")],
                max_luminance: mdcv("maxLuminance"),
                min_luminance: mdcv("minLuminance"),
            },
        })
    }

    /// The value of `colorInfo`: what was told, in the specification's order. If nothing was, an empty object, which
    /// means the same.
    pub fn to_value(&self) -> Value {
        let Self { config, light, mastering } = self;
        let config = [
            ("bitDepth", config.bit_depth),
            ("colorPrimaries", config.primaries),
            ("transferCharacteristics", config.transfer),
            ("matrixCoefficients", config.matrix),
        ];
        let light = [("maxFall", light.max_fall), ("maxCLL", light.max_cll)];
        let ([rx, ry], [gx, gy]) = (mastering.red, mastering.green);
        let ([bx, by], [wx, wy]) = (mastering.blue, mastering.white_point);
        let mastering = [
            ("redX", rx),
            ("redY", ry),
            ("greenX", gx),
            ("greenY", gy),
            ("blueX", bx),
            ("blueY", by),
            ("whitePointX", wx),
            ("whitePointY", wy),
            ("maxLuminance", mastering.max_luminance),
            ("minLuminance", mastering.min_luminance),
        ];
        let told = |numbers: &[(&str, Option<f64>)]| -> Vec<(String, Value)> {
            let told =
                numbers.iter().filter_map(|(name, n)| Some(((*name).to_owned(), Value::Number((*n)?))));
            told.collect()
        };
        let parts = [("colorConfig", told(&config)), ("hdrCll", told(&light)), ("hdrMdcv", told(&mastering))];
        let parts = parts.into_iter().filter(|(_, numbers)| !numbers.is_empty());
        Value::Object(parts.map(|(name, numbers)| (name.to_owned(), Value::Object(numbers))).collect())
    }
}

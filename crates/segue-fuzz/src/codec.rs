//! Decoder configurations: every parser of `codec`, on any bytes. What they say is within what the formats can state,
//! what they point to is a slice of the record, and memory is bounded by the record.

use bytes::Bytes;
use segue_proto::codec::{DecoderConfig, MAX_DIMENSION, aac, ac3, av1, avc, hevc};
use segue_proto::media::{Codec, FourCc};

use crate::check::{assert_slice, bounded};
use crate::input::Input;

/// As the first byte chooses: records by the codec, the legacy numbers of three, then what stands inside records.
const RECORDS: [Codec; 15] = [
    Codec::FourCc(FourCc::AVC.0),
    Codec::FourCc(FourCc::HEVC.0),
    Codec::FourCc(FourCc::VVC.0),
    Codec::FourCc(FourCc::AV1.0),
    Codec::FourCc(FourCc::VP8.0),
    Codec::FourCc(FourCc::VP9.0),
    Codec::FourCc(FourCc::AAC.0),
    Codec::FourCc(FourCc::OPUS.0),
    Codec::FourCc(FourCc::FLAC.0),
    Codec::FourCc(FourCc::AC3.0),
    Codec::FourCc(FourCc::MP3.0),
    Codec::Legacy(7),
    Codec::Legacy(10),
    Codec::Legacy(12),
    Codec::None,
];
/// Parameter sets are kept as slices, 40 bytes each in a vector with room for as many again, for 2 bytes of record; a
/// sequence parameter set is unescaped into a copy.
const MAX_PER_BYTE: u64 = 64;
const MAX_FIXED: u64 = 1024;

/// Which parser, then its input.
pub fn codec(data: &[u8]) {
    let mut input = Input::new(data);
    let which = usize::from(input.u8()) % (RECORDS.len() + 5);
    let bytes = Bytes::copy_from_slice(input.rest());
    if let Some(codec) = RECORDS.get(which) {
        return record(*codec, &bytes);
    }
    let size = bounded(bytes.len(), MAX_FIXED, MAX_PER_BYTE, || match which - RECORDS.len() {
        0 => avc::Sps::parse(&bytes).ok().map(|sps| (sps.width, sps.height)),
        1 => hevc::Sps::parse(&bytes).ok().map(|sps| (sps.width, sps.height)),
        2 => av1::SequenceHeader::parse(&bytes).ok().map(|header| (header.width, header.height)),
        3 => {
            let frame = ac3::Frame::parse(&bytes).ok()?;
            assert!((1..=48_000).contains(&frame.sample_rate) && (1..=6).contains(&frame.channels));
            None
        }
        _ => {
            let config = aac::AudioSpecificConfig::parse(&bytes).ok()?;
            assert!(config.output_rate() > 0 && config.sample_rate > 0 && config.channels != Some(0));
            None
        }
    });
    assert_size(size);
}

fn record(codec: Codec, bytes: &Bytes) {
    let parsed = bounded(bytes.len(), MAX_FIXED, MAX_PER_BYTE, || {
        let parsed = DecoderConfig::parse(codec, bytes);
        if let Ok(Some(config)) = &parsed {
            assert_size(config.size());
            if let Some((rate, channels)) = config.sound() {
                assert!(rate > 0 && channels > 0, "{rate} Hz, {channels} channels");
            }
        }
        parsed
    });
    match parsed {
        Ok(Some(config)) => {
            assert!(!bytes.is_empty());
            slices(&config, bytes);
            let nothing = DecoderConfig::parse(codec, &Bytes::new());
            assert_eq!(nothing, Ok(None), "an empty record is none");
        }
        Ok(None) => assert!(bytes.is_empty() || matches!(codec, Codec::None | Codec::FourCc(_))),
        Err(_) => {}
    }
}

fn slices(config: &DecoderConfig, bytes: &Bytes) {
    match config {
        DecoderConfig::Avc(record) => {
            record.sps.iter().chain(&record.pps).for_each(|unit| assert_slice(bytes, unit));
        }
        DecoderConfig::Hevc(record) => record.units.iter().for_each(|(_, unit)| assert_slice(bytes, unit)),
        DecoderConfig::Vvc(record) => record.units.iter().for_each(|(_, unit)| assert_slice(bytes, unit)),
        DecoderConfig::Av1(record) => assert_slice(bytes, &record.obus),
        DecoderConfig::Vp(record) => assert_slice(bytes, &record.initialization),
        DecoderConfig::Opus(head) => {
            if let Some(mapping) = &head.mapping {
                assert_slice(bytes, &mapping.map);
                assert_eq!(mapping.map.len(), usize::from(head.channels));
            }
        }
        DecoderConfig::Aac(_) | DecoderConfig::Flac(_) => {}
    }
}

fn assert_size(size: Option<(u32, u32)>) {
    if let Some((width, height)) = size {
        assert!(width <= MAX_DIMENSION && height <= MAX_DIMENSION, "{width} x {height}");
    }
}

//! V2: what the AMF decoders allocate is bounded by the bytes that came, whatever these say. Memory is counted by the
//! allocator, not estimated; that needs a global allocator, and so this file is a test binary of its own.

use allocation_counter::measure;
use segue_proto::amf::{MAX_COMMAND_BYTES, MAX_VALUES};
use segue_proto::{amf0, amf3};

/// Bytes that may be allocated at a time, for each byte that came. The costliest known is a value of AMF0 that is its
/// marker and nothing else, at the moment when the list of 2^n of them grows for one more: 48 bytes in the old list, and
/// room for twice as many in the new one. That comes to 144, found by fuzzing. An AMF3 object of a class of its own with
/// one member, 5 bytes on the wire, is here a value, its box, the class, its list of names and its place in a table: 80.
const MAX_PER_BYTE: u64 = 160;
/// Beyond that, for a body of a few bytes: an error costs nothing, but a vector starts with room for four.
const MAX_FIXED: u64 = 512;

/// The bytes allocated at a time, for a body that is decoded.
fn whole(body: &[u8]) {
    assert!(amf0::decode_all(body).is_ok(), "{:x?}", amf0::decode_all(body));
    peak(body);
}

/// The bytes allocated at a time. When the values are dropped, none are left.
fn peak(body: &[u8]) -> u64 {
    let mut ok = false;
    let info = measure(|| ok = amf0::decode_all(body).is_ok());
    assert_eq!(info.bytes_current, 0, "all of it is given back");
    let peak = info.bytes_max;
    let bound = MAX_FIXED + MAX_PER_BYTE * body.len() as u64;
    println!(
        "{:6} bytes in, {peak:8} at a time, {:5.1} a byte, {}",
        body.len(),
        peak as f64 / body.len() as f64,
        if ok { "whole" } else { "refused" },
    );
    assert!(peak <= bound, "{peak} bytes for {} that came, past {bound}", body.len());
    peak
}

/// `0x11` and an array of `count` elements in AMF3, each of these bytes.
fn array_of(count: usize, element: &[u8]) -> Vec<u8> {
    let head = (count << 1 | 1) as u16;
    assert!((0x80..0x4000).contains(&head));
    let head = [(head >> 7) as u8 | 0x80, head as u8 & 0x7F];
    [&[0x11, 0x09][..], &head, &[0x01], &element.repeat(count)].concat()
}

#[test]
fn counts_and_lengths_that_are_not_there_cost_nothing() {
    for claim in [
        &b"\x0a\xff\xff\xff\xff"[..],
        b"\x0c\xff\xff\xff\xff",
        b"\x0f\xff\xff\xff\xff",
        b"\x08\xff\xff\xff\xff\x00\x01a",
        b"\x11\x06\xff\xff\xff\xff",
        b"\x11\x07\xff\xff\xff\xff",
        b"\x11\x09\xff\xff\xff\xff\x01",
        b"\x11\x0a\xff\xff\xff\xf3\x01",
        b"\x11\x0c\xff\xff\xff\xff",
        b"\x11\x0d\xff\xff\xff\xff\x00",
        b"\x11\x0f\xff\xff\xff\xff\x00",
        b"\x11\x10\xff\xff\xff\xff\x00\x01",
        b"\x11\x11\xff\xff\xff\xff\x00",
    ] {
        assert!(peak(claim) <= MAX_FIXED, "{claim:x?}");
        // Claims inside claims, as deep as they may be and deeper.
        peak(&claim.repeat(31));
        peak(&claim.repeat(MAX_COMMAND_BYTES / claim.len()));
    }
    // The same inside AMF3, which needs no marker to go on.
    for claim in
        [&b"\x09\xff\xff\xff\xff\x01"[..], b"\x11\xff\xff\xff\xff\x00", b"\x10\xff\xff\xff\xff\x00\x01"]
    {
        peak(&[&b"\x11"[..], &claim.repeat(10_000)].concat());
    }
}

#[test]
fn the_costliest_values_cost_a_small_multiple() {
    let some = MAX_VALUES / 4;
    for element in [
        &b"\x01"[..],                 // null
        b"\x06\x03a",                 // a string
        b"\x06\x01",                  // an empty string
        b"\x09\x01\x01",              // an empty array
        b"\x09\x03\x01\x01",          // an array of one
        b"\x0a\x03\x01",              // a class without members
        b"\x0a\x0b\x01\x01",          // a dynamic one
        b"\x0a\x0b\x01\x03a\x01\x01", // with a member
        b"\x0a\x13\x01\x01\x01",      // with a sealed member
        b"\x0a\x07\x3bflex.messaging.io.ObjectProxy\x01",
        b"\x0b\x01",             // empty XML
        b"\x0c\x03a",            // a byte
        b"\x0d\x03\x00\0\0\0\0", // a vector of one integer
        b"\x0f\x03\x00\0\0\0\0\0\0\0\0",
        b"\x10\x03\x00\x01\x01", // of one null
        b"\x11\x03\x00\x01\x01", // a dictionary of one entry
    ] {
        whole(&array_of(some, element));
    }
    // Members, names and values by reference: two bytes each.
    whole(&[&b"\x11\x0a\x0b\x01\x03a\x01"[..], &b"\x00\x01".repeat(4000), b"\x01"].concat());
    // Sealed members by reference: a byte a name, a byte a value.
    whole(&[&b"\x11\x0a\x81\x80\x03\x01\x03a"[..], &[0x00; 1023], &[0x01; 1024]].concat());
    // Traits by reference.
    whole(&[&array_of(some, b"\x0a\x0b\x01\x01")[..9], &b"\x0a\x01\x01".repeat(some - 1)].concat());
    // A long text, and a thousand references to it: shared, not repeated.
    let long = [&b"\x06\x84\x01"[..], &[b'x'; 256]].concat();
    whole(&[&array_of(some, b"")[..], &long, &b"\x06\x00".repeat(some - 1)].concat());
    // AMF0: an array of arrays of one, objects, strings, the longest body, and the same of what is no text.
    whole(&[&b"\x0a\0\0\x03\xff"[..], &b"\x0a\0\0\0\x01\x05".repeat(1023)].concat());
    whole(&[&b"\x0a\0\0\x03\xff"[..], &b"\x03\0\0\x05\0\0\x09".repeat(1023)].concat());
    whole(&b"\x03\0\0\x09".repeat(MAX_VALUES));
    whole(&b"\x02\0\x01a".repeat(MAX_VALUES));
    for values in [MAX_VALUES / 32 + 1, MAX_VALUES / 2 + 1, MAX_VALUES] {
        whole(&b"\x06".repeat(values));
    }
    whole(&[&b"\x0c\0\0\xff\xfb"[..], &[b'x'; 0xFFFB]].concat());
    whole(&[&b"\x0c\0\0\xff\xfb"[..], &[0xFF; 0xFFFB]].concat());
    whole(&[&b"\x11\x06\x87\xfe\x63"[..], &[0xFF; 0xFFB1]].concat());
}

#[test]
fn nesting_costs_no_more() {
    for open in [&b"\x03\x00\x01a"[..], b"\x08\0\0\0\x01\x00\x01a", b"\x0a\0\0\0\x01", b"\x10\0\0\x00\x01a"] {
        peak(&open.repeat(32));
        peak(&open.repeat(MAX_COMMAND_BYTES / open.len()));
    }
    for open in [&b"\x09\x03\x01"[..], b"\x0a\x0b\x01\x03a", b"\x10\x03\x00\x01", b"\x11\x03\x00\x01"] {
        peak(&[&b"\x11"[..], &open.repeat(32)].concat());
        let deep = [&b"\x11"[..], &open.repeat(70_000)].concat();
        // Past the bytes of a command: one value, read without that bound.
        let info = measure(|| assert!(amf0::decode(&mut &deep[..]).is_err()));
        assert!(info.bytes_max <= 32 * 1024, "{} bytes for what is refused", info.bytes_max);
        let info = measure(|| assert!(amf3::decode(&mut &deep[1..]).is_err()));
        assert!(info.bytes_max <= 32 * 1024, "{} bytes for what is refused", info.bytes_max);
    }
}

/// Cloning, comparing, translating and writing what was decoded: bounded by [`segue_proto::amf::MAX_TEXT`] and
/// [`MAX_VALUES`], however references multiply.
#[test]
fn what_is_done_with_laughing_values_is_bounded() {
    // Each array holds the one before twice; and each object refers to one long text.
    let mut body = b"\x11\x09\x05\x01\x01\x01".to_vec();
    for index in 0..60_u8 {
        body.extend_from_slice(&[0x11, 0x09, 0x05, 0x01, 0x09, index * 2, 0x09, index * 2]);
    }
    let long = [&b"\x06\x84\x01"[..], &[b'x'; 256]].concat();
    let text = [&array_of(1000, b"")[..], &long, &b"\x06\x00".repeat(999)].concat();
    for body in [body, text] {
        let values = amf0::decode_all(&body).expect("within the bounds");
        let cloned = measure(|| drop(values.clone())).bytes_max;
        assert!(cloned <= MAX_FIXED + MAX_PER_BYTE * body.len() as u64, "{cloned} bytes to clone");
        let done = measure(|| {
            assert_eq!(values, values.clone());
            let mut out = Vec::new();
            values.iter().for_each(|value| value.encode(&mut out));
            assert!(out.len() <= 2 * segue_proto::amf::MAX_TEXT);
            assert!(format!("{values:?}").len() <= 1 << 20);
            let plain = amf0::plain(values.clone());
            plain.iter().for_each(|value| value.encode(&mut out));
        });
        println!("{} bytes in, {} at a time for all that", body.len(), done.bytes_max);
        assert!(done.bytes_max <= 4 << 20, "{} bytes", done.bytes_max);
    }
}

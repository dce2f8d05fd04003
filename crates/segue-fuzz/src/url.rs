//! URLs, as they come from servers in redirects and go-aways: what is taken is of the grammar, is taken again as the
//! same, and is never shown with the key.

use std::sync::LazyLock;

use segue_proto::url::{RtmpUrl, mask, split_query, stream_id, valid_app, valid_name, valid_stream_name};

/// A URL and, behind a newline, a reference to be resolved against it; lossy UTF-8.
pub fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (first, reference) = text.split_once('\n').unwrap_or((&text, ""));
    static BASE: LazyLock<RtmpUrl> =
        LazyLock::new(|| RtmpUrl::parse("rtmp://server.test/live/camera-key?token=1").expect("a constant"));
    let base = &*BASE;
    if let Ok(target) = base.resolve(first) {
        sound(&target);
        assert_eq!((&target.name, &target.query), (&base.name, &base.query), "the key is kept");
    }
    if let Ok(parsed) = RtmpUrl::parse_base(first) {
        assert_eq!(RtmpUrl::parse_base(&parsed.tc_url()).as_ref(), Ok(&parsed));
    }
    let Ok(parsed) = RtmpUrl::parse(first) else { return };
    sound(&parsed);
    let again = RtmpUrl::parse(&format!("{}/{}", parsed.tc_url(), parsed.stream_name()));
    assert_eq!(again.as_ref(), Ok(&parsed));
    assert_eq!(parsed.resolve("").as_ref(), Ok(&parsed), "no reference is no move");
    if let Ok(target) = parsed.resolve(reference) {
        sound(&target);
    }
}

fn sound(url: &RtmpUrl) {
    assert!(valid_app(&url.app) && valid_name(&url.name) && valid_stream_name(&url.stream_name()));
    assert!(!url.host.is_empty() && !url.host.contains(['/', '@', '?', '#']));
    let shown = url.to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    // A name that stands elsewhere in the URL too is no key.
    if url.name.chars().count() > 2 && !format!("{}{}", url.tc_url(), mask("xx")).contains(&url.name) {
        assert!(!shown.contains(&url.name), "{shown}");
    }
    assert_eq!(url.stream_id(), stream_id(split_query(&url.app).0, &url.name));
}

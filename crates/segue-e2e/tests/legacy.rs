//! Debian's ffmpeg 5.1, which announces neither dialect, as publisher and as viewer of a server that is drained. Nothing
//! it is sent is a signal; its stream is served as long as can be and cut after a complete GOP; the drain says so.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use segue_e2e::fault_proxy::{Ending, Network};
use segue_e2e::flv::{self, Tag};
use segue_e2e::ledger::{assert_exact, assert_leg_viewed, assert_verified, confirm};
use segue_e2e::segue::{self, SHORT, Server, stream_id};
use segue_e2e::source::{Clip, Kind, Publish, decodes_silently, ffmpeg_publish, ffmpeg_view};
use segue_e2e::{Bench, FaultProxy, wire};
use serde_json::Value;

const STREAM: &str = "live/cam";
const TO_THE_END: Duration = Duration::from_secs(40);
const RUNNING: usize = 60;
const GOP: Duration = Duration::from_secs(2);

/// No connection through this proxy was ever told to go, in either dialect.
fn never_signalled(proxy: &FaultProxy) {
    assert!(!proxy.connections().is_empty());
    for connection in proxy.connections() {
        let down = wire::messages(&connection.down().bytes);
        assert!(!down.is_empty(), "the capture holds messages");
        assert_eq!(wire::signals(&down), Vec::<&wire::Message>::new());
    }
}

fn media(path: &Path) -> Vec<Tag> {
    flv::read(path).into_iter().filter(Tag::is_media).collect()
}

/// H25. The publisher.
#[test]
fn h25_ffmpeg_is_never_signalled_and_cut_after_a_complete_gop() {
    let bench = Bench::new("ffmpeg-cut");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let publishing = FaultProxy::start(a.rtmp, Network::default());
    let viewing = FaultProxy::start(a.rtmp, Network::default());
    let clip = Clip::make(Kind::Av, 20);
    let (mut source, sent) = ffmpeg_publish(&bench, "source", &clip, &publishing.url(STREAM));
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let out = bench.path("view.flv");
    let mut view = ffmpeg_view(&bench, "view", &viewing.url(STREAM), &out);
    a.wait_recorded(STREAM, 3 * RUNNING, SHORT);

    let deadline = Duration::from_secs(9);
    let told = Instant::now();
    // A target changes nothing for who cannot be told.
    let to = b.base();
    let drain =
        a.drain(&bench, "drain", &["--to", &to, "--settle", "0", "--deadline", "9", "--json"], TO_THE_END);
    assert_eq!(drain.code, 3, "{drain:?}");
    let drained: Value = serde_json::from_str(&drain.stdout).expect("drain --json prints JSON");
    let records = segue::records(&drained);
    let [record] = records else { panic!("one stream: {drained}") };
    assert_eq!(record["stream"], *stream_id(STREAM), "it names what was cut");
    assert_eq!((&record["signal"], &record["result"]), (&"none".into(), &"cut".into()), "{record}");
    assert_eq!(drained["viewers_ended"], 1, "{drained}");

    // Served until at most one GOP before the deadline, and not beyond it.
    let ended = publishing.connections()[0].down();
    assert_eq!(ended.ending, Some(Ending::Eof), "the server closes, it does not reset");
    let cut_after = ended.marks.last().unwrap().0 - told;
    let slack = Duration::from_millis(500);
    assert!(cut_after + GOP + slack >= deadline && cut_after <= deadline + slack, "cut after {cut_after:?}");
    never_signalled(&publishing);
    never_signalled(&viewing);

    // The viewer reaches the end of the leg by itself, and has what was recorded since it came.
    view.succeeds(SHORT);
    source.wait(TO_THE_END);
    let legs = a.recordings(STREAM);
    assert_eq!(legs.len(), 1, "{legs:?}");
    assert!(b.recordings(STREAM).is_empty());
    let recorded = media(&legs[0]).len();
    let sent_media = media(&sent);
    let next = sent_media.get(recorded).expect("the source went on");
    assert!(next.is_keyframe(), "cut before a message of {} ms that is no keyframe", next.timestamp);
    assert_verified(&bench, &sent, &legs, &[]);
    confirm(&bench, &sent, &legs, &[]);
    confirm(&bench, &legs[0], std::slice::from_ref(&out), &["--no-overlap"]);
    assert_leg_viewed(&legs[0], &out);
    decodes_silently(&bench, &out);
}

/// The plain form of the drain names the cut stream too, for a person.
#[test]
fn the_drain_prints_a_line_for_what_it_cut() {
    let bench = Bench::new("cut-line");
    let a = Server::start(&bench, "a");
    let (_source, _) = ffmpeg_publish(&bench, "source", &Clip::make(Kind::Av, 20), &a.url(STREAM));
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let drain = a.drain(&bench, "drain", &["--settle", "0", "--deadline", "3"], TO_THE_END);
    assert_eq!(drain.code, 3, "{drain:?}");
    let id = stream_id(STREAM);
    let named = drain.stdout.lines().any(|line| line.contains(&id) && line.contains("cut"));
    assert!(named, "{drain:?}");
    assert!(!drain.stdout.contains("cam") && !drain.stderr.contains("live/cam"), "no key: {drain:?}");
}

/// H28. A viewer that cannot follow, of a publisher that can: it is served to the end of the leg and closed cleanly.
#[test]
fn h28_an_unaware_viewer_is_served_to_the_end_of_the_leg() {
    let bench = Bench::new("ffmpeg-viewer");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let viewing = FaultProxy::start(a.rtmp, Network::default());
    let args = ["--announce", "reconnect"];
    let mut publish = Publish::live(&bench, "pub", &Clip::make(Kind::Av, 9), &a.url(STREAM), &args);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let out = bench.path("view.flv");
    let mut view = ffmpeg_view(&bench, "view", &viewing.url(STREAM), &out);
    // ffmpeg looks at a stream for a while before it writes; it is there when the server sends to it.
    segue_e2e::bench::wait_for("the viewer is served", SHORT, || {
        viewing.connections().first().filter(|c| c.down().bytes.len() > 20_000).map(drop)
    });
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0", "--json"], TO_THE_END);
    assert_eq!(drain.code, 0, "a viewer that cannot follow is no failure: {drain:?}");
    let drained: Value = serde_json::from_str(&drain.stdout).expect("drain --json prints JSON");
    assert_eq!(drained["viewers_ended"], 1, "{drained}");
    view.succeeds(SHORT);
    publish.succeeds(TO_THE_END);
    never_signalled(&viewing);
    // Told that the stream is over, ffmpeg closes by itself: the server's end may come too late to be seen.
    let (up, down) = (viewing.connections()[0].up(), viewing.connections()[0].down());
    let left_first = down.ending.is_none() && up.ending.is_some();
    assert!(down.ending == Some(Ending::Eof) || left_first, "{:?}, then {:?}", up.ending, down.ending);
    assert_exact(&bench, &publish.sent, &[a.recordings(STREAM), b.recordings(STREAM)].concat());
    let leg = &a.recordings(STREAM)[0];
    confirm(&bench, leg, std::slice::from_ref(&out), &["--no-overlap"]);
    assert_leg_viewed(leg, &out);
    decodes_silently(&bench, &out);
}

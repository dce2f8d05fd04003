#!/usr/bin/env python3
"""The second way: what `segue verify` says, found without any Segue code.

    framehash.py [--whole] [--no-overlap] [--offset-per-leg] SENT.flv RECEIVED.flv...

FFmpeg demuxes each file and hashes each packet (its framehash muxer); this script compares the lists, stream type by
stream type: payload, decode timestamp up to one offset (or one a leg), distance from decode to presentation time.
Last line: `missing N duplicated N overlap N extra N reordered N`. Exit 0 if all is well, 3 if not, 1 if a file cannot
be read, 2 for wrong usage.

It is not `verify` again: packets are FFmpeg's, without FLV's tag headers and without configuration, and in the order
of their timestamps, so that the order between tracks is unknown. An altered payload is one missing and one extra. Only
audio and video are compared: FFmpeg makes a subtitle of any metadata whose timestamp is not 0.
"""

import argparse
import collections
import os
import subprocess
import sys

WRAP = 1 << 32
# Tracks are interleaved loosely: near the edges of what was received, a track may start later or end sooner.
EDGE_MS = 1000
# An FLV file up to this size holds a header and no tag.
EMPTY = 13

Packet = collections.namedtuple("Packet", "kind dts cts hash")


class Unreadable(Exception):
    """FFmpeg cannot read a file."""


def packets(path):
    """All packets of a file, in the order that FFmpeg gives them; an empty list for a file without one."""
    if not os.path.isfile(path):
        raise Unreadable(f"{path}: no such file")
    if os.path.getsize(path) <= EMPTY:
        return []
    with open(path, "rb") as file:
        if file.read(3) != b"FLV":
            raise Unreadable(f"{path}: not an FLV file")
    # -copyts: timestamps as they stand in the file. -copyinkf: a leg may start between keyframes. discardcorrupt: of a
    # tag cut short there is nothing to compare. The long probe finds a track that starts late.
    command = (
        "ffmpeg -nostdin -v error -probesize 100M -analyzeduration 60M -fflags +discardcorrupt -copyts -i".split()
        + ["file:" + path]
        + "-map 0 -copy_unknown -c copy -copyinkf -f framehash -hash sha256 -".split()
    )
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        if holds_nothing(path):
            return []
        reason = done.stderr.strip().splitlines() or [f"ffmpeg exits {done.returncode}"]
        raise Unreadable(f"{path}: {reason[-1]}")
    kinds, found, held = {}, [], {}
    for line in done.stdout.splitlines():
        if line.startswith("#media_type "):
            number, kind = line.removeprefix("#media_type ").split(": ")
            kinds[int(number)] = f"{kind}{sum(k.startswith(kind) for k in kinds.values())}"
        elif line and not line.startswith("#"):
            number, dts, pts, _duration, size, digest = [field.strip() for field in line.split(",")[:6]]
            kind, dts, pts = kinds[int(number)], int(dts), int(pts)
            # FFmpeg makes an empty packet of an E-RTMP configuration that comes late.
            if not kind.startswith(("audio", "video")) or int(size) == 0:
                continue
            # FFmpeg raises a timestamp that goes backwards to the one before, and says so only in its log.
            clamped = held.get(kind) == dts
            held[kind] = dts
            found.append((Packet(kind, dts % WRAP, (pts - dts) % WRAP, digest), clamped))
    return found


def holds_nothing(path):
    """Whether a file is FLV without a packet (nothing but configuration), from which FFmpeg can copy nothing."""
    command = "ffprobe -v quiet -show_entries packet=codec_type -of csv=p=0".split() + ["file:" + path]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode == 0 and "video" not in done.stdout and "audio" not in done.stdout


def find_offset(sent, received):
    """The offset under which most of the received packets were sent as they are; 0 if none were."""
    by_payload = collections.defaultdict(list)
    for packet in sent:
        by_payload[packet.kind, packet.hash].append(packet.dts)
    votes = collections.Counter({0: 0})
    for rarest in (1, 4, None):
        for packet in received if rarest else received[:20]:
            times = by_payload.get((packet.kind, packet.hash), [])
            if rarest is None or len(times) <= rarest:
                votes.update((packet.dts - dts) % WRAP for dts in times)
        if len(votes) > 1:
            break
    known = set(sent)
    tried = [0] + [offset for offset, _ in votes.most_common(20)]
    return max(tried, key=lambda offset: sum(moved(p, offset) in known for p in received))


def moved(packet, offset):
    """A received packet on the source's timeline."""
    return packet._replace(dts=(packet.dts - offset) % WRAP)


def signed(ms):
    """A difference modulo 2^32 as a number around 0."""
    return (ms + WRAP // 2) % WRAP - WRAP // 2


def runs(previous, leg):
    """By kind, how many of the leg's first packets are the previous leg's last ones; none unless all kinds agree."""
    found = {}
    for kind in {p.kind for p in leg}:
        old = [p for p in previous if p.kind == kind]
        new = [p for p in leg if p.kind == kind]
        starts = [i for i, packet in enumerate(old) if new and packet == new[0]]
        fits = [len(old) - i for i in starts if old[i:] == new[: len(old) - i]]
        found[kind] = max(fits, default=0)
    firsts = [next(p.dts for p in leg if p.kind == kind) for kind, n in found.items() if n]
    if not firsts:
        return {}
    begin = max(firsts, key=lambda dts: signed(dts - firsts[0]))
    for kind in {p.kind for p in previous}:
        inside = sum(p.kind == kind and signed(p.dts - begin) > EDGE_MS for p in previous)
        if inside > found.get(kind, 0):
            return {}
    return found


def compare(sent, legs, whole=False, offset_per_leg=False):
    """The counts by name; `sent` and each of `legs` as `packets` gives them."""
    source = [packet for packet, _ in sent]
    if offset_per_leg:
        offsets = [find_offset(source, [packet for packet, _ in leg]) for leg in legs]
    else:
        offsets = [find_offset(source, [packet for leg in legs for packet, _ in leg])] * len(legs)

    free = collections.defaultdict(collections.deque)
    for place, packet in enumerate(source):
        free[packet].append(place)
    known = set(source)
    counts = dict.fromkeys(("missing", "duplicated", "overlap", "extra", "reordered"), 0)
    arrived, unknown, previous = [], [], []
    for leg, offset in zip(legs, offsets):
        shifted = [moved(packet, offset) for packet, _ in leg]
        left = runs(previous, shifted)
        counts["overlap"] += sum(left.values())
        previous = shifted or previous
        for packet, (_, clamped) in zip(shifted, leg):
            if left.get(packet.kind):
                left[packet.kind] -= 1
            elif packet not in known:
                unknown.append((len(arrived), packet, clamped))
                arrived.append(None)
            elif free[packet]:
                arrived.append(free[packet].popleft())
            else:
                counts["duplicated"] += 1
    # A packet that came late has lost its timestamp to FFmpeg's clamping. Its payload tells which it is, if that one
    # came nowhere else.
    missing = {place for places in free.values() for place in places}
    for order, packet, clamped in unknown:
        same = [p for p in missing if clamped and (source[p].kind, source[p].hash) == (packet.kind, packet.hash)]
        same = [p for p in same if signed(source[p].dts - packet.dts) < 0]
        if same:
            arrived[order] = max(same)
            missing.discard(max(same))
        else:
            counts["extra"] += 1

    furthest, first = {}, {}
    for place in arrived:
        if place is not None:
            kind = source[place].kind
            counts["reordered"] += place < furthest.get(kind, place)
            furthest[kind] = max(place, furthest.get(kind, place))
            first[kind] = min(place, first.get(kind, place))
    if not whole and first:
        begin, end = source[min(first.values())].dts, source[max(furthest.values())].dts

        def due(place):
            kind, dts = source[place].kind, source[place].dts
            own = first.get(kind, len(source)) < place < furthest.get(kind, -1)
            return own or (signed(dts - begin) > EDGE_MS and signed(end - dts) > EDGE_MS)

        missing = {place for place in missing if due(place)}
    counts["missing"] = len(missing)
    return counts, [signed(offset) for offset in offsets]


def main(argv=None):
    """Exit code 0, 1 or 3."""
    parser = argparse.ArgumentParser(description="Compare FLV files packet by packet, by FFmpeg's hashes.")
    parser.add_argument("sent")
    parser.add_argument("received", nargs="+")
    parser.add_argument("--whole", action="store_true", help="all that was sent is due")
    parser.add_argument("--no-overlap", action="store_true", help="an overlap of legs is a fault")
    parser.add_argument("--offset-per-leg", action="store_true", help="each leg has an offset of its own")
    args = parser.parse_args(argv)
    try:
        sent = packets(args.sent)
        legs = [packets(path) for path in args.received]
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 1
    counts, offsets = compare(sent, legs, args.whole, args.offset_per_leg)
    kinds = {packet.kind for packet, _ in sent}
    absent = sorted(kinds - {packet.kind for leg in legs for packet, _ in leg})
    received = sum(map(len, legs))
    print(f"sent {len(sent)} received {received} offsets_ms", *offsets)
    if absent:
        print("absent", *absent)
    print(*(f"{name} {count}" for name, count in counts.items()))
    if args.no_overlap is False:
        counts.pop("overlap")
    return 3 if absent or not received or any(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

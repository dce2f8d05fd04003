"""Does framehash.py see what it is there to see? Clips made by FFmpeg, cut and damaged tag by tag."""

import io
import os
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import framehash  # noqa: E402

HEADER = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
AUDIO, VIDEO = 8, 9
PICTURE = "-f lavfi -i testsrc2=d=2:r=30:s=160x120".split()
X264 = "-c:v libx264 -preset ultrafast -bf 2 -g 15".split()
MUSIC = ["-f", "lavfi", "-i", "aevalsrc=sin(t*t*3000):d=2:s=44100"]
SILENCE = "-f lavfi -i anullsrc=r=44100:d=2".split()


def make(*arguments):
    """The tags of a clip, as lists [type, timestamp, body]."""
    command = ["ffmpeg", "-nostdin", "-v", "error", *arguments, "-t", "2", "-f", "flv", "-"]
    data = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    tags, at = [], len(HEADER)
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        time = int.from_bytes(data[at + 7 : at + 8] + data[at + 4 : at + 7], "big")
        tags.append([data[at], time, data[at + 11 : at + 11 + size]])
        at += 15 + size
    return tags


def is_media(tag):
    """Neither metadata nor a sequence header, nor an end of sequence."""
    return tag[0] in (AUDIO, VIDEO) and tag[2][1] == 1


class Framehash(unittest.TestCase):
    """Each test writes legs and asserts the counts that are not 0."""

    @classmethod
    def setUpClass(cls):
        cls.both = make(*PICTURE, *MUSIC, *X264, "-c:a", "aac")
        cls.quiet = make(*PICTURE, *SILENCE, *X264, "-c:a", "aac")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, tags):
        """A file of these tags, from its configuration on."""
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            out.write(HEADER)
            for kind, time, body in tags:
                time = time.to_bytes(4, "big")
                head = bytes([kind]) + len(body).to_bytes(3, "big") + time[1:] + time[:1] + b"\0\0\0"
                out.write(head + body + (len(head) + len(body)).to_bytes(4, "big"))
        return path

    def split(self, tags):
        """Configuration and media."""
        return [t for t in tags if not is_media(t) and t[2][1] != 2], [t for t in tags if is_media(t)]

    def run_on(self, sent, legs, *flags):
        """Exit code and the counts other than 0."""
        paths = [self.write(f"{i}.flv", leg) for i, leg in enumerate([sent, *legs])]
        return self.run_paths(paths, *flags)

    def run_paths(self, paths, *flags):
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            code = framehash.main([*flags, *paths])
        self.said = out.getvalue()
        words = self.said.strip().splitlines()[-1].split()
        if "missing" not in words:
            return code, None
        return code, {name: int(n) for name, n in zip(words[::2], words[1::2]) if n != "0"}

    def each(self, change, expected, flags=("--whole",)):
        """Music and silence, timestamps as they are, far from zero, and across 2^32."""
        for tags in (self.both, self.quiet):
            config, media = self.split(tags)
            for by in (0, 17_000_000, 2**32 - 700):
                received = [[k, (t + by) % 2**32, b] for k, t, b in change(config, media)]
                with self.subTest(silence=tags is self.quiet, by=by):
                    code, counts = self.run_on(config + media, [received], *flags)
                    self.assertEqual((code, counts), (3 if expected else 0, expected), self.said)

    @staticmethod
    def nth(media, kind, n):
        """Where the n-th of a kind stands."""
        return [i for i, tag in enumerate(media) if tag[0] == kind][n]

    def test_all_of_it(self):
        self.each(lambda config, media: config + media, {})

    def test_dropped(self):
        for kind in (AUDIO, VIDEO):
            for n in (0, 20):
                self.each(
                    lambda config, media: config + [t for i, t in enumerate(media) if i != self.nth(media, kind, n)],
                    {"missing": 1},
                )

    def test_repeated(self):
        def change(config, media):
            i = self.nth(media, VIDEO, 20)
            return config + media[: i + 1] + media[i:]

        self.each(change, {"duplicated": 1})

    def test_swapped(self):
        def change(config, media):
            media = list(media)
            i, j = self.nth(media, VIDEO, 20), self.nth(media, VIDEO, 21)
            media[i], media[j] = media[j], media[i]
            return config + media

        self.each(change, {"reordered": 1})

    def test_flipped(self):
        def change(config, media):
            media = list(media)
            i = self.nth(media, AUDIO, 20)
            kind, time, body = media[i]
            media[i] = [kind, time, body[:-1] + bytes([body[-1] ^ 0x40])]
            return config + media

        self.each(change, {"missing": 1, "extra": 1})

    def test_composition_time_changed(self):
        def change(config, media):
            media = list(media)
            i = self.nth(media, VIDEO, 20)
            kind, time, body = media[i]
            media[i] = [kind, time, body[:4] + bytes([body[4] ^ 0x20]) + body[5:]]
            return config + media

        self.each(change, {"missing": 1, "extra": 1})

    def test_shifted(self):
        def change(config, media):
            i = self.nth(media, VIDEO, 20)
            return config + media[:i] + [[VIDEO, media[i][1] + 4, media[i][2]]] + media[i + 1 :]

        self.each(change, {"missing": 1, "extra": 1})

    def test_tail_cut(self):
        self.each(lambda config, media: config + media[:-9], {"missing": 9})
        self.each(lambda config, media: config + media[:-9], {}, flags=())

    def test_cut_inside_a_tag(self):
        config, media = self.split(self.both)
        path = self.write("cut.flv", config + media)
        os.truncate(path, os.path.getsize(path) - 20)
        self.assertEqual(self.run_paths([self.write("s.flv", config + media), path], "--whole"), (3, {"missing": 1}))

    def test_a_start_between_keyframes(self):
        self.each(lambda config, media: config + media[40:], {"missing": 40})
        self.each(lambda config, media: config + media[40:], {}, flags=())

    def test_track_removed(self):
        for kind in (AUDIO, VIDEO):
            config, media = self.split(self.both)
            lost = sum(tag[0] == kind for tag in media)
            received = [tag for tag in config + media if tag[0] != kind]
            self.assertEqual(self.run_on(config + media, [received], "--whole"), (3, {"missing": lost}))
            self.assertIn("absent", self.said)

    def test_nothing_received(self):
        config, media = self.split(self.both)
        for leg in ([], config):
            self.assertEqual(self.run_on(config + media, [leg]), (3, {"missing": len(media)}), self.said)
        empty = os.path.join(self.folder, "empty.flv")
        open(empty, "wb").close()
        sent = self.write("s.flv", config + media)
        self.assertEqual(self.run_paths([sent, empty]), (3, {"missing": len(media)}))

    def test_legs(self):
        for tags in (self.both, self.quiet):
            config, media = self.split(tags)
            for cut in (self.nth(media, VIDEO, 30), self.nth(media, VIDEO, 30) + 7):
                legs = [config + media[:cut], [], config + media[cut:]]
                self.assertEqual(self.run_on(config + media, legs, "--whole", "--no-overlap"), (0, {}), self.said)

    def test_overlap(self):
        for tags in (self.both, self.quiet):
            config, media = self.split(tags)
            legs = [config + media[:80], config + media[60:110], config + media[105:]]
            self.assertEqual(self.run_on(config + media, legs, "--whole"), (0, {"overlap": 25}), self.said)
            self.assertEqual(self.run_on(config + media, legs, "--whole", "--no-overlap"), (3, {"overlap": 25}))
            legs = [config + media, config + media[60:80]]
            self.assertEqual(self.run_on(config + media, legs, "--whole"), (3, {"duplicated": 20}), self.said)

    def test_restarted_legs(self):
        for tags in (self.both, self.quiet):
            config, media = self.split(tags)
            cut = self.nth(media, VIDEO, 30)
            start = media[cut][1] - 50
            restarted = [[k, t - start, b] for k, t, b in media[cut:]]
            legs = [config + media[:cut], config + restarted]
            self.assertEqual(self.run_on(config + media, legs, "--whole", "--offset-per-leg"), (0, {}), self.said)
            self.assertEqual(self.run_on(config + media, legs, "--whole")[0], 3)

    def test_one_track_only(self):
        for arguments in ((*PICTURE, *X264), (*MUSIC, "-c:a", "aac"), (*SILENCE, "-c:a", "aac")):
            config, media = self.split(make(*arguments))
            legs = [config + media[:30], config + media[30:]]
            self.assertEqual(self.run_on(config + media, legs, "--whole", "--no-overlap"), (0, {}), self.said)
            legs = [config + media[:30], config + media[31:]]
            self.assertEqual(self.run_on(config + media, legs), (3, {"missing": 1}), self.said)

    def test_unreadable(self):
        path = os.path.join(self.folder, "bad.flv")
        with open(path, "wb") as out:
            out.write(b"GIF89a" * 20)
        self.assertEqual(self.run_paths([path, path]), (1, None))
        self.assertEqual(self.run_paths([os.path.join(self.folder, "none.flv"), path]), (1, None))


if __name__ == "__main__":
    unittest.main()

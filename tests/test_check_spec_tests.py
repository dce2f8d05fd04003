"""Does check-spec-tests see what it is there to see? Tables and logs made here, run through the script itself."""

import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scripts", "check-spec-tests")
HEAD = "# A table\n\n| id | requirement | level | binds | held by |\n|---|---|---|---|---|\n"
LOG = """   Compiling segue-proto v0.1.0
     Running unittests src/lib.rs (target/debug/deps/segue_proto-0123456789abcdef)

running 5 tests
test chunk::tests::a ... ok
test chunk::tests::b ... FAILED
test chunk::tests::c ... ignored
test chunk::tests::loud ... a child's words
and more of themok
test chunk::tests::d - should panic ... ok

test result: FAILED. 2 passed; 1 failed
     Running tests/wire.rs (target/debug/deps/wire-fedcba9876543210)
test a ... ok
test cut ... \
"""
LEFT_OUT = """     Running tests/obs.rs (target/debug/deps/obs-0123456789abcdef)
obs_moves: test
1 test, 0 benchmarks
"""


def row(held_by, name="RTMP-5.1-1", requirement="does it", level="MUST", binds="both"):
    return f"| {name} | {requirement} | {level} | {binds} | {held_by} |\n"


class CheckSpecTests(unittest.TestCase):
    def run_on(self, *rows, log=LOG, text=None):
        """Exit code and output for a table of these rows."""
        with tempfile.TemporaryDirectory() as folder:
            paths = {}
            for name, content in (("t.md", text or HEAD + "".join(rows)), ("ran", log), ("left", LEFT_OUT)):
                paths[name] = os.path.join(folder, name)
                with open(paths[name], "w", encoding="utf-8") as file:
                    file.write(content)
            command = [sys.executable, SCRIPT, "--ran", paths["ran"], "--left-out", paths["left"]]
            done = subprocess.run([*command, "--tables", paths["t.md"]], capture_output=True, text=True)
            self.assertEqual(done.stderr, "")
            return done.returncode, done.stdout

    def assert_fault(self, expected, *rows, **kwargs):
        code, output = self.run_on(*rows, **kwargs)
        self.assertEqual(code, 1, output)
        self.assertIn(expected, output)

    def test_tests_that_passed_and_reasons_are_enough(self):
        code, output = self.run_on(
            row("`segue_proto::chunk::tests::a`, `wire::a`"),
            row("`segue_proto::chunk::tests::loud`", name="RTMP-5.1-2", level="SHOULD NOT"),
            row("`segue_proto::chunk::tests::d`", name="RTMP-5.1-3", binds="client"),
            row("n/a: there are none", name="GOAWAY-X-1"),
        )
        self.assertEqual((code, output), (0, "3 rows held by 4 tests, 1 not applicable\n"))

    def test_a_test_must_be_there_and_pass(self):
        self.assert_fault("no such test", row("`segue_proto::chunk::tests::gone`"))
        self.assert_fault("no such test", row("`chunk::tests::a`"))
        self.assert_fault("no such test", row("`segue_proto::a`"))
        self.assert_fault("failed", row("`segue_proto::chunk::tests::b`"))
        self.assert_fault("ignored", row("`segue_proto::chunk::tests::c`"))
        self.assert_fault("not finished", row("`wire::cut`"))
        self.assert_fault("failed", row("`wire::a`, `segue_proto::chunk::tests::b`"))

    def test_a_run_that_failed_is_not_made_good_by_another(self):
        again = LOG.replace("a ... ok", "a ... FAILED", 1)
        for log in (LOG + "\n" + again, again + "\n" + LOG):
            self.assert_fault("failed", row("`segue_proto::chunk::tests::a`"), log=log)

    def test_what_is_left_out_is_told_and_nothing_else_is(self):
        code, output = self.run_on(row("`obs::obs_moves`, `wire::a`"))
        self.assertEqual(code, 0, output)
        self.assertIn("1 rows not run here: RTMP-5.1-1", output)
        self.assert_fault("failed", row("`obs::obs_moves`, `segue_proto::chunk::tests::b`"))
        self.assert_fault("no such test", row("`obs::another`"))

    def test_what_ran_after_all_counts_by_its_result(self):
        log = LEFT_OUT.replace("obs_moves: test", "test obs_moves ... FAILED")
        self.assert_fault("failed", row("`obs::obs_moves`"), log=log)

    def test_a_row_names_tests_or_a_reason(self):
        for held_by in ("", "n/a:", "n/a", "pending: the media branch", "wire::a", "`wire::a` pending"):
            self.assert_fault("neither tests nor", row(held_by))

    def test_ids_are_unique_and_cells_are_of_their_kind(self):
        good = "`wire::a`"
        self.assert_fault("there twice", row(good), row(good))
        self.assert_fault("no id", row(good, name="5.1"))
        self.assert_fault("requires nothing", row(good, requirement=""))
        self.assert_fault("no level", row(good, level="MAY"))
        self.assert_fault("nobody to bind", row(good, binds="peer"))
        self.assert_fault("6 columns", row("`wire::a` | more"))

    def test_a_table_has_its_columns_and_rows(self):
        self.assert_fault("no rows", text="# Nothing\n")
        self.assert_fault("no rows", text=HEAD)
        self.assert_fault("columns are not", text=HEAD.replace("binds", "who") + row("`wire::a`"))

    def test_colours_are_no_obstacle(self):
        log = "\x1b[1m\x1b[32m     Running\x1b[0m tests/wire.rs (target/debug/deps/wire-fedcba9876543210)\n"
        log += "test a ... \x1b[32mok\x1b[m\n"
        self.assertEqual(self.run_on(row("`wire::a`"), log=log)[0], 0)


if __name__ == "__main__":
    unittest.main()

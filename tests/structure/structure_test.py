"""Shows that structure.py bites: each rule is broken once in a small tree of its own, and reported."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import structure  # noqa: E402

CONTRIBUTING = """
| room | what it is | may include |
|---|---|---|
| `flowspec/` | the language | — |
| `policies/` | the rules | `flowspec` |
| `proto/` | the wire | — |
| `daemon/run/` | the core | `flowspec`, `policies` |
| `daemon/store/` | the log | `daemon/run` |
| `daemon/` | main.cc | `daemon/store` |
| `cli/` | the terminal | `flowspec`, `proto` |

More text.
"""
HEADER = "// A header.\n#pragma once\n"
TREE = {
    "CONTRIBUTING.md": CONTRIBUTING,
    "flowspec/flow.h": HEADER,
    "flowspec/CMakeLists.txt": "beamline_room(NAME flowspec SOURCES flow.cc LINKS yaml-cpp)\n",
    "proto/CMakeLists.txt": "add_library(proto STATIC)\n",
    "daemon/run/state.h": HEADER + '#include "flowspec/flow.h"\n',
    "daemon/run/state.cc": '// Times are arguments, never absl::Now().\n#include "daemon/run/state.h"\n',
    "daemon/run/CMakeLists.txt": "beamline_room(NAME run SOURCES state.cc LINKS flowspec)\n",
    "daemon/store/log.h": HEADER + '#include "daemon/run/state.h"\n#include "flowspec/flow.h"\n',
    "daemon/store/CMakeLists.txt": "beamline_room(NAME store SOURCES log.cc\n  LINKS run sqlite)\n",
    "daemon/main.cc": '// The daemon.\n#include "daemon/store/log.h"\n',
    "daemon/CMakeLists.txt": "add_executable(beamlined main.cc)\n"
                             "target_link_libraries(beamlined PRIVATE store)  # all of them\n",
    "cli/main.cc": '// The terminal.\n#include "beamline/v1/run.pb.h"\n',
    "cli/CMakeLists.txt": "add_executable(beamline main.cc)\n"
                          "target_link_libraries(beamline PRIVATE flowspec proto)\n",
    "tests/all_test.cc": '// Tests may include anything.\n#include "daemon/store/log.h"\n',
    "build/anything.h": "not ours",
}


class StructureTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        for folder in structure.FOLDERS:
            (self.root / folder).mkdir()
        for name in structure.ROOT_FILES:
            self.write(name, "")
        for name, text in TREE.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def append(self, name, text):
        path = self.root / name
        self.write(name, path.read_text(encoding="utf-8") + text)

    def expect(self, *expected):
        self.assertEqual(structure.violations(self.root), list(expected))

    def test_an_orderly_tree_has_no_violations(self):
        self.expect()

    def test_a_room_includes_what_is_above_it(self):
        self.append("flowspec/flow.h", '#include "daemon/run/state.h"\n')
        self.expect("flowspec/flow.h: flowspec must not include daemon/run/state.h",
                    "flowspec/flow.h: includes daemon/run/state.h, but flowspec does not link "
                    "daemon/run")

    def test_the_terminal_includes_the_daemon(self):
        self.append("cli/main.cc", '#include "daemon/store/log.h"\n')
        self.append("cli/CMakeLists.txt", "target_link_libraries(beamline PRIVATE store)\n")
        self.expect("cli/main.cc: cli must not include daemon/store/log.h",
                    "CMake target beamline: cli must not link store")

    def test_the_core_includes_a_generated_message(self):
        self.append("daemon/run/state.h", '#include "beamline/v1/event.pb.h"\n')
        self.expect("daemon/run/state.h: daemon/run must not include beamline/v1/event.pb.h",
                    "daemon/run/state.h: includes beamline/v1/event.pb.h, but daemon/run does not "
                    "link proto")

    def test_a_room_links_what_it_must_not_include(self):
        self.write("daemon/run/CMakeLists.txt",
                   "beamline_room(NAME run SOURCES state.cc LINKS flowspec\n  PRIVATE proto)\n")
        self.expect("CMake target run: daemon/run must not link proto")

    def test_a_room_includes_what_it_does_not_link(self):
        self.write("policies/policy.h", HEADER)
        self.append("daemon/run/state.cc", '#include "policies/policy.h"\n')
        self.expect("daemon/run/state.cc: includes policies/policy.h, but daemon/run does not link "
                    "policies")

    def test_a_table_that_goes_in_a_circle(self):
        self.write("CONTRIBUTING.md", CONTRIBUTING.replace("| the language | —",
                                                           "| the language | `policies`"))
        self.expect("CONTRIBUTING.md: flowspec and policies may include each other",
                    "CONTRIBUTING.md: policies and flowspec may include each other")

    def test_a_file_outside_the_rooms(self):
        self.write("proto/notes.h", HEADER)
        self.write("examples/odd.cc", "// Lies nowhere.\n")
        self.write("daemon/new/room.h", HEADER)
        self.expect("examples/odd.cc: lies in no room of the table",
                    "daemon/new/room.h: lies in no room of the table")

    def test_an_include_without_its_path(self):
        self.append("flowspec/flow.h", '#include "flow2.h"\n')
        self.expect('flowspec/flow.h: includes "flow2.h"; write the path from the root')

    def test_a_file_that_grew(self):
        self.append("daemon/main.cc", "\n" * 600)
        self.expect("daemon/main.cc: 602 lines, over 600; split it")

    def test_an_exception_that_is_no_longer_needed(self):
        structure.LONGER["daemon/main.cc"] = 700
        self.addCleanup(structure.LONGER.clear)
        self.expect("daemon/main.cc: shorter than its entry in LONGER says; lower or remove the "
                    "entry")

    def test_a_header_without_guard_or_comment(self):
        self.write("proto/bare.h", "#include <string>\n")
        self.write("cli/main.cc", "int main() {}\n")
        self.write("flowspec/flow.cc", '#include "flowspec/flow.h"\n')
        self.expect("proto/bare.h: starts without a comment that says what it is for",
                    "proto/bare.h: has no #pragma once",
                    "cli/main.cc: starts without a comment that says what it is for")

    def test_a_heavy_header_in_a_header(self):
        for name in ["nlohmann/json.hpp", "yaml-cpp/yaml.h", "grpcpp/server.h", "CLI/CLI.hpp",
                     "spdlog/spdlog.h", "valijson/validator.hpp"]:
            with self.subTest(name):
                self.write("flowspec/flow.h", HEADER + f"#include <{name}>\n")
                self.expect(f"flowspec/flow.h: a header includes {name}, which is for .cc files "
                            "only")

    def test_an_impure_core(self):
        self.append("daemon/run/state.cc",
                    "#include <chrono>\n#include <unordered_map>\nauto t = absl::Now();\n")
        self.expect("daemon/run/state.cc: the core must not include <chrono>",
                    "daemon/run/state.cc: the core must not include <unordered_map>",
                    "daemon/run/state.cc: the core must not use absl::Now")

    def test_private_notes(self):
        self.write("examples/a.flow.yaml", "# see ../sh" "ared/x\n")
        self.expect("examples/a.flow.yaml: mentions notes that readers of this repository do not "
                    "have")

    def test_the_top_of_the_tree(self):
        self.write("utils/strings.h", HEADER)
        self.write("NOTES.txt", "")
        (self.root / "LICENSE").unlink()
        self.expect("utils/strings.h: lies in no room of the table",
                    "NOTES.txt: nothing else belongs at the top of the tree",
                    "utils: nothing else belongs at the top of the tree",
                    "LICENSE: missing at the top of the tree")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Turns the page's files into the table of api/page.h. Run by meson: embed.py OUTPUT FILE…"""
import pathlib
import sys

TYPES = {".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def rows(data):
    for at in range(0, len(data), 20):
        yield "    " + "".join(f"{byte}," for byte in data[at:at + 20])


def main(output, *names):
    lines = ["/* Made by embed.py. */", '#include "api/page.h"', ""]
    table = []
    for i, name in enumerate(names):
        path = pathlib.Path(name)
        lines += [f"static const unsigned char file_{i}[] = {{", *rows(path.read_bytes()), "};"]
        table.append(f'    {{SLICE_INIT("{path.name}"), SLICE_INIT("{TYPES[path.suffix]}"), '
                     f"file_{i}, sizeof file_{i}}},")
    lines += ["", "#define SLICE_INIT(text) {text, sizeof(text) - 1}",
              "const struct page_file page_files[] = {", *table, "};",
              f"const size_t page_files_count = {len(names)};"]
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


main(*sys.argv[1:])

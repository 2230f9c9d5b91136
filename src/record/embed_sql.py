# SPDX-License-Identifier: Apache-2.0
"""Turns migrations into the table of record/mariadb_schema.h. Run by meson: embed_sql.py OUTPUT FILE…

Files are NNNN_name.sql, numbered from 0001 without a gap.
"""
import hashlib
import pathlib
import sys


def definition(path):
    text = path.read_bytes()
    lines = [f"static const unsigned char text_{path.stem}[] = {{"]
    lines += ["    " + "".join(f"{byte}," for byte in text[at:at + 20])
              for at in range(0, len(text), 20)]
    return lines + ["};"]


def row(number, path):
    assert path.stem.startswith(f"{number:04}_"), f"{path.name}: is not number {number}"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return (f'    {{{number}, "{path.stem}", "{sha256}", '
            f"{{(const char *)text_{path.stem}, sizeof text_{path.stem}}}}},")


def main(output, *names):
    paths = sorted(map(pathlib.Path, names), key=lambda path: path.name)
    lines = ["/* Made by embed_sql.py. */", '#include "record/mariadb_schema.h"', ""]
    for path in paths:
        lines += definition(path)
    lines += ["const struct maria_migration maria_migrations[] = {"]
    lines += [row(number, path) for number, path in enumerate(paths, 1)]
    lines += ["};", f"const size_t maria_migrations_count = {len(paths)};"]
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


main(*sys.argv[1:])

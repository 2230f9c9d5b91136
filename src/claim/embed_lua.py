# SPDX-License-Identifier: Apache-2.0
"""Turns scripts into the constants of claim/redis_scripts.h. Run by meson: embed_lua.py OUTPUT FILE…"""
import hashlib
import pathlib
import sys


def definition(path):
    text = path.read_bytes()
    lines = [f"static const unsigned char {path.stem}_text[] = {{"]
    lines += ["    " + "".join(f"{byte}," for byte in text[at:at + 20])
              for at in range(0, len(text), 20)]
    sha1 = hashlib.sha1(text).hexdigest()
    return lines + ["};", f"const struct redis_script {path.stem}_script = {{",
                    f"    {{(const char *){path.stem}_text, sizeof {path.stem}_text}}, {{\"{sha1}\", 40}}}};"]


def main(output, *names):
    lines = ["/* Made by embed_lua.py. */", '#include "claim/redis_scripts.h"', ""]
    for name in names:
        lines += definition(pathlib.Path(name))
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


main(*sys.argv[1:])

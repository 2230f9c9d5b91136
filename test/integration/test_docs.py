# SPDX-License-Identifier: Apache-2.0
"""What is written about options: of every option, in every page, and as the program has it now."""
import shutil
import subprocess

import pytest
from harness import COUPOND, ROOT, option_table

PAGES = ["docs/man/coupond.1", "docs/man/coupond.conf.5", "docs/configuration.md",
         "docs/configuration.ko.md"]


def generate(root, *words):
    return subprocess.run([str(ROOT / "dev" / "gen_docs"), "--coupond", COUPOND, "--root", str(root),
                           *words], capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path):
    """A copy of the templates and pages."""
    shutil.copytree(ROOT / "dev" / "docs", tmp_path / "dev" / "docs")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def change(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_the_pages_are_those_of_this_program():
    done = generate(ROOT, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_option_is_in_every_page():
    for page in PAGES:
        text = (ROOT / page).read_text("utf-8").replace("\\-", "-").replace("\\&", "")
        for row in option_table():
            if page.endswith(".5") and (row["flag_only"] or row["name"] == "config"):
                continue
            mark = {".md": f"--{row['name']}", ".5": f".It Cm {row['name']} ",
                    ".1": f"{row['name']}\n" if row["type"] == "switch" else f"-{row['name']} Ar"}
            assert mark[page[page.rindex("."):]] in text, (page, row["name"])


@pytest.mark.parametrize("page", PAGES)
def test_a_stale_page_is_named(tree, page):
    assert generate(tree, "--check").returncode == 0
    change(tree / page, "idle", "idel")
    done = generate(tree, "--check")
    assert done.returncode == 1 and page in done.stdout
    (tree / page).unlink()
    assert generate(tree, "--check").returncode == 1
    assert generate(tree).returncode == 0
    assert (tree / page).read_bytes() == (ROOT / page).read_bytes()


@pytest.mark.parametrize("old, new, told", [
    ("idle-timeout = ", "# ", "idle-timeout"), ("[doors] = ", "# ", "[doors]"),
    ("idle-timeout = ", "idle-time = ", "idle-time is no option"),
    ("load json = ", "# ", "json"), ("backlog = ", "backlog: ", "NAME = TEXT"),
    ("backlog = ", "threads = ", "once"),
])
def test_a_korean_text_that_is_missing_or_left_over_is_named(tree, old, new, told):
    change(tree / "dev" / "docs" / "options.ko", old, new)
    done = generate(tree, "--check")
    assert done.returncode == 1 and told in done.stdout + done.stderr

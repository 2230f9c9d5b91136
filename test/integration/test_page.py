# SPDX-License-Identifier: Apache-2.0
"""The status page in a real browser: what a person sees and does, with mouse or without, on a phone
and on a desk, in both schemes and both languages. Needs Chromium; ./check page brings it.
"""
import re
import struct

import pytest
from browser import BROWSER_SECONDS, Browser, find_program
from client import EVENTS
from harness import ROOT, wait_until

pytestmark = pytest.mark.browser

LOOKS = {f"{name}-{scheme}-{language[:2]}": {"width": width, "height": height, "scheme": scheme,
                                              "language": language}
         for name, width, height in (("phone", 360, 740), ("desk", 1280, 900))
         for scheme in ("light", "dark") for language in ("en-US", "ko-KR")}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    assert find_program(), "no Chromium: ./check page brings it"
    running = Browser(tmp_path_factory.mktemp("browser"))
    yield running
    running.close()


def go_in(page, server):
    page.log_in(server.admin_url + "/", server.token)


def show(page, event):
    page.wait(f"document.querySelector('[data-event=\"{event}\"]')")
    page.click(f'[data-event="{event}"] a')
    page.wait_text("#name", event)


def claim_many(server, event, n, prefix="u"):
    with server.client() as client:
        for i in range(n):
            client.claim(f"{prefix}{i}", event)


@pytest.fixture
def page(browser, server):
    """A desk, in English, logged in; in the end the browser has nothing to complain about."""
    with browser.page() as opened:
        server.create("drop", 20)
        go_in(opened, server)
        show(opened, "drop")
        yield opened
        assert opened.complaints() == []


# ---- how it looks ----

def contrast(page):
    """Of each text with what is behind it, by WCAG: the texts that are too faint for level AA."""
    return page.js("""(() => {
      const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
      const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number);
                                return n.length < 4 ? [...n, 1] : n; };
      const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
      const behind = (element) => {
        if (element === null) return [255, 255, 255];
        const colour = parse(getComputedStyle(element).backgroundColor);
        return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
      };
      const faint = [];
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || element.closest('.unseen, :disabled, noscript, script')
            || !element.checkVisibility()) continue;
        const style = getComputedStyle(element), below = behind(element);
        const [a, b] = [light(over(parse(style.color), below)), light(below)].sort((x, y) => y - x);
        const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < (isLarge ? 3 : 4.5)) faint.push([walker.currentNode.textContent, ratio]);
      }
      return faint;
    })()""")


def check_fits(page, width):
    assert page.js("document.documentElement.scrollWidth") <= width
    assert page.js("document.body.scrollWidth") <= width
    too_wide = page.js("""[...document.querySelectorAll('main *, header *, nav *')]
        .filter((e) => e.checkVisibility() && !e.closest('svg, .unseen, .rows')
                       && e.getBoundingClientRect().right > innerWidth + 0.5)
        .map((e) => e.outerHTML.slice(0, 99))""")
    assert too_wide == []


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_it_fits_and_can_be_read(browser, shared, look):
    events = shared.admin("GET", EVENTS).json["events"]
    if not events:
        shared.create("a-name_as-long_as-names_may-be_" + "w" * 33, 1000000,
                      starts_at="2098-12-30T11:22:33Z", ends_at="2099-12-30T11:22:33Z")
        shared.create("drop", 30)
        claim_many(shared, "drop", 60)
    is_korean = look["language"].startswith("ko")
    with browser.page(**look) as page:
        page.open(shared.admin_url + "/")
        page.wait_text("button[type=submit]", "로그인" if is_korean else "Log in")
        check_fits(page, look["width"])
        assert contrast(page) == []
        go_in(page, shared)
        for event in ("drop", "a-name_as-long_as-names_may-be_" + "w" * 33):
            show(page, event)
            page.wait("document.querySelector('#health').childElementCount === 6")
            check_fits(page, look["width"])
            assert contrast(page) == []
            page.click("[data-verb=create]")
            page.wait("document.querySelector('#dialog').open")
            check_fits(page, look["width"])
            assert contrast(page) == []
            page.click("#cancel")
        assert page.js("document.documentElement.lang") == ("ko" if is_korean else "en")
        page.wait_text("#issuing-title", "시간에 따른 발급" if is_korean else "Issuing over time")
        dark = page.js("getComputedStyle(document.body).backgroundColor") == "rgb(16, 19, 21)"
        assert dark == (look["scheme"] == "dark")
        hangul = re.findall("[가-힣]+", page.js("document.body.innerText"))
        assert len(hangul) > 50 if is_korean else set(hangul) == {"한국어"}
        assert page.complaints() == []


def test_the_language_is_chosen_and_remembered(page, server):
    page.click("[data-language=ko]")
    page.wait_text("#outcomes-title", "응답")
    assert page.js("document.querySelector('[data-language=ko]').getAttribute('aria-pressed')") == "true"
    page.open(server.admin_url + "/")
    page.wait_text("#outcomes-title", "응답")
    assert page.js("document.documentElement.lang") == "ko"
    page.click("[data-language=en]")
    page.wait_text("#outcomes-title", "Answers")


def test_every_word_is_in_both_languages(page):
    words = page.js("""fetch('/console/words.js').then((r) => r.text())""")
    rows = re.findall(r'^  (\w+): \["([^"]+)", "([^"]+)"\],$', words, re.M)
    assert len(rows) > 100
    for key, english, korean in rows:
        assert sorted(re.findall(r"\{\d\}", english)) == sorted(re.findall(r"\{\d\}", korean)), key
    files = ["console.html", "console.js", "forms.js", "login.html", "login.js", "picture.js"]
    text = "".join((ROOT / "src/api/pages" / name).read_text() for name in files)
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', text))
    used |= set(re.findall(r'translate\("(\w+)"', text))
    assert used and used <= {key for key, _, _ in rows}


# ---- what it shows ----

def test_a_claim_is_seen_as_it_comes(page, server):
    page.wait_text("#left", "20")
    claim_many(server, "drop", 7)
    page.wait_text("#left", "13")
    page.wait_text("#taken", "7")
    assert page.js("document.querySelector('#bar').getAttribute('aria-valuenow')") == "7"
    claim_many(server, "drop", 30)
    page.wait_text("#state", "Sold out")
    page.wait_text("#outcomes tr:nth-child(3) td", "10")
    page.wait_text("#claims", "37")
    page.wait_text("#issuing-note", "20 issued in")
    assert page.js("document.querySelector('#issuing .edge').getAttribute('d').length") > 10
    page.wait("document.querySelector('#requests .bars').getAttribute('d').includes('h')")


def test_who_comes_later_sees_the_rush(browser, server):
    server.create("drop", 10)
    claim_many(server, "drop", 25)
    with browser.page() as page:
        go_in(page, server)
        page.wait_text("#issuing-note", "10 issued in")
        page.wait("!document.querySelector('#requests-note').innerText.includes('at most 0')")
        page.click("#requests summary")
        page.wait("[...document.querySelectorAll('#requests td')]"
                  ".reduce((sum, cell) => sum + Number(cell.textContent), 0) >= 1")
        page.click("#issuing summary")
        page.wait_text("#issuing tbody tr:last-child td", "10")


def test_events_are_chosen_and_named_in_the_address(page, server):
    server.create("other", 5)
    show(page, "other")
    page.wait("location.hash === '#/other'")
    page.wait_text('[data-event="other"] [aria-current]', "other")
    page.open(server.admin_url + "/#/drop")
    page.wait_text("#name", "drop")
    page.open("about:blank")
    page.open(server.admin_url + "/#/nowhere")  # the newest one instead
    page.wait_text("#name", "other")
    assert any("404" in str(row) for row in page.complaints())
    page.browser.events.clear()


def test_a_break_is_seen_and_mends_itself(browser, servers):
    server = servers.start("--threads", "1")
    server.create("drop", 5)
    with browser.page() as page:
        go_in(page, server)
        address = "{}:{}".format(*server.ready.admin)
        server.kill()
        page.wait_text("#pill", "Connection lost")
        server.flags += ["--admin-listen", address]
        server.restart()
        page.wait("document.querySelector('#login')")  # its sessions ended with the process
        go_in(page, server)
        page.wait_text("#name", "drop")


def test_the_health_of_the_server_is_shown(browser, servers, disk):
    server = servers.start("--threads", "1", "--answer-timeout", "300ms", **disk.preload)
    server.create("drop", 5)
    with browser.page() as page:
        go_in(page, server)
        page.wait_text("#pill", "OK")
        page.wait_text("#health", "not kept")
        disk.hold()
        server.claim("a", "drop")
        page.wait_text("#pill", "Needs attention")
        page.wait_text("#health li:first-child .word", "Slow")
        page.wait_text("#health", "1 claims")
        disk.release()
        page.wait_text("#pill", "OK")
        assert page.complaints() == []


# ---- what one does with it ----

def fill(page, **values):
    for name, value in values.items():
        page.js(f"document.querySelector('#fields [name={name}]').value = {str(value)!r}")


def change(page, verb, **values):
    page.click(f"[data-verb={verb}]")
    page.wait("document.querySelector('#dialog').open")
    fill(page, operator="kim", reason="a test", **values)
    page.click("#send")
    page.wait("!document.querySelector('#dialog').open")


def test_every_change(page, server):
    change(page, "pause")
    page.wait_text("#state", "Paused")
    assert server.claim("a", "drop").result == "paused"
    page.wait("document.querySelector('[data-verb=pause]').disabled")
    page.wait_text("#done", "Done: Pause")
    change(page, "resume")
    page.wait_text("#state", "Open")
    assert server.claim("a", "drop").result == "issued"
    change(page, "restock", total_stock=50)
    page.wait_text("#of", "left of 50")
    page.wait("!document.querySelector('[data-verb=return]').disabled")
    change(page, "return", user_id="a")
    page.wait_text("#left", "50")
    assert server.claim("a", "drop").result == "returned"
    change(page, "reschedule", starts_at="2098-01-02T09:00", ends_at="2099-01-02T09:00")
    page.wait_text("#state", "Scheduled")
    status = server.status_of("drop")  # the page is in Seoul
    assert status["starts_at"] == "2098-01-02T00:00:00.000Z"
    assert status["ends_at"] == "2099-01-02T00:00:00.000Z"
    change(page, "create", event_id="made-here", total_stock=3)
    page.wait_text("#name", "made-here")
    assert server.claim("a", "made-here").result == "issued"
    change(page, "close", confirm="made-here")
    page.wait_text("#state", "Ended")
    page.wait("document.querySelectorAll('.verbs :disabled').length === 5")
    dump = server.run("log", "dump", server.data, status=None).stdout
    assert dump.count("kim") >= 7 and dump.count("a test") >= 7


def test_a_change_that_is_refused_says_why(page, server):
    claim_many(server, "drop", 5)
    page.click("[data-verb=restock]")
    page.click("#send")
    page.wait_text("#dialog-problem", "Operator is missing")
    assert page.js("document.activeElement.name") == "operator"
    fill(page, operator="kim", reason="less", total_stock=0)
    page.click("#send")
    page.wait("document.activeElement.name === 'total_stock'")
    fill(page, total_stock=2)
    page.click("#send")
    page.wait_text("#dialog-problem", "do not allow this")
    page.click("#cancel")
    page.click("[data-verb=close]")
    fill(page, operator="kim", reason="over", confirm="drop-")
    page.click("#send")
    page.wait_text("#dialog-problem", "not the name")
    page.click("#cancel")
    assert server.status_of("drop")["status"] == "active"
    assert [row["entry"]["text"] if "entry" in row else row["text"] for row in page.complaints()
            ] == ["Failed to load resource: the server responded with a status of 409 (Conflict)"]
    page.browser.events.clear()


def test_without_a_mouse(browser, server):
    server.create("older", 5)
    server.create("newer", 5)
    with browser.page() as page:
        page.open(server.admin_url + "/")
        page.wait("document.activeElement.id === 'token'")
        page.type(server.token)
        page.press("Enter")
        page.wait_text("#name", "newer")
        page.press("Tab")
        assert page.js("document.activeElement.className") == "skip"
        page.press("Enter")
        page.wait("document.activeElement.id === 'main'")
        page.tab_to("[data-verb=pause]")
        outline = page.js("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.press("Enter")
        page.wait("document.querySelector('#dialog').open")
        page.press("Escape")
        page.wait("!document.querySelector('#dialog').open")
        assert page.js("document.activeElement.dataset.verb") == "pause"
        page.press("Space")
        page.wait("document.activeElement.name === 'operator'")
        page.type("lee")
        page.press("Tab")
        page.type("by keyboard")
        page.press("Enter")
        page.wait_text("#state", "Paused")
        page.tab_to('[data-event="older"] a')
        page.press("Enter")
        page.wait_text("#name", "older")
        page.tab_to("#issuing summary")
        page.press("Enter")
        page.wait("document.querySelector('#issuing details').open")
        page.tab_to("#logout")
        page.press("Enter")
        page.wait("document.activeElement.id === 'token'")
        assert page.complaints() == []


# ---- what a screen reader is told ----

NAMED = {"button", "link", "textbox", "progressbar", "image", "navigation", "dialog", "region",
         "heading", "table", "spinbutton", "checkbox", "combobox"}


def test_everything_has_a_name(page, server):
    claim_many(server, "drop", 3)
    page.wait_text("#taken", "3")
    page.click("#issuing summary")
    tree = page.tree()
    nameless = [role for role, name in tree if role in NAMED - {"table"} and not name.strip()]
    assert nameless == []
    told = set(tree)
    for expected in (("navigation", "Events"), ("heading", "drop"), ("progressbar", "Issued"),
                     ("button", "Pause"), ("button", "New event"), ("button", "Log out"),
                     ("link", "Skip to the event"), ("region", "Issuing over time")):
        assert expected in told
    assert any(role == "image" and name.startswith("Issuing over time: 3 issued") for role, name in tree)
    roles = [role for role, _ in tree]
    assert roles.count("main") == 1 and roles.count("navigation") == 1
    page.click("[data-verb=reschedule]")
    page.wait("document.querySelector('#dialog').open")
    tree = page.tree()
    assert ("dialog", "Reschedule") in tree and ("textbox", "Reason") in tree
    page.click("#cancel")


def test_news_is_spoken_but_seldom(page, server):
    page.wait("document.querySelector('#spoken').innerText.includes('drop: ')")
    assert page.js("document.querySelector('#spoken').getAttribute('aria-live')") == "polite"
    page.js("""window.spoken = [];
        new MutationObserver(() => window.spoken.push(Date.now()))
            .observe(document.querySelector('#spoken'), {childList: true, characterData: true, subtree: true})""")
    for i in range(20):
        server.claim(f"v{i}", "drop")
        page.wait_text("#left", str(19 - i))
    page.wait("window.spoken.length >= 2")
    times = page.js("window.spoken")
    assert all(after - before >= 14000 for before, after in zip(times, times[1:]))


# ---- who may ----

def test_a_wrong_token_and_log_out(browser, server):
    server.create("drop", 1)
    with browser.page() as page:
        page.open(server.admin_url + "/")
        page.wait("document.activeElement.id === 'token'")
        page.type("wrong")
        page.press("Enter")
        page.wait_text("#problem", "This is not the admin token.")
        assert page.js("document.querySelector('#problem').getAttribute('role')") == "alert"
        go_in(page, server)
        assert page.js("document.cookie") == ""  # no script reads it
        [cookie] = page.call("Network.getCookies")["cookies"]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and not cookie["secure"]
        page.click("#logout")
        page.wait("document.querySelector('#login')")
        page.open(server.admin_url + "/")
        page.wait("document.querySelector('#login')")
        assert page.call("Network.getCookies")["cookies"] == []


def test_an_ended_session_leads_to_the_log_in_page(page, server):
    [cookie] = page.call("Network.getCookies")["cookies"]
    with server.admin_client() as client:
        client.request("POST", "/admin/v1/logout", None, [
            ("Cookie", f"coupond_session={cookie['value']}"), ("Sec-Fetch-Site", "same-origin")])
    wait_until(lambda: page.js("document.querySelector('#login') !== null"), "log-in page",
               BROWSER_SECONDS)
    page.browser.events.clear()


def test_foreign_scripts_do_not_run(page):
    page.js("""(() => {
        const script = document.createElement('script');
        script.textContent = 'window.isBroken = true';
        document.body.append(script);
        const image = document.createElement('img');
        image.setAttribute('onerror', 'window.isBroken = true');
        image.src = '/console/nothing';
        document.body.append(image);
    })()""")
    page.wait("[...document.images].every((image) => image.complete)")
    assert page.js("window.isBroken") is None
    assert any("Content Security Policy" in str(row) for row in page.complaints())
    page.browser.events.clear()


# ---- the pictures of the documentation ----

PICTURES = sorted((ROOT / "docs" / "images").glob("*.png"))


def test_there_are_pictures():
    assert len(PICTURES) >= 4


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_small_and_shown(path):
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) < 150_000
    width, height = struct.unpack(">II", data[16:24])
    assert 300 <= width <= 2600 and 300 <= height <= 3000
    pages = [*ROOT.glob("README*.md"), *(ROOT / "docs").glob("*.md")]
    assert any(path.name in page.read_text("utf-8") for page in pages)

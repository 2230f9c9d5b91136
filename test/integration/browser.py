# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven over its own pipe (the DevTools protocol): no driver, no library.

    Browser   the process; one for many tests
    Page      a tab with cookies and storage of its own, as a person would see it
"""
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

from harness import wait_until

BROWSER_SECONDS = 120  # a loaded machine takes its time
NAMES = ("chromium", "chromium-browser", "google-chrome")
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32}
PAGE_WENT_AWAY = -32000  # a question to a page, and another page came before the answer


class Refused(AssertionError):
    """What the browser says no to."""

    def __init__(self, method, params, error):
        super().__init__(method, params, error)
        self.code = error["code"]


def find_program():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    def __init__(self, folder, program=None):
        to_read, self.to_write = os.pipe()
        self.to_hear, to_say = os.pipe()
        self.log = open(os.path.join(folder, "chromium.log"), "wb")
        command = [program or find_program(), "--headless=new", "--remote-debugging-pipe",
                   f"--user-data-dir={folder}/profile", "--no-first-run", "--disable-gpu",
                   "--disable-dev-shm-usage", "--disable-background-networking",
                   "--disable-component-update", "--disable-sync", "--force-color-profile=srgb"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")

        def place_pipes():  # it wants them as the files 3 and 4
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (to_read, to_say)]
            for number, end in enumerate(ends, 3):
                os.dup2(end, number)

        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, close_fds=False,
                                        preexec_fn=place_pipes, start_new_session=True)
        os.close(to_read)
        os.close(to_say)
        self.unread, self.number, self.events = b"", 0, []

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(BROWSER_SECONDS)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()
        os.close(self.to_write)
        os.close(self.to_hear)

    def _message(self, seconds):
        """The next one, or None when there is none for so long."""
        until = time.monotonic() + seconds
        while b"\0" not in self.unread:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.to_hear], [], [], left)[0]:
                return None
            data = os.read(self.to_hear, 1 << 20)
            assert data, "the browser has ended"
            self.unread += data
        message, self.unread = self.unread.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message(BROWSER_SECONDS)
            assert answer is not None, f"no answer to {method}"
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Refused(method, params, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def listen(self):
        """Takes what has come by itself."""
        while (message := self._message(0)) is not None:
            self.events.append(message)

    def page(self, **look):
        return Page(self, **look)


class Page:
    """`width` and `height` in CSS pixels; `scheme` is light or dark, `language` like ko-KR."""

    def __init__(self, browser, width=1280, height=900, scheme="light", language="en-US", scale=1,
                 zone="Asia/Seoul"):
        self.browser = browser
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank",
                              browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target,
                                    flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=scale, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme},
                            {"name": "prefers-reduced-motion", "value": "reduce"}])
        agent = browser.call("Browser.getVersion")["userAgent"].replace("Headless", "")
        self.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        self.call("Emulation.setTimezoneOverride", timezoneId=zone)
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)

    def call(self, method, **params):
        return self.browser.call(method, session=self.session, **params)

    # -- looking --

    def js(self, expression):
        """The value of an expression; of a promise, what it becomes."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        assert "exceptionDetails" not in result, (expression, result["exceptionDetails"])
        return result["result"].get("value")

    def wait(self, expression):
        """Until the expression is true; one that fails while the page is loading is not, nor one
        that is asked of a page that another takes the place of meanwhile."""
        def is_true():
            try:
                return self.js(f"(() => {{ try {{ return !!({expression}) }} "
                               "catch { return false } })()")
            except Refused as refused:
                if refused.code != PAGE_WENT_AWAY:
                    raise
                return False
        return wait_until(is_true, expression, BROWSER_SECONDS)

    def text(self, selector):
        return self.js(f"document.querySelector({json.dumps(selector)})?.innerText")

    def wait_text(self, selector, text):
        try:
            self.wait(f"document.querySelector({json.dumps(selector)}).innerText"
                      f".includes({json.dumps(text)})")
        except AssertionError:
            raise AssertionError(f"{selector} is {self.text(selector)!r}, not {text!r}") from None

    def complaints(self):
        """What the page or the browser has to say against it: exceptions, errors, warnings."""
        self.browser.listen()
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            params = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"])
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(params)
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] != "verbose":
                found.append(params["entry"])
        return found

    def tree(self):
        """What a screen reader is told: (role, name) of everything that is not ignored."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", ""))
                for node in nodes if not node.get("ignored") and "role" in node]

    def screenshot(self, whole=False):
        return self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]

    # -- doing --

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def log_in(self, url, token):
        """Through the log-in page to the first snapshot."""
        self.open(url)
        self.wait("document.activeElement.id === 'token'")
        self.type(token)
        self.press("Enter")
        self.wait("document.querySelector('#pill').dataset.state === 'ok'")

    def press(self, key, shift=False):
        code = {"key": " " if key == "Space" else key, "code": key, "modifiers": 8 if shift else 0,
                "windowsVirtualKeyCode": KEYS[key]}
        if key == "Enter":
            code["text"] = "\r"
        if key == "Space":
            code["text"] = " "
        self.call("Input.dispatchKeyEvent", type="keyDown", **code)
        code.pop("text", None)
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def tab_to(self, selector, at_most=60):
        """Goes there as somebody without a mouse does."""
        for _ in range(at_most):
            self.press("Tab")
            if self.js(f"document.activeElement?.matches({json.dumps(selector)})"):
                return
        raise AssertionError(f"the Tab key does not come to {selector}")

    def click(self, selector):
        self.js(f"document.querySelector({json.dumps(selector)}).click()")

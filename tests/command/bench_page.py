#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks at a page in headless Chromium through its debugging pipe; prints TAP.

    bench_page.py CHROMIUM PAGE.html
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

VIEWS = [(360, 740, "light"), (360, 740, "dark"), (1280, 800, "light"), (1280, 800, "dark")]

# Elements that stick out of the view, unless something around them scrolls or clips.
OVERFLOWING = """
(() => {
  const width = document.documentElement.clientWidth, found = [];
  const contained = e => {
    for (let p = e.parentElement; p; p = p.parentElement)
      if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return true;
    return false;
  };
  for (const e of document.querySelectorAll('body *')) {
    const box = e.getBoundingClientRect();
    if (box.width > 0 && (box.right > width + 0.5 || box.left < -0.5) && !contained(e))
      found.push(e.tagName + ' ' + Math.round(box.left) + '..' + Math.round(box.right) + ' ' +
                 (e.textContent || '').slice(0, 40));
  }
  if (document.documentElement.scrollWidth > width)
    found.push('the page scrolls sideways: ' + document.documentElement.scrollWidth);
  return found;
})()
"""

# Text that leaves its picture.
CLIPPED = """
[...document.querySelectorAll('svg')].flatMap(svg => {
  const view = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => {
    const box = text.getBoundingClientRect();
    return box.right > view.right + 1 || box.left < view.left - 1 ||
           box.bottom > view.bottom + 1 || box.top < view.top - 1;
  }).map(text => text.textContent);
})
"""

# Pictures that say nothing to who cannot see them.
WORDLESS = """
[...document.querySelectorAll('svg:not([aria-hidden])')].filter(svg =>
  svg.getAttribute('role') !== 'img' ||
  (svg.getAttribute('aria-labelledby') || '').split(' ').length !== 2 ||
  !svg.getAttribute('aria-labelledby').split(' ').every(
    id => document.querySelectorAll('#' + CSS.escape(id)).length === 1 &&
          document.getElementById(id).textContent.trim().length > 10)
).map(svg => svg.outerHTML.slice(0, 120))
"""

# Contrast of running text against the page, as WCAG computes it.
CONTRAST = """
(() => {
  const light = text => {
    const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(
      v => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('p, h1, h2, h3, td, th, a, summary, svg text')].map(e => {
    const style = getComputedStyle(e);
    const ink = light(e.tagName === 'text' ? style.fill : style.color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  }).reduce((a, b) => Math.min(a, b), 21);
})()
"""

FIRST_WORDS = "document.querySelector('h2 + p').textContent"
SECOND_WORDS = "document.querySelector('h2 + p + p').textContent"

# Elements that the page does not have by itself.
STRANGE = "[...document.querySelectorAll('main img, main script, [onerror]')].map(e => e.outerHTML)"


DEAD_LINKS = """
[...document.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute('href').slice(1))
  .filter(id => !document.getElementById(id))
"""
VERDICT_LINKS = "document.querySelectorAll('p.verdict a').length"

# What is wrong with the looks of the peers. A look is a color and a pattern: the dash of a line, or
# the hatch of a bar. Each peer has one in all charts, and no two peers have the same.
WRONG_LOOKS = """
(() => {
  const looks = {rect: new Map(), polyline: new Map()}, wrong = [];
  for (const e of document.querySelectorAll('svg [data-peer]')) {
    const style = getComputedStyle(e), name = e.dataset.peer;
    let look = {color: style.stroke, pattern: style.strokeDasharray};
    if (e.tagName === 'rect') {
      const id = /#([^"')]+)/.exec(e.getAttribute('fill')), hatch = id && document.getElementById(id[1]);
      if (id && !hatch) wrong.push(name + ': no hatch ' + id[1]);
      look = hatch ? {color: getComputedStyle(hatch.lastElementChild).fill,
                      pattern: hatch.getAttribute('patternTransform') + hatch.getAttribute('width')}
                   : {color: style.fill, pattern: 'none'};
    }
    const seen = looks[e.tagName], before = seen.get(name);
    if (before && (before.color !== look.color || before.pattern !== look.pattern))
      wrong.push(name + ' changes: ' + JSON.stringify([before, look]));
    seen.set(name, look);
  }
  for (const [kind, seen] of Object.entries(looks)) {
    const names = new Map();
    for (const [name, look] of seen) {
      const key = look.color + look.pattern;
      if (names.has(key)) wrong.push(kind + ': ' + name + ' looks like ' + names.get(key));
      names.set(key, name);
      if (name !== 'sluice' && look.color === seen.get('sluice').color)
        wrong.push(kind + ': ' + name + ' has our color');
    }
    if (seen.size <= 30) wrong.push(kind + ': only ' + seen.size + ' peers');
  }
  for (const [name, look] of looks.polyline)
    if (looks.rect.get(name)?.color !== look.color) wrong.push(name + ': bar and line differ');
  return wrong;
})()
"""

# Pairs of colors that are hard to tell apart, by their distance in CIELAB.
SIMILAR_COLORS = """
(() => {
  const lab = text => {
    const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(
      v => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [(0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
                       0.2126 * r + 0.7152 * g + 0.0722 * b,
                       (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089]
      .map(v => v > 0.008856 ? Math.cbrt(v) : 7.787 * v + 16 / 116);
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
  };
  const colors = [...new Set([...document.querySelectorAll('svg polyline')]
    .map(e => getComputedStyle(e).stroke))];
  return colors.flatMap((a, i) => colors.slice(i + 1)
    .map(b => [Math.hypot(...lab(a).map((v, k) => v - lab(b)[k])), a, b])
    .filter(pair => pair[0] < 20).map(pair => pair.join(' ')));
})()
"""


class Browser:
    """The DevTools protocol, a JSON message and a zero byte each way."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp()
        to_browser, self.output = os.pipe()
        self.input, from_browser = os.pipe()

        def give_pipes():
            # They are to be 3 and 4, whatever they are now.
            reading, writing = os.dup(to_browser), os.dup(from_browser)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={self.profile}",
             "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=give_pipes, close_fds=False, pass_fds=())
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.number, self.events = b"", 0, []

    def read(self):
        while b"\0" not in self.buffer:
            piece = os.read(self.input, 65536)
            if not piece:
                raise EOFError("the browser has ended")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.read())

    def end(self):
        try:
            self.call("Browser.close")
        except (OSError, EOFError, RuntimeError):
            self.process.kill()
        self.process.wait(timeout=120)
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    def __init__(self, browser):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target,
                                    flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def show(self, url, width, height, scheme):
        self.browser.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)
        self.browser.wait("Page.loadEventFired")

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def complaints(self):
        found = []
        for event in self.browser.events:
            if event.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled",
                                       "Log.entryAdded", "Network.loadingFailed"):
                found.append(json.dumps(event["params"])[:300])
        return found

    def foreign_requests(self, url):
        return [event["params"]["request"]["url"] for event in self.browser.events
                if event.get("method") == "Network.requestWillBeSent" and
                not event["params"]["request"]["url"].startswith((url, "data:"))]


CASES = 0


def case(name, fault):
    """A test case that passes when there is no fault."""
    global CASES
    CASES += 1
    print(f"{'not ok' if fault else 'ok'} {CASES} - {name}")
    if fault:
        for line in fault if isinstance(fault, list) else [fault]:
            print(f"# {line}"[:300])
    return not fault


def look(page, url, width, height, scheme):
    view = f"at {width} pixels, {scheme}"
    page.show(url, width, height, scheme)
    case(f"{view}: the console is empty", page.complaints())
    case(f"{view}: nothing is fetched", page.foreign_requests(url))
    case(f"{view}: nothing overflows", page.value(OVERFLOWING))
    page.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    case(f"{view}: nor with the raw numbers open", page.value(OVERFLOWING))
    case(f"{view}: no text leaves its picture", page.value(CLIPPED))
    contrast = page.value(CONTRAST)
    case(f"{view}: all text can be read", "" if contrast >= 4.5 else f"contrast {contrast:.2f}")
    case(f"{view}: each peer has one look, and no two the same", page.value(WRONG_LOOKS))
    case(f"{view}: all colors can be told apart", page.value(SIMILAR_COLORS))


def main():
    browser = Browser(sys.argv[1])
    url = pathlib.Path(sys.argv[2]).resolve().as_uri()
    try:
        page = Page(browser)
        for view in VIEWS:
            look(page, url, *view)
        case("every picture has a title and a description", page.value(WORDLESS))
        case("there are pictures",
             "" if page.value("document.querySelectorAll('svg').length") >= 16 else "too few")
        words = page.value(FIRST_WORDS)
        case("a warning comes first", "" if words.startswith("WARNING: the load") else words)
        words = page.value(SECOND_WORDS)
        case("and then the verdict, in words",
             "" if words.startswith("Against libuv, Asio and .NET: ahead in") else words)
        case("what a result names is text", page.value(STRANGE))
        case("the contents lead to every load", page.value(DEAD_LINKS))
        case("the verdict links to loads", "" if page.value(VERDICT_LINKS) > 0 else "no link")
    finally:
        browser.end()
    print(f"1..{CASES}")


if __name__ == "__main__":
    main()

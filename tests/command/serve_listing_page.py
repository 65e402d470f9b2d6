#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks at the listing of a directory in headless Chromium; prints TAP.

    serve_listing_page.py CHROMIUM URL NAME...

The names are those of the directory's files, smallest first.
"""
import sys

import bench_page
from bench_page import CONTRAST, OVERFLOWING, VIEWS, Browser, Page, case

NAMES = "[...document.querySelectorAll('td a')].map(a => a.textContent).filter(n => n !== '../')"
# Elements that a name would make if it were taken for HTML.
STRANGE = "[...document.querySelectorAll('i, img, script, [onerror]')].map(e => e.outerHTML)"
SORTED_BY = """
[...document.querySelectorAll('th')].filter(th => th.getAttribute('aria-sort') !== 'none')
  .map(th => th.textContent.toLowerCase().trim() + ' ' + th.getAttribute('aria-sort')).join()
"""
# The page has the browser's own colors.
CANVAS = """(() => {
  const p = document.createElement('p');
  p.style.background = 'Canvas';
  document.body.append(p);
  const color = getComputedStyle(p).backgroundColor;
  p.remove();
  return color;
})()"""
READABLE = CONTRAST.replace("getComputedStyle(document.body).backgroundColor", CANVAS)


def equal(wanted, got):
    return "" if wanted == got else f"wanted {wanted}, got {got}"


def follow(page, selector):
    page.browser.events.clear()
    page.value(f"document.querySelector({selector!r}).click()")
    page.browser.wait("Page.loadEventFired")


def look(page, url, width, height, scheme):
    view = f"at {width} pixels, {scheme}"
    page.show(url, width, height, scheme)
    # The icon of the page before may be loading when the next one is shown.
    case(f"{view}: the console is empty",
         [c for c in page.complaints() if '"canceled": true' not in c])
    case(f"{view}: nothing overflows", page.value(OVERFLOWING))
    contrast = page.value(READABLE)
    case(f"{view}: all text can be read", "" if contrast >= 4.5 else f"contrast {contrast:.2f}")


def main():
    program, url, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    browser = Browser(program)
    try:
        page = Page(browser)
        for view in VIEWS:
            look(page, url, *view)
        case("every name is shown as it is", equal(sorted(names), sorted(page.value(NAMES))))
        case("no name is HTML", page.value(STRANGE))
        follow(page, 'th a[href*="sort=size"]')
        case("a click on the size sorts by it", equal(names, page.value(NAMES)))
        case("the column says so", "" if "ascending" in page.value(SORTED_BY) else page.value(SORTED_BY))
        follow(page, 'th a[href*="sort=size"]')
        case("a second click turns the order around", equal(names[::-1], page.value(NAMES)))
        follow(page, f"tr:nth-last-child({1 + names.index('b.txt')}) td a")
        case("a link leads to its file",
             equal("three hundred bytes", page.value("document.body.textContent.trim()")[:19]))
    finally:
        browser.end()
    print(f"1..{bench_page.CASES}")


if __name__ == "__main__":
    main()

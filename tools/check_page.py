"""Opens the built-in page of a running server in a headless Chromium, and uses it as a person does.

    check_page.py BROWSER HOST:PORT [FOLDER]

A series is pasted and a CSV file is dropped; what the page then draws and offers is compared with what POST /v1/forecast
answers to the same series. Bad input must be answered in words. The page must ask this server and nobody else, and leave the
browser's console without errors. Screenshots go to FOLDER, if there is one. Prints what is wrong and exits with 1.
"""

import http.client
import json
import math
import re
import sys
import tempfile
import urllib.parse
from pathlib import Path

from browser import Browser

HORIZON = 24
QUANTILES = [0.1, 0.9]
# Coordinates of the drawing are rounded to a tenth.
ROUNDING = 0.06


def check(condition, message):
    if not condition:
        sys.exit(message)


def wave(length, period, level):
    return [round(level + 10 * math.sin(2 * math.pi * step / period) + 0.01 * step, 2) for step in range(length)]


def asked(page, address, series, quantiles):
    """The server's own answer to a series."""
    connection = http.client.HTTPConnection(address, timeout=120)
    model = page.evaluate("document.getElementById('model').value")
    body = {"model": model, "series": [series], "horizon": HORIZON, "quantiles": quantiles}
    connection.request("POST", "/v1/forecast", json.dumps(body))
    response = connection.getresponse()
    answer = json.load(response)
    check(response.status == 200, f"the server refuses what the page is to ask: {answer}")
    return answer["forecasts"][0]


def close(what, found, expected):
    """Float32 that was computed twice, perhaps in other batches."""
    check(len(found) == len(expected), f"{what}: {len(found)} values, expected {len(expected)}")
    largest = max(abs(value) for value in expected)
    error = max(abs(a - b) for a, b in zip(found, expected)) / largest
    check(error <= 1e-4, f"{what}: the error is {error:.1e}: {found}, expected {expected}")


def points(path):
    """The points of a drawn line, and whether it has gaps."""
    found = [tuple(map(float, pair)) for pair in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path)]
    return found, path.count("M") > 1


def check_drawing(page, what, history, forecast):
    """The lines must be the values, on one scale, one point after the other."""
    known = [value for value in history if value is not None]
    drawn, gaps = points(page.evaluate("document.querySelector('#plot path.history').getAttribute('d')"))
    check(len(drawn) == len(known), f"{what}: {len(drawn)} points of the history are drawn, expected {len(known)}")
    check(gaps == (None in history), f"{what}: gaps in the history")
    ahead, gaps = points(page.evaluate("document.querySelector('#plot path.forecast').getAttribute('d')"))
    check(len(ahead) == len(forecast["values"]), f"{what}: {len(ahead)} points are drawn, expected {len(forecast['values'])}")
    check(not gaps, f"{what}: gaps in the forecast")
    # The scale, from the history's extremes.
    (low, bottom), (high, top) = ((pick(known), drawn[known.index(pick(known))][1]) for pick in (min, max))
    scale = (high - low) / (top - bottom)
    check(scale < 0, f"{what}: the plot is upside down")
    found = [low + (y - bottom) * scale for _, y in ahead]
    error = max(abs(a - b) for a, b in zip(found, forecast["values"]))
    check(error <= 4 * ROUNDING * abs(scale), f"{what}: the forecast is drawn {error} off: {found}, expected {forecast['values']}")
    across = [x for x, _ in drawn + ahead]
    check(across == sorted(set(across)), f"{what}: points are not drawn from left to right")


def offered(page):
    """The table that the page offers to save."""
    address = page.evaluate("document.getElementById('save').hidden ? '' : document.getElementById('save').href")
    check(address.startswith("data:text/csv"), f"no table is offered: {address[:80]}")
    lines = urllib.parse.unquote(address.split(",", 1)[1]).splitlines()
    columns = zip(*(map(float, line.split(",")) for line in lines[1:]))
    return dict(zip(lines[0].split(","), map(list, columns)))


def check_answer(page, what, history, forecast, levels):
    message = said(page)
    check(message["class"] == "" and f"{HORIZON} points" in message["text"], f"{what}: {message}")
    check_drawing(page, what, history, forecast)
    table = offered(page)
    check(list(table) == ["step", "forecast"] + [f"q{level}" for level in levels], f"{what}: columns {list(table)}")
    close(what, table["forecast"], forecast["values"])
    for level in levels:
        close(f"{what}, quantile {level}", table[f"q{level}"], forecast["quantiles"][str(level)])
    bands = page.evaluate("document.querySelectorAll('#plot .band').length")
    check(bands == bool(levels), f"{what}: {bands} bands are drawn")


def said(page):
    """What the page says once it has done what it was asked to."""
    page.until("!['', '…'].includes(document.getElementById('message').textContent)")
    return page.evaluate("({ text: document.getElementById('message').textContent, class: document.getElementById('message').className })")


def fill(page, identity, text):
    page.evaluate(f"document.getElementById('{identity}').select()")
    page.type(text)


def forecast(page):
    page.evaluate("document.getElementById('message').textContent = ''")
    page.click("#form button:not([type])")


def check_pasting(page, address):
    series = wave(96, 24, 100)
    fill(page, "horizon", str(HORIZON))
    page.evaluate("document.getElementById('interval').value = '0.8'")
    fill(page, "data", ", ".join(map(str, series)))
    forecast(page)
    check_answer(page, "a pasted series", series, asked(page, address, series, QUANTILES), QUANTILES)


def check_dropping(page, address, folder):
    load, heat = wave(80, 12, -5), wave(80, 20, 40)
    load[30] = load[31] = None
    path = folder / "table.csv"
    rows = [f"2026-03-{1 + i // 24:02d}T{i % 24:02d}:00,{'' if a is None else a},{b}" for i, (a, b) in enumerate(zip(load, heat))]
    path.write_text("\n".join(["time,load,heat", *rows]) + "\n")
    page.evaluate("document.getElementById('message').textContent = ''")
    page.evaluate("document.getElementById('interval').value = ''")
    page.drop("#data", path)
    check_answer(page, "a dropped table", load, asked(page, address, load, []), [])
    columns = page.evaluate("[...document.getElementById('column').options].map(option => option.text)")
    check(columns == ["load (80)", "heat (80)"], f"columns of the dropped table: {columns}")
    page.evaluate("document.getElementById('message').textContent = ''")
    page.choose_file("#file", path)
    check_answer(page, "a chosen file", load, asked(page, address, load, []), [])
    page.evaluate("document.getElementById('column').value = '1'")
    forecast(page)
    check_answer(page, "another column", heat, asked(page, address, heat, []), [])


def check_bad_input(page):
    for text, horizon, expected in [
        ("one two three", HORIZON, "no numbers"),
        ("1, 2, 3", 10**6, "a horizon of 1000000 is too long"),
        ("1e300, 2", HORIZON, "must be finite float32 numbers"),
    ]:
        fill(page, "data", text)
        fill(page, "horizon", str(horizon))
        forecast(page)
        message = said(page)
        check(message["class"] == "bad" and expected in message["text"], f"{text!r}: {message}")
        check("{" not in message["text"], f"{text!r}: {message}")
        left = page.evaluate("[document.getElementById('plot').childElementCount, document.getElementById('save').hidden]")
        check(left == [0, True], f"{text!r}: an earlier forecast is still there")
    fill(page, "horizon", str(HORIZON))


def take_screenshots(page, folder):
    """The page with a forecast, and with an error, as different people see it."""
    folder.mkdir(parents=True, exist_ok=True)
    for width in (1100, 390):
        for colours in ("light", "dark"):
            page.show_as(width, colours)
            page.click("#example")
            page.evaluate("document.getElementById('interval').value = '0.8'")
            forecast(page)
            said(page)
            page.screenshot(folder / f"forecast-{colours}-{width}.png")
            fill(page, "data", "one two three")
            forecast(page)
            said(page)
            page.screenshot(folder / f"error-{colours}-{width}.png")


def main():
    browser, address, *screenshots = sys.argv[1:]
    origin = f"http://{address}/"
    with Browser(browser) as running, tempfile.TemporaryDirectory() as folder:
        page = running.open(origin)
        page.until("document.getElementById('model').options.length > 0")
        check_pasting(page, address)
        check_dropping(page, address, Path(folder))
        check(page.errors == [], f"errors in the console: {page.errors}")
        check_bad_input(page)
        # A browser notes every answer that is no success, whoever asked.
        errors = [error for error in page.errors if "status of 400" not in error]
        check(errors == [], f"errors in the console: {errors}")
        for folder in screenshots:
            take_screenshots(page, Path(folder))
        elsewhere = [url for url in page.requests if not url.startswith((origin, "data:"))]
        check(elsewhere == [], f"requests to elsewhere: {elsewhere}")
        check(any(url == origin + "v1/forecast" for url in page.requests), f"the page asked for {page.requests}")


if __name__ == "__main__":
    main()

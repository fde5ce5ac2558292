"""Writes operations.csv: four invented hourly series that behave like operations data.

    python make_series.py [FILE]

Needs only the standard library and gives the same file on every run. The series have daily and weekly
cycles, trends, correlated noise, and a few missing cells, as real measurements do.
"""

import math
import random
import sys
from datetime import datetime, timedelta
from pathlib import Path

START = datetime(2026, 3, 2)  # a Monday
DAYS = 28
HOURS = 24 * DAYS
COLUMNS = ["demand_mw", "solar_mw", "web_requests", "temperature_c"]

# Hours counted from START.
TEMPERATURE_SENSOR_DOWN = range(418, 424)
LOST_REQUEST_COUNTS = {233, 551}


class Noise:
    """Autoregressive noise of order one, with the given standard deviation."""

    def __init__(self, source, deviation, memory):
        self.source, self.memory, self.value = source, memory, 0.0
        self.step = deviation * math.sqrt(1 - memory * memory)

    def next(self):
        self.value = self.memory * self.value + self.source.gauss(0, self.step)
        return self.value


def bump(hour, centre, width):
    """A peak of height 1 at `centre` o'clock, `width` hours wide, that wraps around midnight."""
    distance = (hour - centre + 12) % 24 - 12
    return math.exp(-0.5 * (distance / width) ** 2)


def ramp(x):
    """Rises smoothly from 0 at -0.5 to 1 at 0.5."""
    return 0.5 + 0.5 * math.sin(math.pi * min(0.5, max(-0.5, x)))


def working_day(t):
    """1 on working days, 0 at weekends, changing over eight hours around midnight."""
    from_saturday = (t - 120 + 60) % 168 - 60  # hours since Saturday began, from -60 to 107
    return 1 - ramp(from_saturday / 8) * ramp((48 - from_saturday) / 8)


def series():
    """Yields (hour since START, [demand, solar, requests, temperature])."""
    source = random.Random(20260302)
    demand_noise = Noise(source, 9, 0.7)
    request_noise = Noise(source, 0.05, 0.5)
    weather = Noise(source, 1.8, 0.985)
    clearness = [min(1.0, max(0.35, source.gauss(0.85, 0.16))) for _ in range(DAYS)]

    for t in range(HOURS):
        day, hour = divmod(t, 24)
        working = working_day(t)

        temperature = 6.5 + 0.12 * t / 24 + 4.2 * math.cos(2 * math.pi * (hour - 15) / 24) + weather.next()

        half_day = 5.6 + 0.028 * day  # half the hours of daylight; days grow longer in March
        height = math.cos(math.pi / 2 * (hour - 12.4) / half_day) if abs(hour - 12.4) < half_day else 0.0
        solar = 185 * (1 + 0.006 * day) * clearness[day] * height**1.3
        if solar > 0:
            solar = max(0.0, solar + source.gauss(0, 0.04 * solar))

        cycle = 150 * bump(hour, 9, 2.6) + 205 * bump(hour, 18.8, 2.8) + 70 * bump(hour, 13, 3.0)
        heating = 4.5 * max(0.0, 14 - temperature)
        demand = (560 + cycle) * (0.86 + 0.14 * working) + heating + 0.9 * day + demand_noise.next()

        visits = 0.16 + 0.75 * bump(hour, 14, 4.2) + 0.55 * bump(hour, 20.5, 2.3)
        requests = 2400 * (1 + 0.009 * day) * visits * (0.68 + 0.32 * working) * math.exp(request_noise.next())

        yield t, [f"{demand:.1f}", f"{solar:.1f}", f"{requests:.0f}", f"{temperature:.2f}"]


def rows():
    for t, cells in series():
        if t in TEMPERATURE_SENSOR_DOWN:
            cells[COLUMNS.index("temperature_c")] = ""
        if t in LOST_REQUEST_COUNTS:
            cells[COLUMNS.index("web_requests")] = ""
        yield [(START + timedelta(hours=t)).strftime("%Y-%m-%d %H:%M:%S"), *cells]


def main():
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("operations.csv")
    lines = [",".join(["timestamp", *COLUMNS]), *(",".join(row) for row in rows())]
    path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()

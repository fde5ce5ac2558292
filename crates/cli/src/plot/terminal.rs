//! Forecasts as characters: lines of braille dots, two by four in every character.
//!
//! ```text
//! load                      history ┊ forecast
//! 15.00 ┤                        ⢀⣀⠤⠒⠊⠑⡄
//!       │                  ⣀⠤⠔⠒⠊⠉⠁    ┊⠈⠢⡀
//!       │           ⢀⣀⠤⠤⠒⠒⠉           ┊  ⠈⠢⢄
//!       │     ⢀⣀⠤⠤⠒⠊⠁                 ┊     ⠑⢄
//!  0.00 ┤⣀⡠⠤⠒⠉⠁                       ┊
//!       └─────────────────────────────┴───────
//!        2024-02-01      2024-02-17 2024-02-20
//! ```

use crate::plot::axis::value_label;
use crate::plot::figure::{Figure, Panel, Part};

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Width in characters; at least [`MIN_WIDTH`] are used.
    pub width: usize,
    /// Height in lines; at least [`MIN_HEIGHT`] are used.
    pub height: usize,
    /// Whether to colour the forecast with ANSI escape codes. Without colours the line at its
    /// beginning tells it from the history.
    pub colors: bool,
}

/// The narrowest panel, in characters.
pub const MIN_WIDTH: usize = 30;

/// The lowest panel, in lines.
pub const MIN_HEIGHT: usize = 6;

/// Beyond this a panel grows no further; no terminal is that large.
const MAX_SIDE: usize = 1000;

/// Lines of a panel around the plot: name, axis, labels.
const FRAME_LINES: usize = 3;

const FORECAST_COLOR: &str = "\x1b[38;5;208m";
const FAINT: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Draws every panel of a figure, one below the other, with an empty line between them.
#[must_use]
pub fn render(figure: &Figure, style: Style) -> String {
    let panels: Vec<String> = figure.panels.iter().map(|panel| render_panel(panel, style)).collect();
    panels.join("\n")
}

/// Draws one panel; every line ends in a line end.
#[must_use]
pub fn render_panel(panel: &Panel, style: Style) -> String {
    let width = style.width.clamp(MIN_WIDTH, MAX_SIDE);
    let rows = style.height.clamp(MIN_HEIGHT, MAX_SIDE) - FRAME_LINES;
    let paint = Paint { colors: style.colors };

    let range = panel.range();
    let (low, high) = range.unwrap_or((0.0, 1.0));
    let label = |value| match range {
        Some(_) => value_label(value, (high - low) / 100.0, low.abs().max(high.abs())),
        None => String::new(),
    };
    let (high_label, low_label) = (label(high), label(low));
    let gutter = high_label.chars().count().max(low_label.chars().count()).min(width / 2);
    let columns = width - gutter - 2;

    let mut dots = Dots::new(columns, rows);
    let last = panel.len().saturating_sub(1);
    let place = |(position, value): (usize, f64)| {
        let share = if last == 0 { 0.5 } else { position as f64 / last as f64 };
        (dot_at(share, columns * 2), dot_at((high - value) / (high - low), rows * 4))
    };
    for part in [Part::History, Part::Forecast] {
        for run in panel.runs(part) {
            let points: Vec<(usize, usize)> = run.into_iter().map(place).collect();
            dots.draw(&points, part);
        }
    }
    let start = panel.history.values.len();
    let has_forecast = start > 0 && !panel.forecast.values.is_empty();
    let boundary = has_forecast.then(|| place((start - 1, low)).0 / 2);

    let mut out = title_line(panel, width, &paint);
    for row in 0..rows {
        let (label, tick) = match row {
            0 => (high_label.as_str(), '┤'),
            _ if row + 1 == rows => (low_label.as_str(), '┤'),
            _ => ("", '│'),
        };
        let gutter = format!("{label:>gutter$} {tick}");
        out.push_str(&paint.faint(&gutter));
        dots.write_row(&mut out, row, boundary, &paint);
        out.push('\n');
    }
    let axis: String = (0..columns).map(|column| if Some(column) == boundary { '┴' } else { '─' }).collect();
    let axis = format!("{:gutter$} └{axis}", "");
    out.push_str(&paint.faint(&axis));
    out.push('\n');
    let labels = time_labels(panel, columns, boundary);
    let labels = format!("{:gutter$}  {labels}", "");
    out.push_str(&paint.faint(labels.trim_end()));
    out.push('\n');
    out
}

/// The dot, of `count`, at a share of the whole; casts saturate and a share that is no number is 0.
fn dot_at(share: f64, count: usize) -> usize {
    let last = count.saturating_sub(1);
    ((share * last as f64).round() as usize).min(last)
}

/// The series' name on the left, the legend on the right where there is room for it.
fn title_line(panel: &Panel, width: usize, paint: &Paint) -> String {
    const LEGEND: &str = "history ┊ forecast";
    let room = width.saturating_sub(LEGEND.chars().count() + 2);
    let shown: String = if panel.name.chars().count() <= room {
        panel.name.clone()
    } else {
        panel.name.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    };
    let padding = width.saturating_sub(shown.chars().count() + LEGEND.chars().count());
    format!("{shown}{:padding$}history {} {}\n", "", paint.faint("┊"), paint.forecast("forecast"))
}

/// The first time stamp, that of the forecast's beginning and the last, as far as they fit.
fn time_labels(panel: &Panel, columns: usize, boundary: Option<usize>) -> String {
    let (past, future) = (&panel.history.time, &panel.forecast.time);
    let last = future.len().checked_sub(1).and_then(|row| future.text(row));
    let last = last.or_else(|| past.len().checked_sub(1).and_then(|row| past.text(row)));
    let mut line = vec![' '; columns];
    // The outer labels matter more than the one between them.
    let last_at = last.as_ref().map_or(columns, |last| columns.saturating_sub(last.chars().count()));
    if let Some(last) = last {
        put(&mut line, &last, last_at);
    }
    if let Some(first) = past.text(0).or_else(|| future.text(0)) {
        put(&mut line, &first, 0);
    }
    if let Some((boundary, start)) = boundary.zip(future.text(0)) {
        // Under the forecast's beginning, or else ending there, or else before the last.
        let count = start.chars().count();
        let _ = put(&mut line, &start, boundary.saturating_sub(count / 2))
            || put(&mut line, &start, boundary.saturating_sub(count))
            || put(&mut line, &start, last_at.saturating_sub(count + 1));
    }
    line.into_iter().collect()
}

/// Writes a text at a column if it fits there with a space on either side, and says whether it did.
fn put(line: &mut [char], text: &str, column: usize) -> bool {
    let count = text.chars().count();
    let around = column.saturating_sub(1)..(column + count + 1).min(line.len());
    if column + count > line.len()
        || line.get(around).is_none_or(|cells| cells.iter().any(|cell| *cell != ' '))
    {
        return false;
    }
    for (cell, character) in line.iter_mut().skip(column).zip(text.chars()) {
        *cell = character;
    }
    true
}

struct Paint {
    colors: bool,
}

impl Paint {
    fn faint(&self, text: &str) -> String {
        self.with(FAINT, text)
    }

    fn forecast(&self, text: &str) -> String {
        self.with(FORECAST_COLOR, text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.colors && !text.is_empty() { format!("{code}{text}{RESET}") } else { text.to_owned() }
    }
}

/// A grid of characters of two by four dots.
struct Dots {
    columns: usize,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    bits: u8,
    is_forecast: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ink {
    Plain,
    Faint,
    Forecast,
}

impl Dots {
    fn new(columns: usize, rows: usize) -> Self {
        Self { columns, cells: vec![Cell::default(); columns * rows] }
    }

    /// Draws straight lines from point to point; a single point is a dot.
    fn draw(&mut self, points: &[(usize, usize)], part: Part) {
        if let Some(first) = points.first() {
            self.set(*first, part);
        }
        for (from, to) in points.iter().zip(points.iter().skip(1)) {
            let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1));
            for step in 1..=steps {
                let at = |from: usize, to: usize| {
                    let share = step as f64 / steps as f64;
                    (from as f64 + (to as f64 - from as f64) * share).round() as usize
                };
                self.set((at(from.0, to.0), at(from.1, to.1)), part);
            }
        }
    }

    fn set(&mut self, (x, y): (usize, usize), part: Part) {
        // Braille patterns number the upper three rows column by column, and the fourth row last.
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let bit = BITS.get(y % 4).and_then(|row| row.get(x % 2)).copied().unwrap_or(0);
        if let Some(cell) = self.cells.get_mut((y / 4) * self.columns + x / 2) {
            cell.bits |= bit;
            cell.is_forecast |= part == Part::Forecast;
        }
    }

    fn write_row(&self, out: &mut String, row: usize, boundary: Option<usize>, paint: &Paint) {
        let cells = self.cells.iter().skip(row * self.columns).take(self.columns);
        let glyphs = cells.enumerate().map(|(column, cell)| match cell {
            Cell { bits: 0, .. } if Some(column) == boundary => (Ink::Faint, '┊'),
            Cell { bits: 0, .. } => (Ink::Plain, ' '),
            Cell { bits, is_forecast } => {
                let ink = if *is_forecast { Ink::Forecast } else { Ink::Plain };
                (ink, char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' '))
            }
        });
        let glyphs: Vec<(Ink, char)> = glyphs.collect();
        let end = glyphs.iter().rposition(|(_, glyph)| *glyph != ' ').map_or(0, |last| last + 1);
        for run in glyphs.get(..end).unwrap_or_default().chunk_by(|a, b| a.0 == b.0) {
            let text: String = run.iter().map(|(_, glyph)| glyph).collect();
            match run.first().map(|(ink, _)| ink) {
                Some(Ink::Forecast) => out.push_str(&paint.forecast(&text)),
                Some(Ink::Faint) => out.push_str(&paint.faint(&text)),
                _ => out.push_str(&text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::figure::of_tables;
    use tmoe_data::{Series, Table, TimeColumn};

    fn figure(history: Vec<f64>, forecast: Vec<f32>) -> Figure {
        let days = (1..=28).map(|day| format!("2024-02-{day:02}")).collect::<Vec<_>>();
        let time = TimeColumn::from_texts("date", days.iter().map(String::as_str)).expect("valid");
        let (past, future) = (history.len(), forecast.len());
        of_tables(
            "",
            &Table { time: Some(time.slice(0..past)), series: vec![Series::new("load", history)] },
            &Table {
                time: Some(time.slice(past..past + future)),
                series: vec![Series::new("load", forecast)],
            },
        )
    }

    fn ramp() -> Figure {
        figure((0..16).map(f64::from).collect(), vec![12.0, 9.0, 6.0, 3.0])
    }

    const SMALL: Style = Style { width: 44, height: 8, colors: false };

    #[test]
    fn a_small_panel_is_drawn_exactly_so() {
        let expected = "\
load                      history ┊ forecast
15.00 ┤                        ⢀⣀⠤⠒⠊⠑⡄
      │                  ⣀⠤⠔⠒⠊⠉⠁    ┊⠈⠢⡀
      │           ⢀⣀⠤⠤⠒⠒⠉           ┊  ⠈⠢⢄
      │     ⢀⣀⠤⠤⠒⠊⠁                 ┊     ⠑⢄
 0.00 ┤⣀⡠⠤⠒⠉⠁                       ┊
      └─────────────────────────────┴───────
       2024-02-01      2024-02-17 2024-02-20
";
        assert_eq!(render(&ramp(), SMALL), expected);
    }

    #[test]
    fn colors_mark_the_forecast_and_change_nothing_else() {
        let colored = render(&ramp(), Style { colors: true, ..SMALL });
        assert!(colored.contains(FORECAST_COLOR));
        let plain = [FORECAST_COLOR, FAINT, RESET].iter().fold(colored, |text, code| text.replace(code, ""));
        assert_eq!(plain, render(&ramp(), SMALL));
    }

    #[test]
    fn missing_points_leave_gaps() {
        let figure = figure(vec![1.0, f64::NAN, 1.0, 2.0], vec![f32::NAN, 1.0]);
        let expected = "\
load                      history ┊ forecast
2.00 ┤                    ⢀⠔⠊
     │                 ⢀⡠⠊⠁ ┊
1.00 ┤⡀              ⡠⠔⠁    ┊              ⢀
     └──────────────────────┴───────────────
      2024-02-01       2024-02-05 2024-02-06
";
        assert_eq!(render(&figure, Style { height: 6, ..SMALL }), expected);
    }

    #[test]
    fn every_size_is_kept_to_and_every_figure_is_drawn() {
        for figure in
            [ramp(), figure(vec![], vec![]), figure(vec![5.0], vec![]), figure(vec![f64::NAN], vec![1.0])]
        {
            for (width, height) in [(0, 0), (30, 6), (80, 24), (200, 50)] {
                let text = render(&figure, Style { width, height, colors: false });
                assert_eq!(text.lines().count(), height.max(MIN_HEIGHT));
                let widest = text.lines().map(|line| line.chars().count()).max();
                assert!(widest <= Some(width.max(MIN_WIDTH)), "{width}x{height}\n{text}");
            }
        }
    }
}

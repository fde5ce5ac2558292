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
//!
//! What came true is drawn as circles, and the bounds of the widest prediction interval as faint
//! dots:
//!
//! ```text
//! load            history ┊ forecast  ○ truth ● on forecast  ⠂⠂ 95 %
//! 15.00 ┤                                         ⣀⡠⠤⠒⠊⠑⢄⡀      ○
//!       │                                   ⣀⡠⠤⠒⠊⠉     ┊ ⠈●⡀⡀○
//!       │                            ⢀⣀⡠⠤⠒⠊⠉           ┊   ⠈⠢⡀⠁⠂⠄⠄⡀
//!       │                      ⢀⣀⠤⠔⠒⠉⠁                 ┊    ⠂⠈⠢⡀   ⠁
//!       │               ⣀⣀⡠⠤⠔⠒⠉⠁                       ┊     ⠁⡀⠈⠢⡀
//!       │        ⢀⣀⠤⠤⠒⠊⠉                               ┊       ⠄ ⠈⠒⢄
//!       │  ⢀⣀⠤⠔⠒⠉⠁                                     ┊        ⠂
//!       │⠒⠉⠁                                           ┊         ⠂
//! −3.00 ┤                                              ┊          ⠁⡀
//!       └──────────────────────────────────────────────┴────────────
//!        2024-02-01                          2024-02-17   2024-02-20
//! ```

mod dots;
mod title;

use dots::{Bound, Dots};

use crate::plot::axis::value_label;
use crate::plot::figure::{Figure, Panel, Part};

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Width in characters; at least [`MIN_WIDTH`] are used.
    pub width: usize,
    /// Height in lines; at least [`MIN_HEIGHT`] are used.
    pub height: usize,
    /// Whether to colour the forecast and what came true with ANSI escape codes. Without colours the
    /// line at its beginning tells the forecast from the history, and signs the rest.
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
    let is_future = |(position, _): &(usize, f64)| *position >= start;
    for run in panel.runs(Part::Truth) {
        run.into_iter().filter(is_future).for_each(|point| dots.mark(place(point)));
    }
    for run in panel.bands.first().map(|band| panel.band_runs(band)).unwrap_or_default() {
        for bound in [Bound::Lower, Bound::Upper] {
            let points = run.iter().map(|(position, (low, high))| match bound {
                Bound::Lower => (*position, *low),
                Bound::Upper => (*position, *high),
            });
            let points: Vec<(usize, usize)> = points.filter(is_future).map(place).collect();
            dots.draw_bound(&points, bound);
        }
    }
    let has_forecast = start > 0 && !panel.forecast.values.is_empty();
    let boundary = has_forecast.then(|| place((start - 1, low)).0 / 2);

    let mut out = title::line(panel, width, paint);
    for row in 0..rows {
        let (label, tick) = match row {
            0 => (high_label.as_str(), '┤'),
            _ if row + 1 == rows => (low_label.as_str(), '┤'),
            _ => ("", '│'),
        };
        let gutter = format!("{label:>gutter$} {tick}");
        out.push_str(&paint.text(Ink::Faint, &gutter));
        dots.write_row(&mut out, row, boundary, paint);
        out.push('\n');
    }
    let axis: String = (0..columns).map(|column| if Some(column) == boundary { '┴' } else { '─' }).collect();
    let axis = format!("{:gutter$} └{axis}", "");
    out.push_str(&paint.text(Ink::Faint, &axis));
    out.push('\n');
    let labels = time_labels(panel, columns, boundary);
    let labels = format!("{:gutter$}  {labels}", "");
    out.push_str(&paint.text(Ink::Faint, labels.trim_end()));
    out.push('\n');
    out
}

/// The dot, of `count`, at a share of the whole; casts saturate and a share that is no number is 0.
fn dot_at(share: f64, count: usize) -> usize {
    let last = count.saturating_sub(1);
    ((share * last as f64).round() as usize).min(last)
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

/// Whether to write escape codes.
#[derive(Debug, Clone, Copy)]
struct Paint {
    colors: bool,
}

/// What a character belongs to, and so its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Plain,
    Faint,
    Forecast,
    Truth,
    Bound,
}

impl Ink {
    /// The colours are the palette's that are nearest to those of pictures.
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Faint => "\x1b[2m",
            Self::Forecast => "\x1b[38;5;208m",
            Self::Truth => "\x1b[38;5;36m",
            Self::Bound => "\x1b[2;38;5;208m",
        }
    }
}

impl Paint {
    fn text(self, ink: Ink, text: &str) -> String {
        match ink.code() {
            code if self.colors && !code.is_empty() && !text.is_empty() => format!("{code}{text}{RESET}"),
            _ => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::band::Band;
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

    /// The same with prediction intervals and what came true.
    fn judged() -> Figure {
        let band = |level, width: f64| Band {
            level,
            lower: [12.0, 9.0, 6.0, 3.0]
                .iter()
                .enumerate()
                .map(|(n, value)| value - width * n as f64)
                .collect(),
            upper: [12.0, 9.0, 6.0, 3.0]
                .iter()
                .enumerate()
                .map(|(n, value)| value + width * n as f64)
                .collect(),
        };
        let mut figure = ramp();
        let panel = figure.panels.pop().expect("one series");
        let bands = vec![band(80.0, 1.0), band(95.0, 2.0)];
        figure.panels.push(panel.with_bands(bands).with_truth(&[12.0, 12.0, 14.0]));
        figure
    }

    fn without_colors(text: String) -> String {
        let inks = [Ink::Faint, Ink::Forecast, Ink::Truth, Ink::Bound];
        inks.iter().map(|ink| ink.code()).chain([RESET]).fold(text, |text, code| text.replace(code, ""))
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
    fn truth_is_drawn_as_circles_and_the_widest_interval_as_dots() {
        let expected = "\
load            history ┊ forecast  ○ truth ● on forecast  ⠂⠂ 95 %
15.00 ┤                                         ⣀⡠⠤⠒⠊⠑⢄⡀      ○
      │                                   ⣀⡠⠤⠒⠊⠉     ┊ ⠈●⡀⡀○
      │                            ⢀⣀⡠⠤⠒⠊⠉           ┊   ⠈⠢⡀⠁⠂⠄⠄⡀
      │                      ⢀⣀⠤⠔⠒⠉⠁                 ┊    ⠂⠈⠢⡀   ⠁
      │               ⣀⣀⡠⠤⠔⠒⠉⠁                       ┊     ⠁⡀⠈⠢⡀
      │        ⢀⣀⠤⠤⠒⠊⠉                               ┊       ⠄ ⠈⠒⢄
      │  ⢀⣀⠤⠔⠒⠉⠁                                     ┊        ⠂
      │⠒⠉⠁                                           ┊         ⠂
−3.00 ┤                                              ┊          ⠁⡀
      └──────────────────────────────────────────────┴────────────
       2024-02-01                          2024-02-17   2024-02-20
";
        assert_eq!(render(&judged(), Style { width: 66, height: 12, ..SMALL }), expected);
    }

    #[test]
    fn a_narrow_title_keeps_what_cannot_be_guessed() {
        let title = |width| {
            let text = render(&judged(), Style { width, ..SMALL });
            text.lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(title(60), "load      history ┊ forecast  ○ truth ● on forecast  ⠂⠂ 95 %");
        assert_eq!(title(44), "load    history ┊ forecast  ○ truth  ⠂⠂ 95 %");
        assert_eq!(title(30), "load          ○ truth  ⠂⠂ 95 %");
    }

    #[test]
    fn colors_mark_the_forecast_and_change_nothing_else() {
        let colored = render(&ramp(), Style { colors: true, ..SMALL });
        assert!(colored.contains(Ink::Forecast.code()) && !colored.contains(Ink::Truth.code()));
        assert_eq!(without_colors(colored), render(&ramp(), SMALL));
        let colored = render(&judged(), Style { colors: true, ..SMALL });
        for ink in [Ink::Forecast, Ink::Truth, Ink::Bound] {
            assert!(colored.contains(ink.code()), "{ink:?}");
        }
        assert_eq!(without_colors(colored), render(&judged(), SMALL));
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
        for figure in [
            ramp(),
            judged(),
            figure(vec![], vec![]),
            figure(vec![5.0], vec![]),
            figure(vec![f64::NAN], vec![1.0]),
        ] {
            for (width, height) in [(0, 0), (30, 6), (80, 24), (200, 50)] {
                let text = render(&figure, Style { width, height, colors: false });
                assert_eq!(text.lines().count(), height.max(MIN_HEIGHT));
                let widest = text.lines().map(|line| line.chars().count()).max();
                assert!(widest <= Some(width.max(MIN_WIDTH)), "{width}x{height}\n{text}");
            }
        }
    }
}

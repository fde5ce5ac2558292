//! What a plot shows, whatever draws it.

#[cfg(test)]
use tmoe_data::Table;
use tmoe_data::TimeColumn;

/// The most series that one figure shows; its title says how many more there are.
pub const MAX_PANELS: usize = 12;

/// How many points of history are shown for every point of the forecast.
const HISTORY_PER_FORECAST_POINT: usize = 4;

/// The fewest points of history to show, so that a short forecast is seen in its context.
const MIN_HISTORY: usize = 48;

/// Values beyond this are left out, as their distance could overflow.
const LARGEST_SHOWN: f64 = 1e300;

/// One panel per series.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The line above the panels; says what is forecast.
    pub title: String,
    /// The panels, at most [`MAX_PANELS`].
    pub panels: Vec<Panel>,
    /// How many series are not shown.
    pub hidden: usize,
}

/// One series: the end of its history and its forecast.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The series' name.
    pub name: String,
    /// The last points before the forecast, oldest first.
    pub history: Trace,
    /// The forecast.
    pub forecast: Trace,
}

/// What is known of a series.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The time stamps; without any, they are steps that end at 0.
    pub time: Option<&'a TimeColumn>,
    /// The values; NaN where a point is missing.
    pub values: &'a [f64],
}

/// Values along a time axis; NaN stands for a missing point and leaves a gap.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The time stamps, one per value.
    pub time: TimeColumn,
    /// The values.
    pub values: Vec<f64>,
}

impl Figure {
    /// A figure of panels, at most [`MAX_PANELS`], of which `hidden` more series have none.
    #[must_use]
    pub fn of(title: impl Into<String>, panels: Vec<Panel>, hidden: usize) -> Self {
        Self { title: printable(&title.into()), panels, hidden }
    }

    /// The title, with the number of series that are not shown.
    #[must_use]
    pub fn full_title(&self) -> String {
        match self.hidden {
            0 => self.title.clone(),
            hidden => format!("{} (first {} series; {hidden} more not shown)", self.title, self.panels.len()),
        }
    }
}

impl Panel {
    /// A panel with as much of the history as gives the forecast a proportionate share of the width.
    #[must_use]
    pub fn new(name: &str, history: Past<'_>, forecast_time: &TimeColumn, forecast: &[f32]) -> Self {
        let wanted = forecast.len().saturating_mul(HISTORY_PER_FORECAST_POINT).max(MIN_HISTORY);
        let end = history.values.len();
        let start = end.saturating_sub(wanted);
        let time = match history.time {
            Some(time) => time.slice(start..end),
            None => TimeColumn::steps_to_zero(end - start),
        };
        Self {
            name: printable(name),
            history: Trace { time, values: history.values.get(start..).unwrap_or_default().to_vec() },
            forecast: Trace {
                time: forecast_time.clone(),
                values: forecast.iter().copied().map(f64::from).collect(),
            },
        }
    }

    /// The number of points: history, then forecast.
    #[must_use]
    pub fn len(&self) -> usize {
        self.history.values.len() + self.forecast.values.len()
    }

    /// Whether there is no point at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The smallest and largest value that is shown, never equal; `None` when all are missing.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        let values =
            self.history.values.iter().chain(&self.forecast.values).copied().filter(|v| is_shown(*v));
        let (low, high) = values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        // A constant series is drawn in the middle.
        let margin = if high - low > low.abs() * 1e-12 { 0.0 } else { (low.abs() * 0.05).max(0.5) };
        Some((low - margin, high + margin))
    }

    /// The runs of points without gaps: positions from the start of the panel, and values. The
    /// forecast's first run starts at the last point of history, if that is not missing.
    pub(super) fn runs(&self, part: Part) -> Vec<Vec<(usize, f64)>> {
        let first = self.history.values.len();
        match part {
            Part::History => runs((0..).zip(self.history.values.iter().copied())),
            Part::Forecast => {
                let joint = first.checked_sub(1).zip(self.history.values.last().copied());
                runs(joint.into_iter().chain((first..).zip(self.forecast.values.iter().copied())))
            }
        }
    }
}

/// A part of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    History,
    Forecast,
}

/// A text without the characters that steer terminals or cannot stand in XML.
fn printable(text: &str) -> String {
    let is_hidden = |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.chars().map(|c| if is_hidden(c) { '\u{FFFD}' } else { c }).collect()
}

fn is_shown(value: f64) -> bool {
    value.abs() <= LARGEST_SHOWN
}

fn runs(points: impl Iterator<Item = (usize, f64)>) -> Vec<Vec<(usize, f64)>> {
    let mut runs = Vec::new();
    let mut run = Vec::new();
    for (position, value) in points {
        if is_shown(value) {
            run.push((position, value));
        } else if !run.is_empty() {
            runs.push(std::mem::take(&mut run));
        }
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

/// A figure of the first series of a forecast that was made from a table.
#[cfg(test)]
pub(super) fn of_tables(title: &str, history: &Table<f64>, forecast: &Table<f32>) -> Figure {
    let time = forecast.time.clone().unwrap_or_else(|| TimeColumn::steps(1, forecast.rows()));
    let pairs = history.series.iter().zip(&forecast.series);
    let panels = pairs.take(MAX_PANELS).map(|(past, future)| {
        let history = Past { time: history.time.as_ref(), values: &past.values };
        Panel::new(&past.name, history, &time, &future.values)
    });
    Figure::of(title, panels.collect(), forecast.series.len().saturating_sub(MAX_PANELS))
}

#[cfg(test)]
mod tests {
    use tmoe_data::Series;

    use super::*;

    fn table<T>(values: impl IntoIterator<Item = Vec<T>>) -> Table<T> {
        let named =
            (1..).zip(values).map(|(count, values): (i32, _)| Series { name: format!("s{count}"), values });
        Table { time: None, series: named.collect() }
    }

    #[test]
    fn the_history_shown_is_proportionate_to_the_horizon() {
        let history = table([vec![0.0; 1000]]);
        let shown = |horizon| {
            let figure = of_tables("", &history, &table([vec![0.0; horizon]]));
            figure.panels.first().map_or(0, |panel| panel.history.values.len())
        };
        assert_eq!(shown(96), 384);
        assert_eq!(shown(1), MIN_HISTORY);
        assert_eq!(shown(720), 1000);
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        let history = Table { time: None, series: vec![Series::new("a\u{1b}[2J\n", vec![1.0])] };
        let figure = of_tables("t\u{7}", &history, &table([vec![1.0]]));
        assert_eq!(figure.title, "t\u{FFFD}");
        assert_eq!(figure.panels.first().map(|panel| panel.name.as_str()), Some("a\u{FFFD}[2J\u{FFFD}"));
    }

    #[test]
    fn series_beyond_the_limit_are_counted_in_the_title() {
        let figure = of_tables("Forecast", &table(vec![vec![1.0]; 20]), &table(vec![vec![1.0]; 20]));
        assert_eq!(figure.panels.len(), 12);
        assert_eq!(figure.full_title(), "Forecast (first 12 series; 8 more not shown)");
    }

    #[test]
    fn without_a_time_axis_the_history_ends_with_step_zero() {
        let figure = of_tables("", &table([vec![1.0, 2.0, 3.0]]), &table([vec![4.0, 5.0]]));
        let panel = figure.panels.first().expect("one series");
        assert_eq!(panel.history.time.texts(), ["-2", "-1", "0"]);
        assert_eq!(panel.forecast.time.texts(), ["1", "2"]);
    }

    #[test]
    fn missing_points_leave_gaps_and_the_forecast_starts_at_the_last_point() {
        let figure =
            of_tables("", &table([vec![1.0, f64::NAN, 3.0]]), &table([vec![4.0, f32::INFINITY, 6.0]]));
        let panel = figure.panels.first().expect("one series");
        assert_eq!(panel.runs(Part::History), [vec![(0, 1.0)], vec![(2, 3.0)]]);
        assert_eq!(panel.runs(Part::Forecast), [vec![(2, 3.0), (3, 4.0)], vec![(5, 6.0)]]);
        assert_eq!(panel.range(), Some((1.0, 6.0)));
    }

    #[test]
    fn a_constant_series_has_a_range_and_an_empty_one_has_none() {
        let range = |values: Vec<f64>| {
            of_tables("", &table([values]), &table([vec![]])).panels.first().and_then(Panel::range)
        };
        assert_eq!(range(vec![10.0; 3]), Some((9.5, 10.5)));
        assert_eq!(range(vec![0.0]), Some((-0.5, 0.5)));
        assert_eq!(range(vec![f64::NAN; 3]), None);
    }
}

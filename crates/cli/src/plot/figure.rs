//! What a plot shows, whatever draws it.

#[cfg(test)]
use tmoe_data::Table;
use tmoe_data::TimeColumn;

use crate::plot::band::Band;

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

/// One series: the end of its history, its forecast, and what is known about how good that is.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The series' name.
    pub name: String,
    /// The last points before the forecast, oldest first.
    pub history: Trace,
    /// The forecast.
    pub forecast: Trace,
    /// The forecast's prediction intervals, the widest level first; none where none are known.
    pub bands: Vec<Band>,
    /// What came true, from the forecast's first time stamp on; empty where it is not known, and NaN
    /// where a point is missing.
    pub truth: Vec<f64>,
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
            bands: Vec::new(),
            truth: Vec::new(),
        }
    }

    /// The same panel with the forecast's prediction intervals, in any order; bounds beyond the
    /// forecast's end are left out.
    #[must_use]
    pub fn with_bands(mut self, mut bands: Vec<Band>) -> Self {
        let points = self.forecast.values.len();
        for band in &mut bands {
            band.lower.truncate(points);
            band.upper.truncate(points);
        }
        bands.sort_by(|a, b| b.level.total_cmp(&a.level));
        self.bands = bands;
        self
    }

    /// The same panel with the values that came true at the forecast's time stamps, from the first
    /// on; values beyond the forecast's end are left out.
    #[must_use]
    pub fn with_truth(mut self, truth: &[f64]) -> Self {
        self.truth = truth.iter().copied().take(self.forecast.values.len()).collect();
        self
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
        let bounds = self.bands.iter().flat_map(|band| band.lower.iter().chain(&band.upper));
        let values = self.history.values.iter().chain(&self.forecast.values).chain(&self.truth).chain(bounds);
        let (low, high) = values
            .copied()
            .filter(|value| is_shown(*value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        // A constant series is drawn in the middle.
        let margin = if high - low > low.abs() * 1e-12 { 0.0 } else { (low.abs() * 0.05).max(0.5) };
        Some((low - margin, high + margin))
    }

    /// The runs of points without gaps: positions from the start of the panel, and values. What
    /// follows the history starts at its last point, if that is not missing.
    pub(super) fn runs(&self, part: Part) -> Vec<Vec<(usize, f64)>> {
        let shown = |value: &f64| Some(*value).filter(|value| is_shown(*value));
        match part {
            Part::History => runs((0..).zip(self.history.values.iter().map(shown))),
            Part::Forecast => self.joined(self.last_known(), self.forecast.values.iter().map(shown)),
            Part::Truth => self.joined(self.last_known(), self.truth.iter().map(shown)),
        }
    }

    /// The same runs of a band, with its lower and upper bounds; it widens from the last point of the
    /// history, which is certain.
    pub(super) fn band_runs(&self, band: &Band) -> Vec<Vec<(usize, (f64, f64))>> {
        let bounds = band.bounds().map(|(a, b)| (is_shown(a) && is_shown(b)).then(|| (a.min(b), a.max(b))));
        self.joined(self.last_known().map(|value| (value, value)), bounds)
    }

    /// Whether any value of a part is shown.
    pub(super) fn has(&self, part: Part) -> bool {
        let values = match part {
            Part::History => &self.history.values,
            Part::Forecast => &self.forecast.values,
            Part::Truth => &self.truth,
        };
        values.iter().any(|value| is_shown(*value))
    }

    fn last_known(&self) -> Option<f64> {
        self.history.values.last().copied().filter(|value| is_shown(*value))
    }

    /// The runs of what follows the history, the first one joined to its last point.
    fn joined<T>(&self, last: Option<T>, values: impl Iterator<Item = Option<T>>) -> Vec<Vec<(usize, T)>> {
        let first = self.history.values.len();
        let joint = first.checked_sub(1).map(|position| (position, last));
        let mut runs = runs(joint.into_iter().chain((first..).zip(values)));
        // The joint by itself is a point of the history alone.
        runs.retain(|run| run.last().is_some_and(|(position, _)| *position >= first));
        runs
    }
}

/// A part of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    History,
    Forecast,
    Truth,
}

/// A text without the characters that steer terminals or cannot stand in XML.
fn printable(text: &str) -> String {
    let is_hidden = |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.chars().map(|c| if is_hidden(c) { '\u{FFFD}' } else { c }).collect()
}

/// Whether a value can be drawn.
pub(super) fn is_shown(value: f64) -> bool {
    value.abs() <= LARGEST_SHOWN
}

/// Splits points at those without a value.
fn runs<T>(points: impl Iterator<Item = (usize, Option<T>)>) -> Vec<Vec<(usize, T)>> {
    let mut runs = Vec::new();
    let mut run = Vec::new();
    for (position, value) in points {
        match value {
            Some(value) => run.push((position, value)),
            None if run.is_empty() => {}
            None => runs.push(std::mem::take(&mut run)),
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

    fn panel(history: Vec<f64>, forecast: Vec<f32>) -> Panel {
        let mut panels = of_tables("", &table([history]), &table([forecast])).panels;
        panels.pop().expect("one series")
    }

    fn band(level: f64, lower: Vec<f64>, upper: Vec<f64>) -> Band {
        Band { level, lower, upper }
    }

    #[test]
    fn bands_and_truth_are_within_the_range() {
        let plain = panel(vec![1.0], vec![2.0, 3.0]);
        assert_eq!(plain.range(), Some((1.0, 3.0)));
        let true_to = plain.clone().with_truth(&[f64::NAN, 7.0]);
        assert_eq!(true_to.range(), Some((1.0, 7.0)));
        let bands = vec![band(80.0, vec![1.5, f64::NAN], vec![2.5, 4.0]), band(95.0, vec![-4.0], vec![3.0])];
        assert_eq!(plain.with_bands(bands).range(), Some((-4.0, 4.0)));
        let alone = panel(vec![], vec![f32::NAN]).with_bands(vec![band(50.0, vec![2.0], vec![6.0])]);
        assert_eq!(alone.range(), Some((2.0, 6.0)));
    }

    #[test]
    fn the_widest_band_comes_first_and_nothing_outlasts_the_forecast() {
        let levels = [80.0, 99.0, 95.0].map(|level| band(level, vec![0.0; 5], vec![1.0; 5]));
        let panel = panel(vec![1.0], vec![2.0, 3.0]).with_bands(levels.to_vec()).with_truth(&[1.0; 5]);
        let shown: Vec<_> = panel.bands.iter().map(|band| (band.level, band.bounds().count())).collect();
        assert_eq!(shown, [(99.0, 2), (95.0, 2), (80.0, 2)]);
        assert_eq!(panel.truth, [1.0, 1.0]);
    }

    #[test]
    fn bands_and_truth_start_at_the_last_point_and_have_gaps() {
        let panel = panel(vec![5.0, 3.0], vec![4.0; 4])
            .with_truth(&[2.0, f64::NAN, 4.0])
            .with_bands(vec![band(90.0, vec![2.0, 1.0, 1.0, 3.0], vec![4.0, f64::NAN, 1e301, 2.0])]);
        assert_eq!(panel.runs(Part::Truth), [vec![(1, 3.0), (2, 2.0)], vec![(4, 4.0)]]);
        let runs: Vec<_> = panel.bands.iter().flat_map(|band| panel.band_runs(band)).collect();
        assert_eq!(runs, [vec![(1, (3.0, 3.0)), (2, (2.0, 4.0))], vec![(5, (2.0, 3.0))]]);
    }

    #[test]
    fn the_last_point_of_the_history_alone_is_no_run_of_the_forecast() {
        let panel = panel(vec![3.0], vec![f32::NAN, 1.0]).with_truth(&[f64::NAN]);
        assert_eq!(panel.runs(Part::Forecast), [vec![(2, 1.0)]]);
        assert!(panel.runs(Part::Truth).is_empty());
        assert!(panel.has(Part::Forecast) && !panel.has(Part::Truth));
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

//! What was measured, as tables for people.

use tmoe_backtest::Report;
use tmoe_backtest::metrics::{IntervalErrors, PointErrors};
use tmoe_backtest::time_moe::Split;

use super::Scale;
use super::contestant::Name;
use super::protocol::{ChannelErrors, Evaluated as ProtocolEvaluated};
use super::rolling::{Evaluated, Measurement};
use super::setup::Setup;
use crate::intervals::Level;
use crate::text::table;

/// The metrics of points, in the order of the columns.
const METRICS: [&str; 7] = ["MSE", "MAE", "RMSE", "MASE", "sMAPE", "WAPE", "WQL"];

/// Errors of all contestants, then their intervals.
pub(super) fn rolling(
    setup: &Setup,
    evaluated: &Evaluated,
    measurements: &[Measurement],
    per_series: bool,
) -> String {
    // Lines of single series stand above.
    let mut text = if per_series { "\n".to_owned() } else { String::new() };
    text += &head(setup, evaluated, measurements);
    text += &errors(measurements);
    if !setup.levels.is_empty() {
        text += "\n";
        text += &intervals(&setup.levels, measurements);
    }
    text
}

fn head(setup: &Setup, evaluated: &Evaluated, measurements: &[Measurement]) -> String {
    let windows = measurements.first().map_or(0, |measurement| measurement.overall.windows);
    let seasons = match (evaluated.seasons.first(), evaluated.seasons.last()) {
        (Some(first), Some(last)) if first != last => format!("seasons {first} to {last}"),
        (Some(season), _) => format!("season {season}"),
        _ => String::new(),
    };
    let unit = match setup.scale {
        Scale::None => "",
        Scale::Series => ", in standard deviations of each series",
    };
    format!(
        "{}: {} series, {windows} windows, context {}, horizon {}, stride {}, {seasons}{unit}\n",
        setup.input.display(),
        evaluated.series,
        setup.context,
        setup.horizon,
        setup.stride,
    )
}

fn errors(measurements: &[Measurement]) -> String {
    let packages = measurements.iter().filter(|row| matches!(row.name, Name::Package { .. })).count();
    let first = measurements.first().and_then(|first| first.overall.points.mse());
    let mut header = vec!["model", "precision", "on"];
    header.extend(METRICS);
    if packages > 1 {
        header.push("MSE against the first");
    }
    let rows: Vec<Vec<String>> = measurements
        .iter()
        .map(|Measurement { name, overall, .. }| {
            let mut row = name.columns().to_vec();
            row.extend(metrics(overall));
            if packages > 1 {
                row.push(change(mse_change(&overall.points, first)));
            }
            row
        })
        .collect();
    table(&header, &rows)
}

/// Difference of the mean squared error from the first's, relative to that.
pub(super) fn mse_change(points: &PointErrors, first: Option<f64>) -> Option<f64> {
    let (mse, first) = (points.mse()?, first?);
    // Of two models without any error neither is worse.
    if mse == first { Some(0.0) } else { Some(mse / first - 1.0) }
}

fn intervals(levels: &[Level], measurements: &[Measurement]) -> String {
    let mut header = vec!["intervals".to_owned()];
    for level in levels {
        header.extend([format!("{level} % cover"), "mean width".to_owned()]);
    }
    let rows: Vec<Vec<String>> = measurements
        .iter()
        .map(|Measurement { name, overall, .. }| {
            let [model, ..] = name.columns();
            let cells =
                overall.intervals.iter().flat_map(|errors| [coverage(errors), number(errors.mean_width())]);
            std::iter::once(model).chain(cells).collect()
        })
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    table(&header, &rows)
}

fn metrics(report: &Report) -> [String; 7] {
    let points = &report.points;
    [
        number(points.mse()),
        number(points.mae()),
        number(points.rmse()),
        number(points.mase()),
        percent(points.smape()),
        number(points.wape()),
        number(report.quantiles.weighted_quantile_loss()),
    ]
}

fn coverage(errors: &IntervalErrors) -> String {
    percent(errors.coverage().map(|coverage| coverage * 100.0))
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2} %"))
}

/// With five digits that count, or more before the point.
pub(super) fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e9).contains(&size) {
        return format!("{value:.4e}");
    }
    let before_the_point = size.log10().floor() as i32;
    format!("{value:.*}", usize::try_from(4 - before_the_point).unwrap_or(0))
}

/// Errors of all packages in the evaluation of the Time-MoE paper, with as many digits as it takes to compare them.
pub(super) fn time_moe(evaluated: &ProtocolEvaluated, per_series: bool) -> String {
    let split = match evaluated.split {
        Split::EttHourly => "12, 4 and 4 months of hours",
        Split::EttQuarterHourly => "12, 4 and 4 months of quarter hours",
        Split::Fractions => "70, 10 and 20 % of the rows",
    };
    let first = evaluated.models.first().map(|(_, channels)| ChannelErrors::total(channels));
    let mut text = format!(
        "{}: Time-MoE protocol, {} channels, {} windows of the test split ({split}), context {}, horizon {}\n",
        evaluated.input.display(),
        evaluated.channels.len(),
        first.map_or(0, |first| first.windows),
        evaluated.context,
        evaluated.horizon,
    );
    let mut header = vec!["model", "precision", "on", "MSE", "MAE"];
    if evaluated.models.len() > 1 {
        header.push("MSE against the first");
    }
    let rows: Vec<Vec<String>> = evaluated
        .models
        .iter()
        .map(|(name, channels)| {
            let points = ChannelErrors::total(channels).points;
            let mut row = name.columns().to_vec();
            row.extend([seven_places(points.mse()), seven_places(points.mae())]);
            if evaluated.models.len() > 1 {
                row.push(change(mse_change(&points, first.and_then(|first| first.points.mse()))));
            }
            row
        })
        .collect();
    text += &table(&header, &rows);
    if per_series {
        text += "\n";
        text += &channels(evaluated);
    }
    text
}

fn channels(evaluated: &ProtocolEvaluated) -> String {
    let mut rows = Vec::new();
    for (index, channel) in evaluated.channels.iter().enumerate() {
        for (name, errors) in &evaluated.models {
            let Some(ChannelErrors { windows, points }) = errors.get(index) else { continue };
            let [model, ..] = name.columns();
            let errors = [seven_places(points.mse()), seven_places(points.mae())];
            rows.push([channel.clone(), model, windows.to_string()].into_iter().chain(errors).collect());
        }
    }
    table(&["series", "model", "windows", "MSE", "MAE"], &rows)
}

fn seven_places(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.7}"))
}

fn change(change: Option<f64>) -> String {
    change.map_or_else(|| "-".to_owned(), |change| format!("{:+.3} %", change * 100.0))
}

/// Errors of series one by one, printed as they come: a line per series and contestant, in columns of fixed width.
pub(super) struct SeriesLines {
    models: Vec<String>,
    width: usize,
    header: Option<String>,
}

/// Room for a series' name.
const ID_WIDTH: usize = 20;

impl SeriesLines {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a Name>, setup: &Setup) -> Self {
        let models: Vec<String> = names.map(|name| name.columns()[0].clone()).collect();
        let width = models.iter().map(|model| model.chars().count()).max().unwrap_or(0);
        let cover = setup.levels.iter().map(|level| format!("{level} % cover"));
        let titles: Vec<String> = METRICS.iter().map(|&title| title.to_owned()).chain(cover).collect();
        let header = Some(line("series", "model", width, "windows", &titles));
        Self { models, width, header }
    }

    /// The lines of one series, one per contestant; the first come under a header.
    pub(super) fn of(&mut self, id: &str, reports: &[Report]) -> String {
        let mut text = self.header.take().unwrap_or_default();
        for (model, report) in self.models.iter().zip(reports) {
            let cells: Vec<String> =
                metrics(report).into_iter().chain(report.intervals.iter().map(coverage)).collect();
            text += &line(id, model, self.width, &report.windows.to_string(), &cells);
        }
        text
    }
}

fn line(id: &str, model: &str, width: usize, windows: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!("  {cell:>10}")).collect();
    format!("{id:<ID_WIDTH$}  {model:<width$}  {windows:>7}{cells}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits_that_count() {
        let found = [0.357_12, 1.015_334, 12.345_678, 123_456.7, 0.000_123_456, 1.5e-7, 0.0, 2.5e12]
            .map(|value| number(Some(value)));
        assert_eq!(
            found,
            ["0.35712", "1.0153", "12.346", "123457", "0.00012346", "1.5000e-7", "0", "2.5000e12"]
        );
        assert_eq!((number(None), number(Some(f64::NAN))), ("-".to_owned(), "NaN".to_owned()));
    }

    #[test]
    fn the_difference_is_relative_to_the_first() {
        let points = |error: f64| {
            let mut points = PointErrors::default();
            points.add(&[0.0], &[error], None).unwrap();
            points
        };
        assert_eq!(mse_change(&points(2.0), Some(1.0)), Some(3.0));
        assert_eq!(mse_change(&points(0.0), Some(0.0)), Some(0.0));
        assert_eq!(mse_change(&PointErrors::default(), Some(1.0)), None);
    }
}

//! The newest window of a series as a picture: what was known, what was forecast, and what came true.

use std::collections::BTreeMap;

use tmoe_backtest::Measured;
use tmoe_cli::plot::{Band, MAX_PANELS, Panel, Past};
use tmoe_data::TimeColumn;

use super::series::{Group, Member};
use crate::intervals::Level;

/// Newest windows of the first series of a group, by place.
#[derive(Default)]
pub(super) struct Newest(BTreeMap<usize, Panel>);

impl Newest {
    /// A window that was measured; each series' newest comes first.
    pub(super) fn see(&mut self, measured: &Measured<'_>, group: &Group, levels: &[Level]) {
        let place = measured.window.series;
        if self.0.contains_key(&place) || self.0.len() >= MAX_PANELS {
            return;
        }
        if let Some(member) = group.series.get(place) {
            self.0.insert(place, panel(measured, member, levels));
        }
    }

    pub(super) fn take(&mut self, place: usize) -> Option<Panel> {
        self.0.remove(&place)
    }
}

/// In the unit of the file, whatever the errors' unit is.
fn panel(measured: &Measured<'_>, member: &Member, levels: &[Level]) -> Panel {
    let (origin, points) = (measured.window.origin(), measured.forecast.len());
    let (history, rest) = member.series.values.split_at(origin);
    let forecast: Vec<f64> = measured.forecast.iter().map(|&value| f64::from(value)).collect();
    let in_unit =
        |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value * member.deviation).collect() };
    let band = |level: &Level| {
        let interval = measured.distribution?.interval(level.fraction(), &forecast).ok()?;
        Some(Band {
            level: level.percent(),
            lower: in_unit(&interval.lower),
            upper: in_unit(&interval.upper),
        })
    };
    let times = member.series.time.as_deref();
    let known = times.map(|time| time.slice(0..origin));
    let forecast_times =
        times.map_or_else(|| TimeColumn::steps(1, points), |time| time.slice(origin..origin + points));
    let shown: Vec<f32> = in_unit(&forecast).iter().map(|&value| value as f32).collect();
    let past = Past { time: known.as_ref(), values: history };
    Panel::new(&member.series.id, past, &forecast_times, &shown)
        .with_bands(levels.iter().filter_map(band).collect())
        .with_truth(rest)
}

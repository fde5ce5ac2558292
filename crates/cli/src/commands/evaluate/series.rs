//! Series that are backtested together.

use std::collections::BTreeMap;

use tmoe_backtest::Window;
use tmoe_data::TimeSeries;
use tmoe_runner::Normalization;

use super::Scale;
use super::season;

/// Series with seasons of the same length.
pub(super) struct Group {
    pub(super) season: usize,
    pub(super) series: Vec<Member>,
}

/// A series, and the unit of its errors.
pub(super) struct Member {
    pub(super) series: TimeSeries,
    /// Its position in the file.
    pub(super) index: u64,
    /// What its values are divided by before errors are measured.
    pub(super) deviation: f64,
    /// The values divided by it; `None` where it is 1.
    scaled: Option<Vec<f64>>,
}

impl Member {
    fn new(series: TimeSeries, index: u64, scale: Scale) -> Self {
        let deviation = match scale {
            Scale::None => 1.0,
            Scale::Series => Normalization::Window.scale(&series.values).standard_deviation,
        };
        let scaled = || series.values.iter().map(|value| value / deviation).collect();
        Self { scaled: (deviation != 1.0).then(scaled), series, index, deviation }
    }

    /// The values whose forecasts are measured.
    pub(super) fn values(&self) -> &[f64] {
        self.scaled.as_deref().unwrap_or(&self.series.values)
    }

    /// The context of a window of these values, as the file has it.
    pub(super) fn context(&self, window: &Window<'_>) -> &[f64] {
        let origin = window.origin();
        self.series.values.get(origin - window.context.len()..origin).unwrap_or_default()
    }
}

/// Sorts series by the length of their season, and keeps their order within.
pub(super) fn groups(
    series: impl IntoIterator<Item = (u64, TimeSeries)>,
    given_season: Option<usize>,
    scale: Scale,
) -> Vec<Group> {
    let mut groups: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
    for (index, series) in series {
        let season = season::of(&series, given_season);
        groups.entry(season).or_default().push(Member::new(series, index, scale));
    }
    groups.into_iter().map(|(season, series)| Group { season, series }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tmoe_data::{Repairs, Rows};

    use super::*;

    fn series(id: &str, frequency: Option<&str>) -> TimeSeries {
        TimeSeries {
            id: id.to_owned(),
            time: None,
            frequency: frequency.map(|text| text.parse().unwrap()),
            values: vec![1.0, f64::NAN, 5.0, 9.0],
            missing: 1,
            rows: Arc::new(Rows::default()),
            repairs: Repairs::default(),
        }
    }

    #[test]
    fn series_of_one_season_are_together_in_their_order() {
        let all = [series("a", Some("h")), series("b", None), series("c", Some("h"))];
        let found: Vec<(usize, Vec<u64>)> = groups((0..).zip(all.clone()), None, Scale::None)
            .iter()
            .map(|group| (group.season, group.series.iter().map(|member| member.index).collect()))
            .collect();
        assert_eq!(found, [(1, vec![1]), (24, vec![0, 2])]);
        assert_eq!(groups((0..).zip(all), Some(3), Scale::None).len(), 1);
    }

    #[test]
    fn errors_are_measured_in_deviations_and_the_model_sees_the_file_s_values() {
        let group = groups([(0, series("a", None))], None, Scale::Series).remove(0);
        let member = &group.series[0];
        // The mean of 1, 5 and 9 is 5, the variance 32 / 3.
        let deviation = (32.0_f64 / 3.0).sqrt();
        assert!((member.deviation - deviation).abs() < 1e-12);
        assert!((member.values()[3] - 9.0 / deviation).abs() < 1e-12);
        let (history, truth) = member.values().split_at(3);
        let window = Window { series: 0, history, context: &history[2..], truth };
        assert_eq!(member.context(&window), [5.0]);
    }
}

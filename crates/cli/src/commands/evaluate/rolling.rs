//! The backtest at rolling origins, series streaming by.

use std::collections::BTreeSet;

use tmoe_backtest::{Backtest, Report, RollingOrigin, Window};
use tmoe_cli::plot::Panel;
use tmoe_data::read::Entry;
use tmoe_forecast::{CHUNK_POINTS, next_chunk};
use tmoe_runner::{CancelToken, Control};

use super::contestant::{Contestant, Name, Packages, Problems};
use super::newest::Newest;
use super::series::{Group, groups};
use super::setup::Setup;
use super::tables::SeriesLines;
use super::{Arguments, json, tables};
use crate::drawing::Drawing;
use crate::notes::Notes;
use crate::progress::WindowBar;
use crate::text::{print, print_json};
use crate::{Failure, interrupt};

/// Series that are read ahead of the models.
const READ_AHEAD: usize = 256;

/// What was measured of one contestant.
pub(super) struct Measurement {
    pub(super) name: Name,
    pub(super) overall: Report,
    /// Kept where they are printed at the end.
    pub(super) series: Vec<SeriesReport>,
}

/// What was measured of one series.
pub(super) struct SeriesReport {
    pub(super) id: String,
    pub(super) season: usize,
    pub(super) report: Report,
}

/// What is known of all series that were evaluated.
#[derive(Default)]
pub(super) struct Evaluated {
    pub(super) series: u64,
    /// How long their seasons are.
    pub(super) seasons: BTreeSet<usize>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let reader = arguments.input.open()?;
    let packages = Packages::open(arguments)?;
    let setup = Setup::new(arguments, packages.positions);
    let contestants = packages.contestants(setup.normalization, setup.context);
    let contestants: Vec<Contestant> = contestants.chain(Contestant::baselines()).collect();
    let token = interrupt::token()?;
    let mut evaluation = Evaluation::new(arguments, &setup, &contestants, &token);
    let mut entries = reader.in_background(READ_AHEAD);
    while let Some(chunk) = next_chunk(&mut entries, CHUNK_POINTS) {
        let result = chunk.map_err(Failure::from).and_then(|chunk| evaluation.add(chunk, entries.progress()));
        if let Err(error) = result {
            evaluation.bar.finish();
            return Err(error);
        }
    }
    evaluation.finish()
}

/// A backtest that is under way.
struct Evaluation<'a> {
    arguments: &'a Arguments,
    setup: &'a Setup,
    contestants: &'a [Contestant],
    token: &'a CancelToken,
    layout: RollingOrigin,
    backtest: Backtest,
    measurements: Vec<Measurement>,
    evaluated: Evaluated,
    notes: Notes,
    /// Points of the longest series, and why the first that was left out was.
    longest: usize,
    first_problem: Option<String>,
    bar: WindowBar,
    drawing: Drawing,
    lines: Option<SeriesLines>,
}

/// The reports of one series, one per contestant.
struct Measured {
    index: u64,
    report: SeriesReports,
}

struct SeriesReports {
    id: String,
    season: usize,
    reports: Vec<Report>,
    problem: Option<String>,
    /// The first package's newest window.
    panel: Option<Panel>,
}

impl<'a> Evaluation<'a> {
    fn new(
        arguments: &'a Arguments,
        setup: &'a Setup,
        contestants: &'a [Contestant],
        token: &'a CancelToken,
    ) -> Self {
        let backtest = setup.backtest(arguments.batch(setup.context));
        let measurements = contestants.iter().map(|contestant| Measurement {
            name: contestant.name.clone(),
            overall: backtest.empty_report(),
            series: Vec::new(),
        });
        let lines = arguments.per_series && !arguments.json;
        Self {
            measurements: measurements.collect(),
            arguments,
            setup,
            contestants,
            token,
            layout: setup.layout(),
            evaluated: Evaluated::default(),
            notes: Notes::new("no evaluation of"),
            longest: 0,
            first_problem: None,
            bar: WindowBar::new(),
            drawing: arguments.draw.start(format!("{}-point forecast and what came true", setup.horizon)),
            lines: lines
                .then(|| SeriesLines::new(contestants.iter().map(|contestant| &contestant.name), setup)),
            backtest,
        }
    }

    /// Evaluates some series; `share` of the file was read with them.
    fn add(&mut self, entries: Vec<Entry>, share: Option<f64>) -> Result<(), Failure> {
        let mut usable = Vec::with_capacity(entries.len());
        for Entry { id, index, series, .. } in entries {
            match series {
                Ok(series) if self.layout.count(series.values.len()) > 0 => usable.push((index, series)),
                Ok(series) => {
                    self.longest = self.longest.max(series.values.len());
                    self.leave_out(&id, self.too_short(series.values.len()))?;
                }
                Err(problem) => self.leave_out(&id, problem.to_string())?,
            }
        }
        let groups = groups(usable, self.arguments.season, self.setup.scale);
        let members = groups.iter().flat_map(|group| &group.series);
        let forecasts: usize = members.map(|member| self.backtest.forecasts(member.values())).sum();
        self.bar.plan(forecasts * self.arguments.packages.len(), share);
        let mut measured = Vec::new();
        for group in groups {
            measured.extend(self.measure(group)?);
        }
        measured.sort_by_key(|series| series.index);
        for series in measured {
            self.take(series.report)?;
        }
        Ok(())
    }

    /// Every contestant forecasts every window of the group.
    fn measure(&mut self, group: Group) -> Result<Vec<Measured>, Failure> {
        let values: Vec<&[f64]> = group.series.iter().map(|member| member.values()).collect();
        let backtest = self.backtest.clone().with_season(group.season);
        let control = Control::new().with_cancel(self.token);
        let mut problems = Problems::new();
        let mut reports: Vec<Vec<Report>> = values.iter().map(|_| Vec::new()).collect();
        let mut newest = Newest::default();
        for (place, contestant) in self.contestants.iter().enumerate() {
            let observed = place == 0 && self.drawing.takes_more();
            let model = |windows: &[Window<'_>]| -> Result<Vec<Vec<f32>>, tmoe_runner::Error> {
                let forecasts =
                    contestant.forecast(windows, &group, self.setup.horizon, &control, &mut problems)?;
                if contestant.is_package() {
                    self.bar.done(windows.len());
                }
                Ok(forecasts)
            };
            let measured = backtest.run_observed(&values, model, |measured| {
                if observed {
                    newest.see(&measured, &group, &self.setup.levels);
                }
            })?;
            for (reports, report) in reports.iter_mut().zip(measured) {
                reports.push(report);
            }
        }
        let series = group.series.into_iter().zip(reports).enumerate().map(|(place, (member, reports))| {
            self.notes.repairs(&member.series.id, &member.series.repairs);
            let (problem, panel) = (problems.remove(&place), newest.take(place));
            let report =
                SeriesReports { id: member.series.id, season: group.season, reports, problem, panel };
            Measured { index: member.index, report }
        });
        Ok(series.collect())
    }

    /// Adds a series to the whole.
    fn take(&mut self, series: SeriesReports) -> Result<(), Failure> {
        let SeriesReports { id, season, reports, problem, panel } = series;
        // The same windows count for all, so that a contestant's problem is everyone's.
        if let Some(problem) = problem {
            return self.leave_out(&id, problem);
        }
        if reports.first().is_none_or(|report| report.windows == 0) {
            let problem = "no window has both points to see and points to compare with";
            return self.leave_out(&id, problem.to_owned());
        }
        self.evaluated.series += 1;
        self.drawing.add(|| panel);
        self.evaluated.seasons.insert(season);
        for (measurement, report) in self.measurements.iter_mut().zip(&reports) {
            measurement.overall.merge(report)?;
        }
        if let Some(lines) = &mut self.lines {
            let text = lines.of(&id, &reports);
            self.bar.aside(|| print(&text))?;
        } else if self.arguments.per_series {
            for (measurement, report) in self.measurements.iter_mut().zip(reports) {
                measurement.series.push(SeriesReport { id: id.clone(), season, report });
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, id: &str, problem: String) -> Result<(), Failure> {
        if self.arguments.strict {
            return Err(format!("{}: the series `{id}`: {problem}", self.setup.input.display()).into());
        }
        self.notes.problem(id, &problem);
        self.first_problem.get_or_insert_with(|| format!("the series `{id}`: {problem}"));
        Ok(())
    }

    fn too_short(&self, points: usize) -> String {
        let Setup { context, horizon, .. } = *self.setup;
        let needed = context.saturating_add(horizon);
        format!(
            "{points} points are fewer than the {needed} of one window (context {context} and horizon {horizon}); reduce one of \
             them"
        )
    }

    fn finish(self) -> Result<(), Failure> {
        self.bar.finish();
        if self.evaluated.series == 0 {
            let file = self.setup.input.display();
            return Err(match self.first_problem {
                _ if self.longest > 0 => {
                    format!("{file}: the longest series' {}", self.too_short(self.longest))
                }
                Some(problem) => format!("{file}: no series can be evaluated; {problem}"),
                None => format!("{file}: there is no series to evaluate"),
            }
            .into());
        }
        match self.arguments.json {
            true => print_json(&json::rolling(self.setup, &self.evaluated, &self.measurements))?,
            false => print(&tables::rolling(
                self.setup,
                &self.evaluated,
                &self.measurements,
                self.arguments.per_series,
            ))?,
        }
        self.notes.print();
        self.drawing.finish(self.arguments.force)
    }
}

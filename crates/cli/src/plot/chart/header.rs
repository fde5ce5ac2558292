//! The line above the panels: the title, and a legend of what the panels show.

use plotters::prelude::*;

use crate::plot::band::Band;
use crate::plot::canvas::{Align, Canvas, DrawError, Type};
use crate::plot::chart::{BAND_OPACITY, FORECAST, FORECAST_GROUND, HISTORY, INK, TRUTH, WIDTH};
use crate::plot::figure::{Figure, Part};

const TITLE: Type = Type { size: 17.0, bold: true, color: INK };
const LEGEND: Type = Type { size: 13.0, bold: false, color: INK };

const MARGIN: f64 = 24.0;
const GAP: f64 = 24.0;
const SWATCH_GAP: f64 = 8.0;
const SWATCH_WIDTH: f64 = 26.0;
const SWATCH_HEIGHT: f64 = 14.0;

const LINE_HEIGHT: u32 = 30;
const SPACE_BELOW: u32 = 20;

/// The height of the header in logical pixels.
pub(super) fn height(figure: &Figure) -> u32 {
    SPACE_BELOW + LINE_HEIGHT * if has_short_legend(figure) { 1 } else { 2 }
}

/// The legend stands beside the title if it is short, or else below it: viewers' fonts may be wider
/// than the one that text is measured with, and the title must be read to its end.
fn has_short_legend(figure: &Figure) -> bool {
    !figure.panels.iter().any(|panel| panel.has(Part::Truth) || !panel.bands.is_empty())
}

pub(super) fn draw<B: DrawingBackend>(canvas: &Canvas<'_, B>, figure: &Figure) -> Result<(), DrawError> {
    let line = f64::from(LINE_HEIGHT);
    let right = f64::from(WIDTH) - MARGIN;
    let legend = legend(figure);
    let width = |entry: &Entry| SWATCH_WIDTH + SWATCH_GAP + canvas.width(&entry.name, LEGEND) + GAP;
    let (mut left, middle, room) = if has_short_legend(figure) {
        let left = right + GAP - legend.iter().map(width).sum::<f64>();
        (left, line, left - GAP - MARGIN)
    } else {
        (MARGIN, line * 2.0, right - MARGIN)
    };
    for entry in &legend {
        entry.swatch.draw(canvas, left, middle)?;
        canvas.text(&entry.name, (left + SWATCH_WIDTH + SWATCH_GAP, middle), LEGEND, Align::Left)?;
        left += width(entry);
    }
    let title = canvas.fitted(&figure.full_title(), TITLE, room);
    canvas.text(&title, (MARGIN, line), TITLE, Align::Left)
}

/// A name and what it looks like in the panels.
#[derive(Debug, PartialEq)]
struct Entry {
    name: String,
    swatch: Swatch,
}

#[derive(Debug, PartialEq)]
enum Swatch {
    Line(RGBColor),
    /// A band that lies within others, so that this many lie above each other, itself included.
    Band(usize),
}

/// What any panel shows: lines, then bands, the narrowest first.
fn legend(figure: &Figure) -> Vec<Entry> {
    let lines = [
        (Part::History, "history", HISTORY),
        (Part::Forecast, "forecast", FORECAST),
        (Part::Truth, "truth", TRUTH),
    ];
    let lines = lines.into_iter().filter(|(part, ..)| figure.panels.iter().any(|panel| panel.has(*part)));
    let lines = lines.map(|(_, name, color)| Entry { name: name.to_owned(), swatch: Swatch::Line(color) });

    let mut bands: Vec<&Band> = figure.panels.iter().flat_map(|panel| &panel.bands).collect();
    bands.sort_by(|a, b| a.level.total_cmp(&b.level));
    let mut names: Vec<String> = bands.into_iter().map(Band::label).collect();
    names.dedup();
    let count = names.len();
    let bands = names.into_iter().enumerate();
    let bands = bands.map(|(index, name)| Entry { name, swatch: Swatch::Band(count - index) });
    lines.chain(bands).collect()
}

impl Swatch {
    fn draw<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        left: f64,
        middle: f64,
    ) -> Result<(), DrawError> {
        let right = left + SWATCH_WIDTH;
        match self {
            Self::Line(color) => canvas.line(&[(left, middle), (right, middle)], *color, 2.5),
            Self::Band(layers) => {
                let (top, bottom) = (middle - SWATCH_HEIGHT / 2.0, middle + SWATCH_HEIGHT / 2.0);
                canvas.rectangle((left, top), (right, bottom), FORECAST_GROUND.to_rgba())?;
                (0..*layers).try_for_each(|_| {
                    canvas.rectangle((left, top), (right, bottom), FORECAST.mix(BAND_OPACITY))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tmoe_data::TimeColumn;

    use super::*;
    use crate::plot::figure::{Panel, Past};

    fn names(panels: Vec<Panel>) -> Vec<String> {
        legend(&Figure::of("", panels, 0)).into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn the_legend_names_what_any_panel_shows_and_nothing_else() {
        let panel = |history: &[f64], forecast: &[f32]| {
            let past = Past { time: None, values: history };
            Panel::new("load", past, &TimeColumn::steps(1, forecast.len()), forecast)
        };
        let band = |level| Band { level, lower: vec![1.0], upper: vec![2.0] };
        let plain = panel(&[1.0], &[1.0]);
        assert_eq!(names(vec![plain.clone()]), ["history", "forecast"]);
        assert_eq!(names(vec![panel(&[], &[1.0])]), ["forecast"]);
        assert_eq!(names(vec![panel(&[1.0, f64::NAN], &[f32::NAN])]), ["history"]);
        let with_bands = plain.clone().with_bands(vec![band(80.0), band(95.0)]);
        let with_all = plain.clone().with_bands(vec![band(95.0)]).with_truth(&[1.0]);
        assert_eq!(
            names(vec![plain, with_bands, with_all]),
            ["history", "forecast", "truth", "80 %", "95 %"]
        );
    }
}

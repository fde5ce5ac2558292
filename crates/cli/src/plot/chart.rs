//! The look of a figure: layout, colours, axes, lines and bands, in logical pixels.

mod header;

use plotters::prelude::*;

use crate::plot::axis::{time_ticks, value_ticks};
use crate::plot::canvas::{Align, Canvas, DrawError, Type};
use crate::plot::figure::{Figure, Panel, Part};

const WIDTH: u32 = 1200;
const PANEL_HEIGHT: u32 = 350;
/// From here on panels stand two in a row.
const TWO_COLUMNS_FROM: usize = 4;

// A dark blue with two colours of Okabe and Ito's palette, which readers with any colour vision can
// tell apart (https://jfly.uni-koeln.de/color/).
const HISTORY: RGBColor = RGBColor(0x1F, 0x4E, 0x79);
const FORECAST: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
const TRUTH: RGBColor = RGBColor(0x00, 0x9E, 0x73);
/// How much of the forecast's colour a band has; one within another has it twice.
const BAND_OPACITY: f64 = 0.16;
const FORECAST_GROUND: RGBColor = RGBColor(0xFD, 0xF6, 0xF0);
const GRID: RGBColor = RGBColor(0xE8, 0xEA, 0xED);
const FRAME: RGBColor = RGBColor(0x9A, 0xA0, 0xA6);
const INK: RGBColor = RGBColor(0x20, 0x24, 0x28);
const SOFT_INK: RGBColor = RGBColor(0x5F, 0x63, 0x68);

const NAME: Type = Type { size: 14.0, bold: true, color: INK };
const LABEL: Type = Type { size: 12.0, bold: false, color: SOFT_INK };

/// The size of a figure in logical pixels.
pub(super) fn size(figure: &Figure) -> (u32, u32) {
    let rows = figure.panels.len().div_ceil(columns(figure)).max(1);
    (WIDTH, header::height(figure) + PANEL_HEIGHT * u32::try_from(rows).unwrap_or(1))
}

fn columns(figure: &Figure) -> usize {
    if figure.panels.len() >= TWO_COLUMNS_FROM { 2 } else { 1 }
}

/// Draws a figure on a canvas of its [`size`].
pub(super) fn draw<B: DrawingBackend>(canvas: &Canvas<'_, B>, figure: &Figure) -> Result<(), DrawError> {
    canvas.fill(WHITE)?;
    header::draw(canvas, figure)?;
    let columns = columns(figure);
    let width = f64::from(WIDTH) / columns as f64;
    for (index, panel) in figure.panels.iter().enumerate() {
        let left = (index % columns) as f64 * width;
        let top = f64::from(header::height(figure)) + (index / columns) as f64 * f64::from(PANEL_HEIGHT);
        draw_panel(canvas, panel, left, top, width)?;
    }
    Ok(())
}

/// Where points and values lie on the canvas.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    low: f64,
    high: f64,
    last: usize,
}

impl Frame {
    fn x(&self, position: f64) -> f64 {
        // A single point stands in the middle.
        let share = if self.last == 0 { 0.5 } else { position / self.last as f64 };
        self.left + (self.right - self.left) * share
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * ((value - self.low) / (self.high - self.low))
    }
}

fn draw_panel<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    panel: &Panel,
    left: f64,
    top: f64,
    width: f64,
) -> Result<(), DrawError> {
    let range = panel.range();
    let (low, high) = range.unwrap_or((0.0, 1.0));
    let margin = (high - low) * 0.06;
    let (low, high) = (low - margin, high + margin);
    let values = if range.is_some() { value_ticks(low, high, 5) } else { Vec::new() };
    let labels = values.iter().map(|tick| canvas.width(&tick.label, LABEL)).fold(24.0, f64::max);
    let frame = Frame {
        left: left + 24.0 + labels + 8.0,
        right: left + width - 24.0,
        top: top + 32.0,
        bottom: top + f64::from(PANEL_HEIGHT) - 54.0,
        low,
        high,
        last: panel.len().saturating_sub(1),
    };
    let name = canvas.fitted(&panel.name, NAME, frame.right - frame.left);
    canvas.text(&name, (frame.left, top + 16.0), NAME, Align::Left)?;

    let start = panel.history.values.len();
    let boundary = frame.x(start.saturating_sub(1) as f64);
    if !panel.forecast.values.is_empty() && frame.last > 0 {
        canvas.rectangle((boundary, frame.top), (frame.right, frame.bottom), FORECAST_GROUND.to_rgba())?;
    }
    for tick in &values {
        let y = frame.y(tick.value);
        canvas.line(&[(frame.left, y), (frame.right, y)], GRID, 1.0)?;
        canvas.text(&tick.label, (frame.left - 8.0, y), LABEL, Align::Right)?;
    }
    draw_time_axis(canvas, panel, &frame)?;
    if start > 0 && !panel.forecast.values.is_empty() {
        canvas.line(&[(boundary, frame.top), (boundary, frame.bottom)], FRAME, 1.0)?;
    }
    draw_bands(canvas, panel, &frame)?;
    draw_runs(canvas, panel, &frame, Part::History, HISTORY, 1.6)?;
    draw_runs(canvas, panel, &frame, Part::Truth, TRUTH, 1.6)?;
    draw_runs(canvas, panel, &frame, Part::Forecast, FORECAST, 2.2)?;
    if range.is_none() {
        let center = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
        canvas.text("every point is missing", center, LABEL, Align::Center)?;
    }
    Ok(())
}

fn draw_time_axis<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    panel: &Panel,
    frame: &Frame,
) -> Result<(), DrawError> {
    const ROOM_PER_TICK: f64 = 90.0;
    let most = ((frame.right - frame.left) / ROOM_PER_TICK) as usize;
    for tick in time_ticks(&panel.history.time, &panel.forecast.time, most) {
        let x = frame.x(tick.position as f64);
        canvas.line(&[(x, frame.top), (x, frame.bottom)], GRID, 1.0)?;
        canvas.line(&[(x, frame.bottom), (x, frame.bottom + 5.0)], FRAME, 1.0)?;
        canvas.text(&tick.label, (x, frame.bottom + 15.0), LABEL, Align::Center)?;
        if let Some(within) = &tick.within {
            canvas.text(within, (x, frame.bottom + 31.0), LABEL, Align::Center)?;
        }
    }
    canvas.line(&[(frame.left, frame.bottom), (frame.right, frame.bottom)], FRAME, 1.0)
}

fn draw_bands<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    panel: &Panel,
    frame: &Frame,
) -> Result<(), DrawError> {
    /// Half the width of a band at a single point.
    const HALF_POINT: f64 = 2.0;
    for run in panel.bands.iter().flat_map(|band| panel.band_runs(band)) {
        let place = |(position, (low, high)): (usize, (f64, f64))| {
            (frame.x(position as f64), frame.y(low), frame.y(high))
        };
        let mut points: Vec<(f64, f64, f64)> = run.into_iter().map(place).collect();
        if let [(x, low, high)] = points[..] {
            points = vec![(x - HALF_POINT, low, high), (x + HALF_POINT, low, high)];
        }
        canvas.ribbon(&points, FORECAST.mix(BAND_OPACITY))?;
    }
    Ok(())
}

fn draw_runs<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    panel: &Panel,
    frame: &Frame,
    part: Part,
    color: RGBColor,
    width: f64,
) -> Result<(), DrawError> {
    for run in panel.runs(part) {
        let points: Vec<(f64, f64)> =
            run.iter().map(|(position, value)| (frame.x(*position as f64), frame.y(*value))).collect();
        match points.as_slice() {
            [point] => canvas.dot(*point, color, width * 1.2)?,
            _ => canvas.line(&points, color, width)?,
        }
    }
    Ok(())
}

//! The plot itself: braille dots, two by four in every character, and signs among them.

use super::{Ink, Paint};
use crate::plot::figure::Part;

/// What came true, in a character of its own.
pub(super) const TRUTH: char = '○';
/// What came true where the forecast runs too.
pub(super) const TRUTH_ON_FORECAST: char = '●';

/// A grid of characters of two by four dots.
pub(super) struct Dots {
    columns: usize,
    cells: Vec<Cell>,
}

/// An end of a prediction interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Lower,
    Upper,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    /// Dots of history and forecast.
    lines: u8,
    is_forecast: bool,
    is_truth: bool,
    /// Dots of bounds, which show where nothing else is.
    bounds: u8,
}

impl Dots {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self { columns, cells: vec![Cell::default(); columns * rows] }
    }

    /// Draws straight lines from point to point; a single point is a dot.
    pub(super) fn draw(&mut self, points: &[(usize, usize)], part: Part) {
        for dot in line(points) {
            if let Some(cell) = self.cell(dot) {
                cell.lines |= bit(dot);
                cell.is_forecast |= part == Part::Forecast;
            }
        }
    }

    /// Marks a point that came true.
    pub(super) fn mark(&mut self, dot: (usize, usize)) {
        if let Some(cell) = self.cell(dot) {
            cell.is_truth = true;
        }
    }

    /// Draws a bound as one dot in every column of characters: the outermost one there.
    pub(super) fn draw_bound(&mut self, points: &[(usize, usize)], bound: Bound) {
        for column in line(points).chunk_by(|(a, _), (b, _)| a / 2 == b / 2) {
            let outermost = match bound {
                Bound::Lower => column.iter().max_by_key(|(_, y)| *y),
                Bound::Upper => column.iter().min_by_key(|(_, y)| *y),
            };
            let Some((x, y)) = outermost.copied() else { continue };
            // Equally far apart, whichever dot of the character it was.
            let dot = (x / 2 * 2, y);
            if let Some(cell) = self.cell(dot) {
                cell.bounds |= bit(dot);
            }
        }
    }

    pub(super) fn write_row(&self, out: &mut String, row: usize, boundary: Option<usize>, paint: Paint) {
        let cells = self.cells.iter().skip(row * self.columns).take(self.columns);
        let glyphs = cells.enumerate().map(|(column, cell)| match cell {
            Cell { is_truth: true, is_forecast: true, .. } => (Ink::Truth, TRUTH_ON_FORECAST),
            Cell { is_truth: true, .. } => (Ink::Truth, TRUTH),
            Cell { lines: 0, bounds: 0, .. } if Some(column) == boundary => (Ink::Faint, '┊'),
            Cell { lines: 0, bounds: 0, .. } => (Ink::Plain, ' '),
            Cell { lines: 0, bounds, .. } => (Ink::Bound, braille(*bounds)),
            Cell { lines, is_forecast: true, .. } => (Ink::Forecast, braille(*lines)),
            Cell { lines, .. } => (Ink::Plain, braille(*lines)),
        });
        let glyphs: Vec<(Ink, char)> = glyphs.collect();
        let end = glyphs.iter().rposition(|(_, glyph)| *glyph != ' ').map_or(0, |last| last + 1);
        for run in glyphs.get(..end).unwrap_or_default().chunk_by(|a, b| a.0 == b.0) {
            let text: String = run.iter().map(|(_, glyph)| glyph).collect();
            let ink = run.first().map_or(Ink::Plain, |(ink, _)| *ink);
            out.push_str(&paint.text(ink, &text));
        }
    }

    fn cell(&mut self, (x, y): (usize, usize)) -> Option<&mut Cell> {
        self.cells.get_mut((y / 4) * self.columns + x / 2)
    }
}

/// The dots of straight lines from point to point.
fn line(points: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut dots: Vec<(usize, usize)> = points.first().copied().into_iter().collect();
    for (from, to) in points.iter().zip(points.iter().skip(1)) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1));
        dots.extend((1..=steps).map(|step| {
            let at = |from: usize, to: usize| {
                let share = step as f64 / steps as f64;
                (from as f64 + (to as f64 - from as f64) * share).round() as usize
            };
            (at(from.0, to.0), at(from.1, to.1))
        }));
    }
    dots
}

/// The bit of a dot in its character. Braille patterns number the upper three rows column by column,
/// and the fourth row last.
fn bit((x, y): (usize, usize)) -> u8 {
    const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    BITS.get(y % 4).and_then(|row| row.get(x % 2)).copied().unwrap_or(0)
}

fn braille(bits: u8) -> char {
    char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ')
}

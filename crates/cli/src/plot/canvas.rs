//! Drawing in logical pixels on any backend, with text measured by the font that ships with the
//! program.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, RGBAColor, RGBColor};

use crate::plot::font::{Font, Fonts};

/// What a viewer looks for when it shows the text of an SVG.
const SVG_FAMILY: &str = "Noto Sans, DejaVu Sans, Helvetica, Arial, sans-serif";

/// What plotters divides a size by before it writes it to an SVG.
const SVG_SIZE_DIVISOR: f64 = 1.24;

/// Half the height of the letter x in em, in the usual sans-serif fonts.
const HALF_X_HEIGHT: f64 = 0.27;

/// How far below the middle of a line of text its baseline is, in em: half the height of digits.
const MIDDLE_TO_BASELINE: f64 = 0.35;

/// A drawing that failed in plotters or in its backend.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the plot: {0}")]
pub(super) struct DrawError(pub(super) String);

/// What a backend makes of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    /// Shapes and text, drawn by whoever shows the picture.
    Vectors,
    /// Pixels, drawn here.
    Pixels,
}

/// How a line of text lies at its anchor, which is at its middle height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Center,
    Right,
}

/// The look of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    /// Size in logical pixels per em.
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) color: RGBColor,
}

/// A drawing area in logical pixels, from the top left corner.
pub(super) struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, plotters::coord::Shift>,
    /// Backend units per logical pixel.
    scale: f64,
    surface: Surface,
    fonts: Fonts,
}

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    /// A canvas on an area that has `scale` units for every logical pixel.
    pub(super) fn new(
        area: &'a DrawingArea<B, plotters::coord::Shift>,
        scale: u32,
        surface: Surface,
    ) -> Result<Self, DrawError> {
        let fonts = Fonts::load().map_err(failed)?;
        Ok(Self { area, scale: scale.into(), surface, fonts })
    }

    pub(super) fn fill(&self, color: RGBColor) -> Result<(), DrawError> {
        self.area.fill(&color).map_err(failed)
    }

    pub(super) fn line(&self, points: &[(f64, f64)], color: RGBColor, width: f64) -> Result<(), DrawError> {
        let points: Vec<(i32, i32)> = points.iter().map(|point| self.units(*point)).collect();
        self.area.draw(&PathElement::new(points, color.stroke_width(self.length(width)))).map_err(failed)
    }

    pub(super) fn dot(&self, center: (f64, f64), color: RGBColor, radius: f64) -> Result<(), DrawError> {
        self.area.draw(&Circle::new(self.units(center), self.length(radius), color.filled())).map_err(failed)
    }

    pub(super) fn rectangle(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        color: RGBAColor,
    ) -> Result<(), DrawError> {
        self.area.draw(&Rectangle::new([self.units(from), self.units(to)], color.filled())).map_err(failed)
    }

    /// Fills what lies between two lines that run from left to right through the same places; every
    /// point has its place, then the heights of both lines.
    pub(super) fn ribbon(&self, points: &[(f64, f64, f64)], color: RGBAColor) -> Result<(), DrawError> {
        match self.surface {
            Surface::Vectors => {
                let one = points.iter().map(|(x, one, _)| (*x, *one));
                let other = points.iter().rev().map(|(x, _, other)| (*x, *other));
                let outline: Vec<(i32, i32)> = one.chain(other).map(|point| self.units(point)).collect();
                self.area.draw(&Polygon::new(outline, color.filled())).map_err(failed)
            }
            // Every pixel once: twice would show where the colour is translucent.
            Surface::Pixels => {
                for (from, to) in points.iter().zip(points.iter().skip(1)) {
                    let (left, _) = self.units((from.0, 0.0));
                    let (right, _) = self.units((to.0, 0.0));
                    for x in left..right {
                        let share = f64::from(x - left) / f64::from(right - left);
                        let height = |from: f64, to: f64| {
                            let (_, y) = self.units((0.0, from + (to - from) * share));
                            y
                        };
                        // The right and lower edges are not part of a rectangle of pixels.
                        let column = [(x, height(from.1, to.1)), (x + 1, height(from.2, to.2))];
                        self.area.draw(&Rectangle::new(column, color.filled())).map_err(failed)?;
                    }
                }
                Ok(())
            }
        }
    }

    pub(super) fn text(
        &self,
        text: &str,
        (x, y): (f64, f64),
        look: Type,
        align: Align,
    ) -> Result<(), DrawError> {
        let baseline = y + look.size * MIDDLE_TO_BASELINE;
        match self.surface {
            Surface::Vectors => {
                let style = if look.bold { FontStyle::Bold } else { FontStyle::Normal };
                let size = look.size * self.scale * SVG_SIZE_DIVISOR;
                let font = FontDesc::new(FontFamily::Name(SVG_FAMILY), size, style);
                let horizontal = match align {
                    Align::Left => HPos::Left,
                    Align::Center => HPos::Center,
                    Align::Right => HPos::Right,
                };
                // The bottom of a text is half an x-height below its baseline in plotters' SVG.
                let bottom = baseline + look.size * HALF_X_HEIGHT;
                let style = font.color(&look.color).pos(Pos::new(horizontal, VPos::Bottom));
                self.area.draw(&Text::new(text.to_owned(), self.units((x, bottom)), style)).map_err(failed)
            }
            Surface::Pixels => {
                let start = match align {
                    Align::Left => x,
                    Align::Center => x - self.width(text, look) / 2.0,
                    Align::Right => x - self.width(text, look),
                };
                let origin = (start * self.scale, baseline * self.scale);
                self.font(look).draw(text, look.size * self.scale, origin, |at, coverage| {
                    self.area.draw_pixel(at, &look.color.mix(coverage)).map_err(failed)
                })
            }
        }
    }

    /// The width of a text in logical pixels, with the built-in font.
    pub(super) fn width(&self, text: &str, look: Type) -> f64 {
        self.font(look).width(text, look.size)
    }

    /// The text, or its beginning and an ellipsis where it is wider than `room`.
    pub(super) fn fitted(&self, text: &str, look: Type, room: f64) -> String {
        const LONGEST: usize = 200;
        if text.chars().count() <= LONGEST && self.width(text, look) <= room {
            return text.to_owned();
        }
        let mut kept: String = text.chars().take(LONGEST).collect();
        while !kept.is_empty() && self.width(&format!("{kept}…"), look) > room {
            kept.pop();
        }
        kept + "…"
    }

    fn font(&self, look: Type) -> &Font {
        if look.bold { &self.fonts.bold } else { &self.fonts.regular }
    }

    fn units(&self, (x, y): (f64, f64)) -> (i32, i32) {
        // Float-to-int casts saturate.
        let unit = |value: f64| (value * self.scale).round() as i32;
        (unit(x), unit(y))
    }

    fn length(&self, length: f64) -> u32 {
        ((length * self.scale).round() as u32).max(1)
    }
}

fn failed(error: impl std::fmt::Display) -> DrawError {
    DrawError(error.to_string())
}

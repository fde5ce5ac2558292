//! Figures as SVG: lines and text, no fonts or images inside.

use plotters::prelude::*;

use crate::plot::canvas::{Canvas, DrawError, Surface};
use crate::plot::chart;
use crate::plot::figure::Figure;

/// Coordinates are whole numbers; this many make one pixel, so that lines stay smooth when the
/// picture is enlarged.
const UNITS_PER_PIXEL: u32 = 16;

/// The figure as an SVG document.
pub(super) fn render(figure: &Figure) -> Result<String, DrawError> {
    let (width, height) = chart::size(figure);
    let (inner_width, inner_height) = (width * UNITS_PER_PIXEL, height * UNITS_PER_PIXEL);
    let mut drawing = String::new();
    {
        let area = SVGBackend::with_string(&mut drawing, (inner_width, inner_height)).into_drawing_area();
        chart::draw(&Canvas::new(&area, UNITS_PER_PIXEL, Surface::Vectors)?, figure)?;
        area.present().map_err(|error| DrawError(error.to_string()))?;
    }
    // An SVG inside an SVG is how the large drawing gets its size in pixels; what it does not say
    // about lines it inherits.
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {inner_width} {inner_height}\" stroke-linejoin=\"round\" stroke-linecap=\"round\">\n\
         {drawing}</svg>\n"
    ))
}

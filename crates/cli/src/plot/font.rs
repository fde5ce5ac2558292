//! The built-in font: measuring text and drawing it as pixels, on machines without any font.

use ab_glyph::{Font as _, FontRef, InvalidFont, PxScale, ScaleFont as _};

/// Noto Sans in the two weights of a figure. Writing systems other than Latin, Greek and Cyrillic
/// show as boxes.
pub(super) struct Fonts {
    pub(super) regular: Font,
    pub(super) bold: Font,
}

/// One weight of the font.
pub(super) struct Font(FontRef<'static>);

impl Fonts {
    pub(super) fn load() -> Result<Self, InvalidFont> {
        let load = |bytes| FontRef::try_from_slice(bytes).map(Font);
        Ok(Self { regular: load(notosans::REGULAR_TTF)?, bold: load(notosans::BOLD_TTF)? })
    }
}

impl Font {
    /// The width of a text whose em is `size`, in the same unit.
    pub(super) fn width(&self, text: &str, size: f64) -> f64 {
        let font = self.0.as_scaled(self.scale(size));
        text.chars().map(|character| f64::from(font.h_advance(font.glyph_id(character)))).sum()
    }

    /// Calls `pixel` with the place and the coverage (0 to 1) of every pixel that a text touches;
    /// `origin` is where the text begins on its baseline.
    pub(super) fn draw<E>(
        &self,
        text: &str,
        size: f64,
        origin: (f64, f64),
        mut pixel: impl FnMut((i32, i32), f64) -> Result<(), E>,
    ) -> Result<(), E> {
        let scale = self.scale(size);
        let font = self.0.as_scaled(scale);
        let (mut x, y) = (origin.0 as f32, origin.1 as f32);
        for character in text.chars() {
            let id = font.glyph_id(character);
            if let Some(outline) =
                font.outline_glyph(id.with_scale_and_position(scale, ab_glyph::point(x, y)))
            {
                let corner = outline.px_bounds().min;
                let mut result = Ok(());
                outline.draw(|column, row, coverage| {
                    if result.is_ok() && coverage > 0.0 {
                        // Casts saturate; glyphs outside the picture are dropped by the backend.
                        let at = (corner.x as i32 + column as i32, corner.y as i32 + row as i32);
                        result = pixel(at, f64::from(coverage.min(1.0)));
                    }
                });
                result?;
            }
            x += font.h_advance(id);
        }
        Ok(())
    }

    /// The font library measures sizes in line heights.
    fn scale(&self, size: f64) -> PxScale {
        let em = self.0.units_per_em().unwrap_or(1000.0);
        PxScale::from(size as f32 * self.0.height_unscaled() / em)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_wide_as_the_fonts_tables_say() -> Result<(), InvalidFont> {
        // In units of 1/2048 em, Noto Sans has digits of 1171 and spaces of 532.
        let width = Fonts::load()?.regular.width("20 16", 2048.0);
        assert!((width - f64::from(4 * 1171 + 532)).abs() < 0.01, "{width}");
        Ok(())
    }

    #[test]
    fn a_letter_covers_pixels_between_its_baseline_and_its_height() -> Result<(), InvalidFont> {
        let mut rows = Vec::new();
        let drawn = Fonts::load()?.bold.draw("H", 100.0, (0.0, 200.0), |(_, y), _| {
            rows.push(y);
            Ok::<(), ()>(())
        });
        assert_eq!(drawn, Ok(()));
        // A capital is 714 thousandths of an em high.
        assert_eq!((rows.iter().min(), rows.iter().max()), (Some(&128), Some(&199)));
        Ok(())
    }
}

//! Figures in files.

use std::path::{Path, PathBuf};

use tmoe_data::{WriteError, write_atomically};

use crate::plot::figure::Figure;
use crate::plot::{html, png, svg};

/// A picture format, chosen by a file's extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlotFormat {
    /// Scalable vector graphics.
    Svg,
    /// Portable network graphics.
    Png,
    /// One HTML page to explore in a browser, with everything inside.
    Html,
}

/// Why a plot was not written.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The path has another extension, or none.
    #[error("{}: plots are written as .svg, .png or .html; give the file one of these extensions", path.display())]
    UnknownFormat {
        /// The path.
        path: PathBuf,
    },
    /// The picture could not be drawn.
    #[error("{}: {reason}", path.display())]
    Draw {
        /// The path.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl PlotFormat {
    /// The format of a path, by its extension in any case. Check it before long work.
    ///
    /// # Errors
    /// When the extension is none of `svg`, `png` and `html`.
    pub fn of(path: &Path) -> Result<Self, PlotError> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            Some("html") => Ok(Self::Html),
            _ => Err(PlotError::UnknownFormat { path: path.to_owned() }),
        }
    }
}

/// Draws a figure and writes it to a file whose extension says the format; the file appears whole
/// or not at all.
///
/// # Errors
/// When the extension is unknown, the file exists and `force` is not set, or it cannot be written.
pub fn save(figure: &Figure, path: &Path, force: bool) -> Result<(), PlotError> {
    let draw_error = |error: crate::plot::canvas::DrawError| PlotError::Draw {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let bytes = match PlotFormat::of(path)? {
        PlotFormat::Svg => svg::render(figure).map_err(draw_error)?.into_bytes(),
        PlotFormat::Png => png::render(figure).map_err(draw_error)?,
        PlotFormat::Html => html::render(figure).map_err(draw_error)?.into_bytes(),
    };
    write_atomically(path, force, |out| out.write_all(&bytes))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::band::Band;
    use crate::plot::figure::of_tables;
    use tmoe_data::{Series, Table, TimeColumn};

    fn figure(series: usize) -> Figure {
        let days = ["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"];
        let time = TimeColumn::from_texts("date", days).expect("valid");
        let named =
            |values: Vec<f64>| (0..series).map(move |n| Series::new(format!("a<{n}>"), values.clone()));
        let forecast = (0..series).map(|n| Series::new(format!("a<{n}>"), vec![3.0, 4.0_f32])).collect();
        of_tables(
            "Two days & more",
            &Table { time: Some(time.slice(0..2)), series: named(vec![1.0, 2.0]).collect() },
            &Table { time: Some(time.slice(2..4)), series: forecast },
        )
    }

    /// The same with two bands and what came true.
    fn judged_figure() -> Figure {
        let mut figure = figure(1);
        let band = |level, width| Band { level, lower: vec![3.0 - width; 2], upper: vec![4.0 + width; 2] };
        let bands = vec![band(80.0, 1.0), band(95.0, 3.0)];
        figure.panels = figure
            .panels
            .into_iter()
            .map(|panel| panel.with_bands(bands.clone()).with_truth(&[2.0, 3.5]))
            .collect();
        figure
    }

    fn pixels_of(figure: &Figure) -> Result<((u32, u32), Vec<u8>), Box<dyn std::error::Error>> {
        let bytes = png::render(figure)?;
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(bytes)).read_info()?;
        let size = (reader.info().width, reader.info().height);
        let mut pixels = vec![0; reader.output_buffer_size().unwrap_or(0)];
        reader.next_frame(&mut pixels)?;
        Ok((size, pixels))
    }

    #[test]
    fn an_svg_has_the_figures_size_its_texts_escaped_and_one_line_per_part() {
        let text = svg::render(&figure(1)).expect("drawn");
        assert!(
            text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"400\""),
            "{text}"
        );
        assert!(text.contains("Two days &amp; more") && text.contains("a&lt;0&gt;"));
        for expected in ["31 Jan", "2024", "history", "forecast", "#1F4E79", "#D55E00"] {
            assert!(text.contains(expected), "{expected} is missing in {text}");
        }
        assert_eq!(text.matches("<svg").count(), text.matches("</svg>").count());
    }

    #[test]
    fn panels_stand_in_one_column_and_from_four_on_in_two() {
        let size = |series| crate::plot::chart::size(&figure(series));
        assert_eq!(size(1), (1200, 400));
        assert_eq!(size(3), (1200, 1100));
        assert_eq!(size(4), (1200, 750));
        assert_eq!(size(40), (1200, 2150));
    }

    #[test]
    fn an_svg_has_one_translucent_polygon_per_band_the_widest_first() {
        assert!(!svg::render(&figure(1)).expect("drawn").contains("<polygon"));
        let text = svg::render(&judged_figure()).expect("drawn");
        let polygons: Vec<&str> = text.lines().filter(|line| line.starts_with("<polygon")).collect();
        assert_eq!(polygons.len(), 2);
        let heights = polygons.iter().map(|polygon| {
            assert!(polygon.contains("opacity=\"0.16\" fill=\"#D55E00\""), "{polygon}");
            let (_, points) = polygon.split_once("points=\"").expect("points");
            let heights = points.split([',', ' ']).skip(1).step_by(2).filter_map(|y| y.parse::<i32>().ok());
            let heights: Vec<i32> = heights.collect();
            // There and back along the last point of the history and two points of the forecast.
            assert_eq!(heights.len(), 6);
            heights.iter().max().zip(heights.iter().min()).map(|(most, least)| most - least)
        });
        let heights: Vec<_> = heights.collect();
        assert!(heights[0] > heights[1], "{heights:?}");
        for expected in ["truth", "#009E73", "80 %", "95 %"] {
            assert!(text.contains(expected), "{expected} is missing in {text}");
        }
    }

    #[test]
    fn a_png_decodes_to_the_figures_size_and_colours() -> Result<(), Box<dyn std::error::Error>> {
        let (size, pixels) = pixels_of(&figure(1))?;
        assert_eq!(size, (1200, 400));
        let has = |color: [u8; 3]| pixels.chunks_exact(3).any(|pixel| pixel == color);
        assert!(has([255, 255, 255]) && has([0x1F, 0x4E, 0x79]) && has([0xD5, 0x5E, 0x00]));
        assert!(!has([0x00, 0x9E, 0x73]));
        Ok(())
    }

    #[test]
    fn a_png_blends_bands_with_what_lies_below() -> Result<(), Box<dyn std::error::Error>> {
        let (size, pixels) = pixels_of(&judged_figure())?;
        assert_eq!(size, (1200, 430));
        let count = |color: [f64; 3]| {
            let near = |pixel: &[u8]| pixel.iter().zip(color).all(|(a, b)| (f64::from(*a) - b).abs() <= 3.0);
            pixels.chunks_exact(3).filter(|pixel| near(pixel)).count()
        };
        // 16 % of the forecast's colour over the ground behind it, once and twice.
        let blend = |below: [f64; 3]| {
            let mix = |below: f64, above: f64| below * 0.84 + above * 0.16;
            [mix(below[0], 213.0), mix(below[1], 94.0), mix(below[2], 0.0)]
        };
        let wide = blend([253.0, 246.0, 240.0]);
        // Areas, not edges: a third of the panel's width by parts of its height.
        assert!(count(wide) > 10_000, "{}", count(wide));
        assert!(count(blend(wide)) > 10_000, "{}", count(blend(wide)));
        assert!(count(blend(blend(wide))) < 100, "a band is drawn twice");
        assert!(count([0.0, 158.0, 115.0]) > 100, "the truth is missing");
        Ok(())
    }

    #[test]
    fn the_format_is_the_extension_and_others_are_refused() {
        assert!(matches!(PlotFormat::of(Path::new("a/b.SVG")), Ok(PlotFormat::Svg)));
        assert!(matches!(PlotFormat::of(Path::new("b.png")), Ok(PlotFormat::Png)));
        assert!(matches!(PlotFormat::of(Path::new("c.Html")), Ok(PlotFormat::Html)));
        let error = PlotFormat::of(Path::new("plot.pdf")).expect_err("no PDF").to_string();
        assert_eq!(
            error,
            "plot.pdf: plots are written as .svg, .png or .html; give the file one of these extensions"
        );
        assert!(PlotFormat::of(Path::new("plot")).is_err());
    }

    #[test]
    fn an_existing_plot_is_kept_unless_forced() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("plot.svg");
        save(&figure(1), &path, false)?;
        assert!(matches!(save(&figure(1), &path, false), Err(PlotError::Write(WriteError::Exists { .. }))));
        save(&figure(2), &path, true)?;
        Ok(())
    }

    #[test]
    fn figures_without_values_are_drawn() {
        let empty = Figure { title: String::new(), panels: Vec::new(), hidden: 0 };
        let missing = Table { time: None, series: vec![Series::new("gone", vec![f64::NAN; 3])] };
        let no_forecast = Table { time: None, series: vec![Series::new("gone", Vec::<f32>::new())] };
        for figure in [empty, of_tables("missing", &missing, &no_forecast)] {
            assert!(svg::render(&figure).is_ok());
            assert!(png::render(&figure).is_ok());
        }
    }
}

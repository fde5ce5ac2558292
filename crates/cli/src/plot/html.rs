//! Figures as one HTML page to explore: everything it needs is inside, nothing is ever loaded.

use serde::Serialize;
use tmoe_data::{TimeColumn, TimeValues};

use crate::plot::canvas::DrawError;
use crate::plot::figure::{Figure, Panel, is_shown};

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCALE: &str = include_str!("html/scale.js");
const SCRIPT: &str = include_str!("html/page.js");

/// What the page's script draws.
#[derive(Serialize)]
struct FigureData<'a> {
    panels: Vec<PanelData<'a>>,
}

/// One series; a missing value is null.
#[derive(Serialize)]
struct PanelData<'a> {
    name: &'a str,
    /// Whether the time stamps are dates, not numbers.
    calendar: bool,
    /// The time stamps of history and forecast, as they stand in files.
    time: Vec<String>,
    history: Vec<Option<f64>>,
    /// With as few digits as tell a 32-bit number from all others.
    forecast: Vec<Option<f32>>,
    truth: Vec<Option<f64>>,
    bands: Vec<BandData>,
}

#[derive(Serialize)]
struct BandData {
    level: f64,
    label: String,
    lower: Vec<Option<f64>>,
    upper: Vec<Option<f64>>,
}

/// The figure as an HTML document.
pub(super) fn render(figure: &Figure) -> Result<String, DrawError> {
    let data = FigureData { panels: figure.panels.iter().map(PanelData::of).collect() };
    let json = serde_json::to_string(&data).map_err(|error| DrawError(error.to_string()))?;
    Ok(filled(|name| match name {
        "title" => escaped(&figure.full_title()),
        "style" => STYLE.to_owned(),
        "figure" => embedded(&json),
        "script" => format!("{SCALE}\n{SCRIPT}"),
        _ => String::new(),
    }))
}

impl<'a> PanelData<'a> {
    fn of(panel: &'a Panel) -> Self {
        let (past, future) = (&panel.history.time, &panel.forecast.time);
        let is_calendar =
            |column: &TimeColumn| column.is_empty() || !matches!(column.values(), TimeValues::Integer(_));
        Self {
            name: &panel.name,
            calendar: is_calendar(past) && is_calendar(future),
            time: [past.texts(), future.texts()].concat(),
            history: shown(&panel.history.values),
            forecast: shown(&panel.forecast.values).into_iter().map(|v| v.map(|v| v as f32)).collect(),
            truth: shown(&panel.truth),
            bands: panel.bands.iter().map(|band| BandData {
                level: band.level,
                label: band.label(),
                lower: shown(&band.lower),
                upper: shown(&band.upper),
            }).collect(),
        }
    }
}

fn shown(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().map(|value| Some(*value).filter(|value| is_shown(*value))).collect()
}

/// The page with its `{{names}}` replaced; what replaces them is not searched for more.
fn filled(piece: impl Fn(&str) -> String) -> String {
    let mut parts = PAGE.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        page += &piece(name);
        page += rest;
    }
    page
}

/// A text as it stands between the tags of an HTML document.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// JSON in which nothing can end the script element that it stands in. Only strings can hold these
/// characters, and there their numbers mean the same.
fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

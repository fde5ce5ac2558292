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
            bands: panel
                .bands
                .iter()
                .map(|band| BandData {
                    level: band.level,
                    label: band.label(),
                    lower: shown(&band.lower),
                    upper: shown(&band.upper),
                })
                .collect(),
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::plot::band::Band;
    use crate::plot::figure::Past;

    const NAMES: [&str; 3] =
        ["</script><img src=x>", "\"quoted\" & 'more'", "<!--<script>\u{2028}{{figure}}"];

    /// Panels of these names, on dates, with everything that a panel can have.
    fn figure(names: &[&str]) -> Figure {
        let days = ["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"];
        let time = TimeColumn::from_texts("date", days).expect("valid");
        let past = Past { time: Some(&time.slice(0..2)), values: &[0.1, f64::NAN] };
        let panel = |name: &&str| {
            let lower = vec![1.5, f64::NAN];
            Panel::new(name, past, &time.slice(2..4), &[0.1, 1e-7])
                .with_truth(&[f64::INFINITY, 0.30000000000000004])
                .with_bands(vec![Band { level: 90.0, lower, upper: vec![2.5, 3.5] }])
        };
        Figure::of("Two days </title> & {{style}}", names.iter().map(panel).collect(), 0)
    }

    fn page(names: &[&str]) -> String {
        render(&figure(names)).expect("rendered")
    }

    /// What stands in the page's element of data.
    fn data(page: &str) -> Value {
        let (_, rest) = page.split_once("type=\"application/json\">").expect("an element of data");
        let (json, _) = rest.split_once("</script>").expect("its end");
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn the_page_holds_the_numbers_of_the_figure() {
        let expected = serde_json::json!({ "panels": [{
            "name": "load",
            "calendar": true,
            "time": ["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"],
            "history": [0.1, null],
            "forecast": [0.1, 1e-7],
            "truth": [null, 0.30000000000000004],
            "bands": [{ "level": 90.0, "label": "90 %", "lower": [1.5, null], "upper": [2.5, 3.5] }],
        }] });
        assert_eq!(data(&page(&["load"])), expected);
    }

    #[test]
    fn steps_are_no_dates() {
        let past = Past { time: None, values: &[1.0, 2.0] };
        let panel = Panel::new("load", past, &TimeColumn::steps(1, 1), &[3.0]);
        let page = render(&Figure::of("", vec![panel], 0)).expect("rendered");
        assert_eq!(data(&page)["panels"][0]["calendar"], false);
        assert_eq!(data(&page)["panels"][0]["time"], serde_json::json!(["-1", "0", "1"]));
    }

    #[test]
    fn no_name_can_end_the_script_or_become_markup() {
        let (plain, hostile) = (page(&["a", "b", "c"]), page(&NAMES));
        for sign in ["<script", "</script", "<!--", "<img"] {
            assert_eq!(hostile.matches(sign).count(), plain.matches(sign).count(), "{sign}");
        }
        let named: Vec<Value> = data(&hostile)["panels"]
            .as_array()
            .expect("panels")
            .iter()
            .map(|panel| panel["name"].clone())
            .collect();
        assert_eq!(named, NAMES);
        assert!(plain.contains("<title>Two days &lt;/title&gt; &amp; {{style}}</title>"));
    }

    #[test]
    fn the_page_needs_nothing_but_itself() {
        let page = page(&["load"]);
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert!(page.contains(STYLE) && page.contains(SCALE) && page.contains(SCRIPT));
        assert!(page.contains("default-src 'none'"));
        for loading in ["http:", "https:", "//cdn", "src=", "href=", "@import", "url(", "fetch(", "import("] {
            assert!(!page.contains(loading), "{loading}");
        }
    }

    #[test]
    fn a_figure_without_panels_is_a_page_too() {
        assert_eq!(data(&page(&[])), serde_json::json!({ "panels": [] }));
    }
}

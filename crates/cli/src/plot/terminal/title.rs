//! The line above a plot: the series' name, and what the signs below it are.

use super::dots::{TRUTH, TRUTH_ON_FORECAST};
use super::{Ink, Paint};
use crate::plot::band::Band;
use crate::plot::figure::{Panel, Part};

/// As much of a name is worth more than the legend of history and forecast.
const NAME_ROOM: usize = 10;

/// Pieces of a legend.
type Legend = Vec<(Ink, String)>;

/// The series' name on the left, the legend on the right, as much of it as there is room for.
pub(super) fn line(panel: &Panel, width: usize, paint: Paint) -> String {
    let name_length = panel.name.chars().count();
    let wanted = width.saturating_sub(name_length.min(NAME_ROOM) + 2);
    let legends = legends(panel);
    let legend = legends.iter().find(|legend| length(legend) <= wanted).or(legends.last());
    let legend = legend.map(Vec::as_slice).unwrap_or_default();

    let room = width.saturating_sub(length(legend) + 2);
    let shown: String = if name_length <= room {
        panel.name.clone()
    } else {
        panel.name.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    };
    let padding = width.saturating_sub(shown.chars().count() + length(legend));
    let legend: String = legend.iter().map(|(ink, text)| paint.text(*ink, text)).collect();
    format!("{shown}{:padding$}{legend}\n", "")
}

fn length(legend: &[(Ink, String)]) -> usize {
    legend.iter().map(|(_, text)| text.chars().count()).sum()
}

/// The legends of a panel, from the whole one to what cannot be guessed.
fn legends(panel: &Panel) -> Vec<Legend> {
    let piece = |ink, text: &str| (ink, text.to_owned());
    let sides =
        vec![piece(Ink::Plain, "history "), piece(Ink::Faint, "┊"), piece(Ink::Forecast, " forecast")];
    let mut truth = Legend::new();
    if panel.has(Part::Truth) {
        truth.push((Ink::Truth, format!("{TRUTH} truth")));
    }
    let mut on_forecast = truth.clone();
    if !truth.is_empty() {
        on_forecast.push((Ink::Truth, format!(" {TRUTH_ON_FORECAST} on forecast")));
    }
    let bounds = panel.bands.first().map(|band: &Band| (Ink::Bound, format!("⠂⠂ {}", band.label())));
    let bounds: Legend = bounds.into_iter().collect();
    [
        [sides.clone(), on_forecast.clone(), bounds.clone()],
        [sides.clone(), truth.clone(), bounds.clone()],
        [Legend::new(), truth, bounds],
    ]
    .map(|parts| joined(parts))
    .to_vec()
}

/// The parts that are not empty, with a gap between them.
fn joined(parts: [Legend; 3]) -> Legend {
    let mut legend = Legend::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        if !legend.is_empty() {
            legend.push((Ink::Plain, "  ".to_owned()));
        }
        legend.extend(part);
    }
    legend
}

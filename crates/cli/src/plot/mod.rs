//! Forecasts as pictures: SVG and PNG files, HTML pages, and characters in a terminal.
//!
//! A [`Figure`] says what to show; [`save`] and [`terminal::render`] show it. Nothing outside the
//! program is needed: no installed fonts, no graphics libraries.

mod axis;
pub mod band;
mod canvas;
mod chart;
pub mod figure;
mod font;
mod html;
mod png;
mod save;
mod svg;
pub mod terminal;

pub use band::Band;
pub use figure::{Figure, MAX_PANELS, Panel, Past, Trace};
pub use save::{PlotError, PlotFormat, save};

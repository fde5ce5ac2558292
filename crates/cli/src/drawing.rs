//! Forecasts as pictures, in files and in the terminal, the same for every command that makes some.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::ValueEnum;
use tmoe_cli::plot::{self, Figure, Panel, PlotFormat, terminal};

use crate::Failure;
use crate::text::tell;

/// What to draw, and where.
#[derive(clap::Args)]
pub(crate) struct DrawArguments {
    /// Also draw history and forecast to a file, .svg, .png or .html; may be given more than once
    #[arg(long, value_name = "FILE")]
    plot: Vec<PathBuf>,
    /// Draw in the terminal, on standard error
    #[arg(long, value_enum, default_value_t = Draw::Auto)]
    draw: Draw,
}

/// Whether to draw in the terminal.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Draw {
    /// If standard error is one.
    Auto,
    Always,
    Never,
}

/// Series drawn in the terminal; more would scroll away.
const DRAWN: usize = 4;

impl DrawArguments {
    /// Refuses files of kinds that are not drawn.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for path in &self.plot {
            PlotFormat::of(path)?;
        }
        Ok(())
    }

    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.plot
    }

    /// Whether a picture was asked for.
    pub(crate) fn is_given(&self) -> bool {
        !self.plot.is_empty() || self.draw == Draw::Always
    }

    pub(crate) fn start(&self, title: String) -> Drawing {
        let terminal = match self.draw {
            Draw::Auto => std::io::stderr().is_terminal(),
            Draw::Always => true,
            Draw::Never => false,
        };
        Drawing { files: self.plot.clone(), terminal, title, panels: Vec::new(), forecasts: 0 }
    }
}

/// The series that will be drawn: the first, as many as a figure holds.
pub(crate) struct Drawing {
    files: Vec<PathBuf>,
    terminal: bool,
    title: String,
    panels: Vec<Panel>,
    forecasts: usize,
}

impl Drawing {
    /// Whether the next series will be drawn.
    pub(crate) fn takes_more(&self) -> bool {
        (self.terminal || !self.files.is_empty()) && self.panels.len() < plot::MAX_PANELS
    }

    /// One more series; its panel is made if it will be drawn.
    pub(crate) fn add(&mut self, panel: impl FnOnce() -> Option<Panel>) {
        self.forecasts += 1;
        if self.takes_more() {
            self.panels.extend(panel());
        }
    }

    pub(crate) fn finish(self, force: bool) -> Result<(), Failure> {
        if self.terminal {
            self.draw_in_terminal();
        }
        let hidden = self.forecasts.saturating_sub(self.panels.len());
        let figure = Figure::of(self.title, self.panels, hidden);
        for path in &self.files {
            plot::save(&figure, path, force)?;
        }
        Ok(())
    }

    fn draw_in_terminal(&self) {
        let width =
            terminal_size::terminal_size_of(std::io::stderr()).map_or(100, |(width, _)| usize::from(width.0));
        let colors = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let style = terminal::Style { width, height: 14, colors };
        for panel in self.panels.iter().take(DRAWN) {
            tell(terminal::render_panel(panel, style));
        }
        if self.forecasts > DRAWN {
            tell(format_args!("(and {} more series)", self.forecasts - DRAWN));
        }
    }
}

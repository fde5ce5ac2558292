//! Where forecasts go, and in what form.

use std::path::PathBuf;

use clap::ValueEnum;
use tmoe_data::read::{Columns, Layout, SeriesReader};
use tmoe_data::write::{Block, History, OutputFormat, OutputLayout, SeriesWriter, WriteOptions};
use tmoe_forecast::SeriesForecast;

use crate::Failure;
use crate::intervals::Bounds;

/// The column of forecasts in long tables.
const FORECAST: &str = "forecast";

/// Which file, and what it looks like.
#[derive(clap::Args)]
pub(super) struct OutputArguments {
    /// File to write the forecast to, .csv, .parquet, .json or .jsonl; standard output, as CSV, unless said
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Kind of output, if the file's name does not say it
    #[arg(long, value_enum, value_name = "KIND")]
    output_format: Option<FormatArgument>,
    /// How series lie in the output: as in the input (auto), in columns (wide) or rows (long)
    #[arg(long, value_enum, value_name = "LAYOUT", default_value_t = LayoutArgument::Auto)]
    output_layout: LayoutArgument,
    /// Write the known points too, before the forecast
    #[arg(long)]
    history: bool,
    /// Write JSON: short for --output-format json
    #[arg(long, conflicts_with = "output_format")]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArgument {
    Csv,
    Parquet,
    Json,
    Jsonl,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LayoutArgument {
    Auto,
    Wide,
    Long,
}

impl OutputArguments {
    pub(super) fn file(&self) -> Option<&PathBuf> {
        self.output.as_ref()
    }

    fn format(&self) -> OutputFormat {
        match self.output_format {
            _ if self.json => OutputFormat::Json,
            Some(FormatArgument::Csv) => OutputFormat::Csv,
            Some(FormatArgument::Parquet) => OutputFormat::Parquet,
            Some(FormatArgument::Json) => OutputFormat::Json,
            Some(FormatArgument::Jsonl) => OutputFormat::JsonLines,
            None => self.output.as_deref().and_then(OutputFormat::of).unwrap_or(OutputFormat::Csv),
        }
    }

    /// Starts the output for the series of a file, with columns for these bounds.
    pub(super) fn writer(
        &self,
        reader: &SeriesReader,
        bounds: &Bounds,
        force: bool,
    ) -> Result<Writer, Failure> {
        let format = self.format();
        let layout = match self.output_layout {
            LayoutArgument::Wide => OutputLayout::Wide,
            LayoutArgument::Long => OutputLayout::Long,
            LayoutArgument::Auto if format == OutputFormat::JsonLines => OutputLayout::Long,
            LayoutArgument::Auto if reader.layout() == Layout::Wide => OutputLayout::Wide,
            LayoutArgument::Auto => OutputLayout::Long,
        };
        let Columns { id, time, target } = reader.columns();
        let columns =
            [FORECAST.to_owned()].into_iter().chain(bounds.names().into_iter().map(|name| match layout {
                // There each series' name comes first.
                OutputLayout::Wide => name,
                OutputLayout::Long => format!("{FORECAST}-{name}"),
            }));
        let options =
            WriteOptions::new(format, columns).layout(layout).history(self.history).errors(true).names(
                id.unwrap_or_else(|| "unique_id".to_owned()),
                time.unwrap_or_else(|| "ds".to_owned()),
                target.unwrap_or_else(|| "y".to_owned()),
            );
        let writer = match &self.output {
            Some(path) => options.create(path, force)?,
            None => options.to_stream(std::io::stdout())?,
        };
        Ok(Writer { writer, history: self.history, bounds: bounds.len() })
    }
}

/// Forecasts on their way into a file.
pub(super) struct Writer {
    writer: SeriesWriter,
    history: bool,
    bounds: usize,
}

impl Writer {
    pub(super) fn append(&mut self, series: &SeriesForecast) -> Result<(), Failure> {
        let forecasted = match &series.result {
            Ok(forecasted) => forecasted,
            Err(problem) => return Ok(self.writer.append_error(&series.id, &problem.to_string())?),
        };
        let history = self
            .history
            .then(|| History { time: forecasted.series.time.as_deref(), values: &forecasted.series.values });
        let unknown;
        let bounds = match &forecasted.quantiles {
            Some(quantiles) => quantiles,
            None => {
                unknown = vec![vec![f32::NAN; forecasted.forecast.values.len()]; self.bounds];
                &unknown
            }
        };
        let columns: Vec<&[f32]> =
            [&forecasted.forecast.values].into_iter().chain(bounds).map(Vec::as_slice).collect();
        Ok(self.writer.append(&Block {
            id: &series.id,
            time: Some(&forecasted.time),
            columns: &columns,
            history,
        })?)
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        Ok(self.writer.finish()?)
    }
}

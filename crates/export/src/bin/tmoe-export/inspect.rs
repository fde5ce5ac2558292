//! `tmoe-export inspect`: what a package contains.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use serde_json::json;
use tmoe_onnx::Model;
use tmoe_package::{Engine, EngineError, Integrity, Package};

use crate::Failure;
use crate::output::print;

/// Show what a package contains, and check its files
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the package
    #[arg(value_name = "PACKAGE")]
    package: PathBuf,
    /// Check lengths only, not the sha256 of every file
    #[arg(long)]
    skip_hashes: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// An engine's folder, and the engine or why it cannot be used.
type Found = (PathBuf, Result<Engine, EngineError>);

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let integrity = if arguments.skip_hashes { Integrity::Lengths } else { Integrity::Hashes };
    let package = Package::open_with(&arguments.package, integrity)?;
    let mut operators = BTreeMap::new();
    for graph in &package.manifest().graphs {
        let path = package.path(&graph.file);
        let bytes =
            std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let stats = Model::decode(&bytes)
            .and_then(|model| model.stats())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        operators.insert(graph.op_set.name(), stats.nodes);
    }
    let engines = engines(&package, integrity)?;
    if arguments.json {
        let engine = |(folder, engine): &Found| match engine {
            Ok(engine) => json!({ "folder": folder, "manifest": engine.manifest() }),
            Err(error) => json!({ "folder": folder, "error": error.to_string() }),
        };
        let engines: Vec<_> = engines.iter().map(engine).collect();
        let report = json!({ "manifest": package.manifest(), "operators": operators, "engines": engines });
        print(&(serde_json::to_string_pretty(&report)? + "\n"))
    } else {
        print(&for_people(&package, &operators, &engines)?)
    }
}

fn for_people(
    package: &Package,
    operators: &BTreeMap<&str, BTreeMap<String, usize>>,
    engines: &[Found],
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let manifest = package.manifest();
    let config = &manifest.model;
    writeln!(text, "{}", package.folder().display())?;
    writeln!(
        text,
        "  model      {:.1} million parameters, {} layers, {} heads, hidden {}, {}",
        config.parameter_count() as f64 / 1e6,
        config.layers(),
        config.heads(),
        config.hidden_size(),
        match config.expert_ffn() {
            Some(_) => format!("{} experts, top-{}", config.experts(), config.top_k()),
            None => "dense".to_owned(),
        },
    )?;
    writeln!(
        text,
        "  horizons   {:?}, context + horizon up to {}",
        manifest.horizons,
        config.max_positions()
    )?;
    writeln!(
        text,
        "  precision  {}, predictions at {} position(s){}",
        manifest.precision,
        manifest.positions,
        if manifest.with_loss { ", with losses" } else { "" },
    )?;
    writeln!(
        text,
        "  written by {} {}, schema {}",
        manifest.tool.name, manifest.tool.version, manifest.schema
    )?;
    writeln!(text, "  source     sha256 {}", manifest.source.sha256)?;
    for (name, file) in &manifest.files {
        writeln!(text, "  {name:<22} {:>14} bytes  sha256 {}", file.bytes, file.sha256)?;
    }
    for graph in &manifest.graphs {
        let imports: Vec<String> = graph
            .opset_imports
            .iter()
            .map(|(domain, version)| match domain.as_str() {
                "" => format!("ai.onnx {version}"),
                domain => format!("{domain} {version}"),
            })
            .collect();
        let (op_set, nodes, imports) = (graph.op_set, graph.nodes, imports.join(", "));
        writeln!(text, "  graph {op_set:<10} {nodes} nodes, {imports}, cache in {}", graph.cache)?;
        if let Some(counts) = operators.get(graph.op_set.name()) {
            let mut counts: Vec<_> = counts.iter().collect();
            counts.sort_by(|left, right| right.1.cmp(left.1).then(left.0.cmp(right.0)));
            let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            writeln!(text, "    {}", counts.join(", "))?;
        }
    }
    for (folder, engine) in engines {
        let name = folder.file_name().unwrap_or_default().display();
        match engine {
            Ok(engine) => {
                let manifest = engine.manifest();
                writeln!(text, "  engine {name} from {}, {} bytes", manifest.op_set, manifest.engine.bytes)?;
                for profile in &manifest.profiles {
                    writeln!(text, "    {profile}")?;
                }
            }
            Err(error) => writeln!(text, "  engine {name} cannot be used: {error}")?,
        }
    }
    Ok(text)
}

/// Every engine of a package, or why it cannot be used.
fn engines(package: &Package, integrity: Integrity) -> Result<Vec<Found>, Failure> {
    let folders = Engine::folders(package).map_err(|error| {
        format!("cannot list {}: {error}", package.path(tmoe_package::files::ENGINES).display())
    })?;
    let open = |folder: PathBuf| (folder.clone(), Engine::open_with(package, folder, integrity));
    Ok(folders.into_iter().map(open).collect())
}

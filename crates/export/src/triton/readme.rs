//! `README.md` and `client.py` of a repository.

use super::config::{Executable, Model, VERSION};
use super::kubernetes::Placement;
use super::options::Device;

/// A client in Python with NVIDIA's `tritonclient`; the same for every model, since it asks the server for inputs and outputs.
pub(super) const CLIENT: &str = include_str!("templates/client.py");

const TEMPLATE: &str = include_str!("templates/README.md");

/// The text, of which paragraphs that begin with a mark in braces are left out where they do not apply.
pub(super) fn text(model: &Model, placement: Placement<'_>, kserve: bool) -> String {
    let (operators, plugins) = match &model.executable {
        Executable::Graph { operators, .. } => (operators.clone(), None),
        Executable::Engines(engines) => (None, engines.plugins.as_ref()),
    };
    let version = match &model.executable {
        Executable::Engines(engines) => Some(engines.version.clone()),
        Executable::Graph { .. } => None,
    };
    let preload = plugins.map(|plugins| {
        format!(" -e LD_PRELOAD={}/{}/{VERSION}/{}", placement.server_path, model.name, plugins.file)
    });
    let gpu = model.device == Device::Gpu;
    let marks = [
        ("{operators} ", operators.is_some()),
        ("{plugins} ", plugins.is_some()),
        ("{engines} ", version.is_some()),
        ("{kserve} ", kserve),
        ("{no-kserve} ", !kserve),
    ];
    let mut text = String::new();
    for paragraph in TEMPLATE.split_inclusive("\n\n") {
        match marks.iter().find_map(|(mark, kept)| Some((paragraph.strip_prefix(mark)?, *kept))) {
            Some((rest, true)) => text += rest,
            Some((_, false)) => {}
            None => text += paragraph,
        }
    }
    let megabytes = |points: usize| format!("{:.1}", (model.cache_bytes * points) as f64 / 1e6);
    let preferred: Vec<String> = model.preferred_batch_sizes.iter().map(u32::to_string).collect();
    let tf32 = if gpu && version.is_none() { " -e NVIDIA_TF32_OVERRIDE=0" } else { "" };
    for (mark, value) in [
        ("{name}", model.name.as_str()),
        ("{summary}", model.summary.as_str()),
        ("{image}", placement.image),
        ("{server_path}", placement.server_path),
        ("{gpus}", if gpu { " --gpus all" } else { "" }),
        ("{preload}", preload.as_deref().unwrap_or(tf32)),
        ("{library}", operators.as_deref().unwrap_or_default()),
        ("{version}", version.as_deref().unwrap_or_default()),
        ("{max_batch_size}", &model.max_batch_size.to_string()),
        ("{preferred}", &preferred.join(" and ")),
        ("{delay}", &model.max_queue_delay.to_string()),
        ("{cache_bytes}", &model.cache_bytes.to_string()),
        ("{cache_512}", &megabytes(512)),
        ("{max_positions}", &model.max_positions.to_string()),
    ] {
        text = text.replace(mark, value);
    }
    text
}

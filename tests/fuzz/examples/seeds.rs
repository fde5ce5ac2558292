//! Writes small valid inputs for every target to `corpus/`, made from the project's test data.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use tmoe_data::TimeColumn;
use tmoe_data::write::{Block, OutputFormat, WriteOptions};
use tmoe_model::Config;
use tmoe_onnx::{ExternalLayout, F32, GraphBuilder, ModelMetadata, shape};
use tmoe_package::{
    CacheType, FileEntry, GraphEntry, Manifest, OpSet, Positions, Precision, Source, Tool, files, hash_bytes,
};

const GOLDENS: [&str; 4] = ["dense", "gelu-one-head", "moe", "moe-bf16"];

/// Rows of the demo's table: the whole of it would slow every run down.
const ROWS: usize = 30;

const TIME_STAMPS: [&str; 10] = [
    "2016-07-01",
    "2016/7/1",
    "2016.07.01",
    "20160701",
    "2016-07",
    "2016/7/1 8:00",
    "2016-07-01 00:00:00.123456789",
    "2016-07-01 12:30:00 UTC",
    "2016-07-01T00:00:00+02:00",
    "2016-07-01t00:00:00-0530",
];

const SERIES: [&str; 4] = [
    "unique_id,ds,y\na,2024-01-31,1\na,2024-02-29,\nb,2024-01-31,2\na,2024-04-30,3\nb,2024-02-29,4\n",
    "ds;a;b\n2016-10-30T02:00+02:00;1;\n2016-10-30T02:00+01:00;2;3\n2016-10-30T04:00+01:00;NaN;4\n",
    "{\"sequence\": [1, null, 2.5e3]}\n{\"id\": \"x\", \"start\": \"2024-01-31\", \"freq\": \"ME\", \"target\": [1, NaN]}\n",
    "item_id,timestamp,target\n1,5,1\n1,7,2\n2,5,1\n2,6,2\n",
];

const FORECASTS: [&str; 4] = [
    "{\"series\": [[1, null, 2.5e3], {\"id\": \"x\", \"values\": [3]}], \"horizon\": 8, \"quantiles\": [0.1]}",
    "{\"model\": \"a\", \"version\": \"1\", \"series\": [[1]], \"horizon\": 1, \"context\": 9, \"timeout_ms\": 5}",
    "{\"model\": \"a\", \"inputs\": [{\"type\": \"univariate_time_series\", \"name\": \"x\", \"series\": [1, 2], \
     \"frequency\": \"H\", \"start_timestamp\": \"2026-03-14T08:00:00+02:00\"}], \
     \"options\": {\"horizon\": 2, \"quantiles\": [0.5], \"timeout_ms\": 5}}",
    "{\"model\": \"a\", \"inputs\": [{\"type\": \"univariate_time_series\", \"name\": \"x\", \"series\": [[1], [null]], \
     \"frequency\": \"month\", \"start_timestamp\": \"2024-01-31\"}], \"options\": {\"horizon\": 1, \"context\": 3}}",
];

/// One tensor as bytes, of 1 and 2; the others as numbers.
const TENSORS: &str = "{\"id\": \"i\", \"parameters\": {\"timeout\": 7, \"context\": 2, \"binary_data_output\": true}, \
     \"inputs\": [{\"name\": \"series\", \"shape\": [1, 2], \"datatype\": \"FP32\", \
     \"parameters\": {\"binary_data_size\": 8}}, \
     {\"name\": \"horizon\", \"shape\": [1], \"datatype\": \"INT64\", \"data\": [3]}, \
     {\"name\": \"quantiles\", \"shape\": [2], \"datatype\": \"FP64\", \"data\": [0.1, 0.9]}], \
     \"outputs\": [{\"name\": \"forecast\", \"parameters\": {\"binary_data\": true}}]}";

/// 1 and 2 in single precision.
const ONE_AND_TWO: [u8; 8] = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40];

fn main() -> Result<(), Box<dyn Error>> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = fuzz.join("../..");
    let seed = |target: &str, name: &str, bytes: &[u8]| {
        let folder = fuzz.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };

    for golden in GOLDENS {
        let folder = root.join("tests/golden").join(golden);
        let config = fs::read(folder.join("config.json"))?;
        seed("config_json", golden, &config)?;
        let manifest = manifest(Config::from_json_file(folder.join("config.json"))?);
        seed("manifest_json", golden, manifest.to_json().as_bytes())?;
        for file in ["model.safetensors", "golden.safetensors"] {
            let bytes = fs::read(folder.join(file))?;
            seed("safetensors_header", &format!("{golden}-{file}"), header(&bytes).ok_or("no header")?)?;
        }
    }
    seed("onnx_model", "mlp", &model()?)?;

    let table = fs::read_to_string(root.join("tools/demo/operations.csv"))?;
    let rows: Vec<&str> = table.lines().take(ROWS).collect();
    seed("csv_table", "operations", rows.join("\n").as_bytes())?;
    seed("csv_table", "months", b"ds;a;b\r\n2023-11-30;1;\r\n2023-12-31;NaN;2\r\n2024-01-31;\"3\";4\r\n")?;
    seed("csv_table", "offsets", b"time\ty\n2016-10-30T02:00+02:00\t1\n2016-10-30T02:00+01:00\t2e-3\n")?;
    seed("csv_table", "steps", b"step,y\n10,1\n20,\n30,3\n")?;
    for (index, text) in SERIES.into_iter().enumerate() {
        // The first byte chooses the options; 0 is none of the strict ones.
        seed("series_stream", &index.to_string(), &[&[0], text.as_bytes()].concat())?;
    }
    seed("series_stream", "parquet", &[&[0], parquet()?.as_slice()].concat())?;
    for (index, text) in
        ["15min", "h", "2W-SUN", "QE-DEC", "1 month (on day 15)", "7"].into_iter().enumerate()
    {
        seed("frequency", &index.to_string(), text.as_bytes())?;
    }
    for (index, text) in TIME_STAMPS.into_iter().enumerate() {
        seed("time_stamp", &index.to_string(), text.as_bytes())?;
    }
    for (index, text) in FORECASTS.into_iter().enumerate() {
        seed("forecast_request", &index.to_string(), text.as_bytes())?;
    }
    let length = u16::try_from(TENSORS.len())?.to_le_bytes();
    seed("infer_request", "binary", &[&length[..], TENSORS.as_bytes(), &ONE_AND_TWO].concat())?;
    let json = TENSORS.replace("\"parameters\": {\"binary_data_size\": 8}", "\"data\": [[1, null]]");
    seed("infer_request", "json", &[&u16::MAX.to_le_bytes()[..], json.as_bytes()].concat())?;
    seed("infer_message", "raw", &message(None, &[&ONE_AND_TWO]))?;
    seed("infer_message", "fields", &message(Some(&ONE_AND_TWO), &[]))?;
    // In the form of the target's input: the datatype and a shape, and a flag and the bytes from behind.
    for datatype in 0..12 {
        let shape = [1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        seed("tensor_bytes", &datatype.to_string(), &[&[datatype][..], &shape, &ONE_AND_TWO].concat())?;
    }
    Ok(())
}

/// The header's text without its length.
fn header(file: &[u8]) -> Option<&[u8]> {
    let (length, rest) = file.split_first_chunk()?;
    rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

fn manifest(model: Config) -> Manifest {
    let entry = || FileEntry { bytes: 4, sha256: hash_bytes(b"seed") };
    let graphs = OpSet::ALL.map(OpSet::file);
    let listed = graphs.into_iter().chain([files::WEIGHTS, files::SELFTEST]);
    let graph = |op_set: OpSet| GraphEntry {
        op_set,
        file: op_set.file().to_owned(),
        opset_imports: BTreeMap::from([(String::new(), 23)]),
        cache: CacheType::Float32,
        nodes: 100,
    };
    Manifest {
        schema: Manifest::SCHEMA,
        tool: Tool { name: "seeds".to_owned(), version: "0".to_owned() },
        horizons: model.horizon_lengths().to_vec(),
        model,
        precision: Precision::Fp32,
        positions: Positions::Last,
        with_loss: false,
        graphs: OpSet::ALL.map(graph).to_vec(),
        files: listed.map(|name| (name.to_owned(), entry())).collect(),
        source: Source::new(BTreeMap::from([("model.safetensors".to_owned(), entry())])),
    }
}

/// A `ModelInferRequest` for the forecast of 3 points after 1 and 2, whose series is in its field or in the raw contents.
fn message(field: Option<&[u8]>, raw: &[&[u8]]) -> Vec<u8> {
    let part = |tag: u8, bytes: &[u8]| [&[tag << 3 | 2, bytes.len() as u8], bytes].concat();
    let contents = field.map(|bytes| part(5, &part(6, bytes))).unwrap_or_default();
    let input = [part(1, b"series"), part(2, b"FP32"), part(3, &[1, 2]), contents].concat();
    let horizon = [part(1, b"horizon"), part(2, &[2 << 3, 3])].concat();
    let raw: Vec<u8> = raw.iter().flat_map(|bytes| part(7, bytes)).collect();
    [part(1, b"demo"), part(2, b"1"), part(3, b"id"), part(4, &horizon), part(5, &input), raw].concat()
}

/// Two series, as the project writes them.
fn parquet() -> Result<Vec<u8>, Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("tmoe-seeds-{}", std::process::id()));
    let mut writer = WriteOptions::new(OutputFormat::Parquet, ["y"]).create(&path, true)?;
    let time = TimeColumn::from_texts("ds", ["2024-01-31", "2024-02-29", "2024-04-30"])
        .map_err(|(_, error)| error)?;
    for id in ["a", "b"] {
        writer.append(&Block { id, time: Some(&time), columns: &[&[1.0, f32::NAN, 3.0]], history: None })?;
    }
    writer.finish()?;
    let bytes = fs::read(&path)?;
    fs::remove_file(&path)?;
    Ok(bytes)
}

/// A graph with inline and external weights, an attribute and a constant.
fn model() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut layout = ExternalLayout::new("weights.bin");
    let up = layout.reserve("up_proj", 8 * 4 * 4)?;
    let mut g = GraphBuilder::new("mlp", 23);
    let x = g.input::<F32>("x", shape!["batch", 8]);
    let weight = g.external::<F32>("up_proj.weight", &[8, 4], up);
    let h = g.matmul(x, weight);
    let bias = g.const_tensor::<F32>(&[4], &[0.5, -1.0, 0.0, 2.0]);
    let h = g.add(h, bias);
    let y = g.softmax(h, -1);
    g.output("y", y);
    Ok(g.finish(ModelMetadata { producer_name: "seeds".into(), ..ModelMetadata::default() })?.encode())
}

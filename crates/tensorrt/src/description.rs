//! What TensorRT tells of an engine while it builds it.

/// The layers, inputs and outputs of an engine, read from TensorRT's own description of it.
///
/// ```
/// use tmoe_tensorrt::EngineDescription;
///
/// let description = EngineDescription::new(
///     "Layers:\n\
///      Name: relu, LayerType: kgen, Inputs: [ { Name: x, Dimensions: [-1,8] }], StreamId: 0\n\
///      \n\
///      I/O Tensors:\n \
///      Name: x, IOMode: Input, DataType: Float, Dimensions: [-1,8], ProfileInfo: [ { MinShape: [1,8], OptShape: [2,8], \
///      MaxShape: [4,8], Format: linear }]\n",
/// );
/// assert_eq!(description.layers()[0].name, "relu");
/// assert_eq!(description.tensors()[0].profiles[0].max, [4, 8]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineDescription(String);

/// A layer of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedLayer {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: String,
}

/// An input or output of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTensor {
    /// Its name.
    pub name: String,
    /// Or an output.
    pub is_input: bool,
    /// The type of its elements, in TensorRT's words.
    pub data_type: String,
    /// Its shape, with -1 for dimensions that profiles say.
    pub shape: Vec<i64>,
    /// The shapes that each profile allows; none for outputs.
    pub profiles: Vec<ProfileShapes>,
}

/// The shapes that one profile allows an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileShapes {
    /// The least.
    pub min: Vec<i64>,
    /// The most likely.
    pub opt: Vec<i64>,
    /// The most.
    pub max: Vec<i64>,
}

impl EngineDescription {
    /// Of TensorRT's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as TensorRT wrote it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The lines of a section, which ends at an empty line.
    fn section(&self, title: &str) -> impl Iterator<Item = &str> {
        let lines = self.0.lines().skip_while(move |line| *line != title).skip(1);
        lines.take_while(|line| !line.trim().is_empty())
    }

    /// The layers, in the order in which they run.
    pub fn layers(&self) -> Vec<DescribedLayer> {
        let layer = |line| {
            let name = between(line, "Name: ", ", LayerType: ")?.to_owned();
            Some(DescribedLayer { name, kind: between(line, ", LayerType: ", ",")?.to_owned() })
        };
        self.section("Layers:").filter_map(layer).collect()
    }

    /// The inputs and outputs.
    pub fn tensors(&self) -> Vec<DescribedTensor> {
        let tensor = |line| {
            Some(DescribedTensor {
                name: between(line, "Name: ", ", IOMode: ")?.to_owned(),
                is_input: between(line, ", IOMode: ", ",")? == "Input",
                data_type: between(line, ", DataType: ", ",")?.to_owned(),
                shape: dims(line, ", Dimensions: ")?,
                profiles: profiles(line),
            })
        };
        self.section("I/O Tensors:").filter_map(tensor).collect()
    }
}

fn profiles(line: &str) -> Vec<ProfileShapes> {
    let profile = |part: &str| {
        let (min, opt, max) =
            (dims(part, "MinShape: ")?, dims(part, "OptShape: ")?, dims(part, "MaxShape: ")?);
        Some(ProfileShapes { min, opt, max })
    };
    line.split("ProfileInfo: ")
        .nth(1)
        .into_iter()
        .flat_map(|info| info.split('{'))
        .filter_map(profile)
        .collect()
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let rest = text.split_once(before)?.1;
    rest.split_once(after).map(|(found, _)| found)
}

fn dims(text: &str, before: &str) -> Option<Vec<i64>> {
    let list = between(text, &format!("{before}["), "]")?;
    let dims = list.split(',').filter(|dim| !dim.trim().is_empty());
    dims.map(|dim| dim.trim().parse().ok()).collect()
}

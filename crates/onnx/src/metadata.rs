//! What a model says about itself.

/// What a model says about itself, for people and tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelMetadata {
    /// The tool that wrote the model.
    pub producer_name: String,
    /// The version of that tool.
    pub producer_version: String,
    /// Text for people.
    pub doc: String,
    /// Named values, in the order in which they are written.
    pub properties: Vec<(String, String)>,
}

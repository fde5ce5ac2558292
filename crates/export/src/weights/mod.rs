//! From the tensors of a checkpoint to the blobs of `weights.bin`.

mod layout;
mod quantize;
mod transpose;
mod write;

pub(crate) use layout::{
    BlobId, FfnBlobs, GatedBlobs, LayerBlobs, LinearBlobs, ProjectionBlobs, WeightLayout,
};
pub(crate) use write::{convert_matrix, plan, write_weights};

//! From the tensors of a checkpoint to the blobs of `weights.bin`.

mod layout;
mod transpose;
mod write;

pub(crate) use layout::{
    BlobId, FfnBlobs, GatedBlobs, LayerBlobs, LinearBlobs, ProjectionBlobs, WeightLayout,
};
pub(crate) use write::{plan, write_weights};

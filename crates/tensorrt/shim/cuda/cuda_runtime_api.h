// The types of the CUDA runtime that TensorRT's headers name. They only pass through pointers to them, so a CUDA
// installation is not needed to compile against them.
#pragma once

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;

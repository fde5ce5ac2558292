// What headers of other libraries want of the CUDA runtime: the names of streams and events. They have no use for the macros that
// cuda_runtime.h makes of CUDA's qualifiers, which the standard library's headers do not bear.
#pragma once

typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;

// CUDA C++ for a compiler that knows none: the qualifiers, types, intrinsics and runtime functions that the kernels use, on top
// of the emulator. It stands in for the file of the same name of a CUDA toolkit.
#pragma once

#define TMOE_EMULATOR 1

#include "emulator/qualifiers.h"
#include "emulator/vector_types.h"

#include "emulator/block.h"
#include "emulator/device.h"
#include "emulator/device_functions.h"
#include "emulator/runtime.h"
#include "emulator/warp_functions.h"

// The emulated machine: one device of each generation that the kernels are compiled for.
#pragma once

namespace emulator {

struct DeviceFacts {
    int capability;
    int multiprocessors;
    int max_shared_bytes;
};

// Devices 0, 1, ...; cudaSetDevice selects one of them. The first is an sm_90.
int device_count();
const DeviceFacts &device_facts(int device);
int current_device();
void set_current_device(int device);

inline int current_capability() { return device_facts(current_device()).capability; }

// Ends the process with a message if the current device is older than `capability`.
void require_capability(int capability, const char *instruction);

}  // namespace emulator

// An access to memory that cannot be touched ends the process with a message that says which thread did it.
#pragma once

namespace emulator {

// From now on; done once. Sanitizers have their own reports, with them this does nothing.
void report_memory_faults();

}  // namespace emulator

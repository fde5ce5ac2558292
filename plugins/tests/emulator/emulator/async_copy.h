// cp.async: copies that happen when the emulator's order says so, at the latest when they are waited for.
#pragma once

namespace emulator {

void async_copy_16(void *to, const void *from, bool valid);
void async_copy_commit();
void async_copy_wait(int pending);

// The thread has ended: its copies that nobody waited for are dropped.
void async_copy_forget(int thread);

}  // namespace emulator

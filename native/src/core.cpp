// Identification of a shared object of the native core, and of the processor.

#include "grokkit_native.h"

#ifndef GROKKIT_SET
#error "define GROKKIT_SET, the name of the instruction set, and GROKKIT_VECTOR_BYTES"
#endif

extern "C" {

int32_t grokkit_abi(void) { return GROKKIT_ABI; }

const char *grokkit_instruction_set(void) { return GROKKIT_SET; }

int32_t grokkit_lanes(int32_t bytes) { return GROKKIT_VECTOR_BYTES / bytes; }

const char *grokkit_best_instruction_set(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return "avx512";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "avx2";
#endif
    return "baseline";
}
}

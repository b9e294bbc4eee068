/* The C interface of the native core. Every shared object of it, one for each instruction set, exports the
 * same names; grokkit loads exactly one of them, privately (src/grokkit/_native).
 *
 * Results do not depend on the instruction set: no contraction into fused multiply-adds, no reassociation, and
 * runs as SIMD lanes, so that a run's arithmetic is the same in a vector of 2, 4, 8 or 16 lanes. */
#ifndef GROKKIT_NATIVE_H
#define GROKKIT_NATIVE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a function or structure below changes; the loader refuses any other. */
#define GROKKIT_ABI 1

int32_t grokkit_abi(void);

/* Name of the best instruction set that this processor runs: "avx512", "avx2" or "baseline". */
const char *grokkit_best_instruction_set(void);

/* Name of the instruction set that this object was built for. */
const char *grokkit_instruction_set(void);

/* Runs trained side by side in one vector, for numbers of 4 or 8 bytes. */
int32_t grokkit_lanes(int32_t bytes);

enum { GROKKIT_ADAMW = 0, GROKKIT_ADAM = 1, GROKKIT_SGD = 2 };

/* A stretch of training of one shard: `steps` optimizer steps of all its runs.
 *
 * Runs are interleaved in groups of `lanes`: lane l of group g is run g * lanes + l. In every array below the
 * lane is the fastest index. Per-step arrays have `steps` entries; all are inputs unless said otherwise. */
typedef struct {
    int32_t n, m, p;          /* format of a block: A is n x m, B is m x p */
    int32_t blocks;           /* blocks a side of the products that are trained */
    int32_t slots;
    int32_t groups;
    int64_t steps;
    int64_t samples;          /* rows of `operands` for each group */
    int32_t shared;           /* 1: operands are (samples, values) for all runs; 0: (groups, samples, values, lanes) */
    int32_t optimizer;        /* GROKKIT_ADAMW, ... */
    const void *operands;     /* values of one row: blocks^2 blocks of A, then of B */
    const int32_t *rows;      /* rows of the minibatches, one step after another */
    const int32_t *counts;    /* rows in each step's minibatch */
    const double *rate;       /* learning rate */
    const double *decay;      /* weight decay */
    const double *mean_scale; /* rate / (1 - beta1^t); rate for SGD */
    const double *root_scale; /* sqrt(1 - beta2^t) */
    const double *threshold;  /* of the proximal L1 step; 0: none */
    const uint8_t *balance;   /* whether to equalize the norms of u, v, w of each slot after the step */
    const void *noise;        /* added to the weights where the gradient is taken: (groups, steps, slots * width, lanes), or NULL */
    double beta1, beta2, epsilon, momentum;
    double clip;              /* largest gradient norm; 0: none */
    int32_t first_step;       /* 1 if the first of these steps is the run's very first */
    void *theta;              /* in, out: (groups, slots, width, lanes), width = nm + mp + np */
    void *mean;               /* in, out: optimizer's mean gradient, like theta */
    void *square;             /* in, out: optimizer's mean squared gradient, like theta */
    double *norms;            /* in, out: (groups, 2, lanes): sums of gradient norms and of their squares */
} grokkit_training;

/* 0 on success, 1 if the sizes are outside what is supported (then nothing was done). */
int32_t grokkit_train_float32(const grokkit_training *training);
int32_t grokkit_train_float64(const grokkit_training *training);

#ifdef __cplusplus
}
#endif

#endif

/* The C interface of the native core. Every shared object of it, one for each instruction set, exports the
 * same names; grokkit loads exactly one of them, privately (src/grokkit/_native).
 *
 * Training gives the same bits on every instruction set: no contraction into fused multiply-adds, no reassociation, and
 * runs as SIMD lanes, so that a run's arithmetic is the same in a vector of 2, 4, 8 or 16 lanes. Products of matrices give
 * the same bits for any number of threads; between instruction sets they may differ in the last digits. */
#ifndef GROKKIT_NATIVE_H
#define GROKKIT_NATIVE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)   /* all else stays inside the shared object */

/* Raised whenever a function or structure below changes; the loader refuses any other. */
#define GROKKIT_ABI 4

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

/* --- products of matrices --- */

enum { GROKKIT_FLOAT32 = 0, GROKKIT_FLOAT64 = 1, GROKKIT_UINT32 = 2, GROKKIT_UINT64 = 3 };

/* A matrix in memory; strides in entries, of any sign. */
typedef struct {
    void *data;
    int64_t rows, columns, row_stride, column_stride;
} grokkit_matrix;

/* A bilinear scheme for blocks, A in a grid of n x m, B of m x p, C of n x p:
 * C_k = sum_r w_rk (sum_i u_ri A_i) (sum_j v_rj B_j), each factor by products, then by blocks, row by row.
 * For unsigned integers coefficients are whole numbers, taken modulo the type. */
typedef struct {
    int32_t n, m, p, rank;
    const double *u, *v, *w;
} grokkit_coefficients;

/* c = a b. Winograd's variant of Strassen's algorithm on `explicit_levels` levels, below them the scheme, fused: of the
 * classical product, n = m = p = rank = 1. c must not overlap a or b, and its rows or its columns must be contiguous. */
typedef struct {
    int32_t type;
    int32_t threads;
    int32_t explicit_levels;
    grokkit_coefficients fused;
    grokkit_matrix a, b, c;
} grokkit_product;

/* 0 on success; 1 if the call is outside what is supported, 2 if there is no memory (then nothing was done). The result
 * does not depend on the number of threads. Calls may run side by side. */
int32_t grokkit_multiply(const grokkit_product *product);

/* Bytes that grokkit_multiply allocates while it runs; -1 if the call is outside what is supported. */
int64_t grokkit_workspace(const grokkit_product *product);

/* Sizes of the fused kernel: rows and columns of its register tile, and the inner dimension that it packs at a time. */
typedef struct {
    int64_t rows, columns, inner;
} grokkit_tile;
int32_t grokkit_tile_of(int32_t type, grokkit_tile *tile);

/* The same product by plain loops, for tests: the fused scheme only, one thread. */
int32_t grokkit_multiply_reference(const grokkit_product *product);

/* Whether all entries of a matrix of floating-point numbers are finite. */
int32_t grokkit_finite(int32_t type, const grokkit_matrix *matrix);

/* Multiply and add in registers, in `count` rounds; the number of floating-point operations done. */
double grokkit_flops(int32_t type, int64_t count);

/* --- walks in the flip graph --- */

enum { GROKKIT_GF2 = 0, GROKKIT_GF3 = 1, GROKKIT_TERNARY = 2 };

/* Independent walks from given schemes, over GF(2), GF(3), or Z with coefficients -1, 0, 1 only.
 *
 * A factor is a vector of up to 64 coefficients: bit e of its first word is set where coefficient e is 1, of its second
 * where it is -1 (over GF(2) the second is 0). What a walk does depends on its scheme, its random state and the
 * settings, not on the number of threads, the instruction set, or the other walks. */
typedef struct {
    int32_t ring;               /* GROKKIT_GF2, ... */
    int32_t entries;            /* of the longest factor: 1 to 64 */
    int32_t capacity;           /* products that `factors` has room for: 1 to 1024 */
    int32_t threads;
    int32_t target;             /* a walk ends at this rank */
    int32_t headroom;           /* plus transitions only below this many ranks above the walk's best */
    int32_t symmetric;          /* 1: products 3q, 3q + 1 and 3q + 2 are rotations of one another and stay so: factor f + 1 of
                                   the next is factor f of the one before; ranks are multiples of 3 */
    int64_t walkers;
    int64_t steps;              /* flips that each walk tries */
    const uint64_t *acceptance; /* NULL, or 64 chances times 2^64: to accept a flip that adds d + 1 nonzero coefficients */
    const int64_t *intervals;   /* (walkers) flips without a lower rank before a plus transition */
    uint64_t *random;           /* (walkers) in, out: states of the random generators */
    int32_t *ranks;             /* (walkers) in: of the scheme; out: the lowest that was reached */
    uint64_t *factors;          /* (walkers, 3, capacity, 2) in: the scheme; out: as last seen at that rank; with
                                   `acceptance`, the one of fewest nonzero coefficients there */
    int64_t *tried;             /* (walkers) out: flips tried */
    int64_t *flipped;           /* (walkers) out: flips done */
    int64_t *reached;           /* (walkers, capacity + 1) in: -1; out: flips tried before each rank was first reached */
} grokkit_walks;

/* 0 on success; 1 if the call is outside what is supported (then nothing was done), 2 if there was no memory for some walks. */
int32_t grokkit_walk(const grokkit_walks *walks);

/* Walks towards fewer additions, among schemes of one rank with coefficients -1, 0, 1. Fields as above. */
typedef struct {
    int32_t entries[3];         /* of the factors of A, B and C: 1 to 64 */
    int32_t capacity;           /* 1 to 128 */
    int32_t threads;
    int32_t flips;              /* a step is 1 to this many flips, drawn at random */
    int64_t walkers;
    int64_t steps;              /* each counts the additions once */
    const uint64_t *acceptance; /* 64 chances times 2^64: to accept a step that adds d + 1 additions */
    uint64_t *random;           /* (walkers) in, out */
    int32_t *ranks;             /* (walkers) in, out */
    uint64_t *factors;          /* (walkers, 3, capacity, 2) in: the scheme; out: the cheapest that was seen */
    int32_t *additions;         /* (walkers) out: its additions, by one greedy elimination of common pairs */
} grokkit_cheapening;

/* 0 on success; 1 if the call is outside what is supported (then nothing was done), 2 if there was no memory for some walks. */
int32_t grokkit_cheapen(const grokkit_cheapening *job);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif

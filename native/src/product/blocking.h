/* Sizes that suit an instruction set: the register tile and the blocks that are packed. One entry a set. */
#ifndef GROKKIT_PRODUCT_BLOCKING_H
#define GROKKIT_PRODUCT_BLOCKING_H

#include <cstdint>
#include <type_traits>

namespace grokkit {

/* Rows and vectors of the register tile: rows x vectors accumulators, `vectors` of B and one broadcast entry of A must
 * fit the register file. `inner` entries of a row of A are packed at a time, or up to half as many more (a panel of A stays
 * in the first cache; the longest one in float64 exceeds it by an eighth where that cache has 32 KiB, which costs nothing
 * that could be measured), `block_bytes` of B (a block stays in the second). */
struct Tile {
    int rows, vectors;
    int64_t inner, block_bytes;
};

#if GROKKIT_VECTOR_BYTES == 64
constexpr Tile tile = {6, 4, 512, 1 << 20};   // AVX-512: 32 registers, second caches of 1 MiB and more
#elif GROKKIT_VECTOR_BYTES == 32
constexpr Tile tile = {6, 2, 512, 1 << 19};   // AVX2: 16 registers, second caches of 256 KiB to 1 MiB
#elif defined(__aarch64__)
constexpr Tile tile = {6, 4, 512, 3 << 17};   // NEON: 32 registers
#else
constexpr Tile tile = {4, 2, 512, 3 << 17};   // SSE2: 16 registers, a product needs one of its own
#endif

constexpr int vector_bytes = GROKKIT_VECTOR_BYTES;

template <class T> struct Blocking {
    static constexpr int lanes = vector_bytes / int(sizeof(T));
    /* Of the register tile. Integers have no fused multiply-add: the product needs registers of its own. */
    static constexpr int rows = std::is_floating_point_v<T> ? tile.rows : 4;
    static constexpr int vectors = tile.vectors;
    static constexpr int columns = tile.vectors * lanes;            // of the register tile
    static constexpr int64_t inner = tile.inner;                    // packed at a time, about
    static constexpr int64_t most_inner = inner + inner / 2;
    static constexpr int64_t block = tile.block_bytes / int64_t(sizeof(T));   // entries of a block of B
};

}  // namespace grokkit

#endif

/* The register tile: a panel of A times a panel of B, added to one place in each of several blocks of C. */
#ifndef GROKKIT_PRODUCT_KERNEL_H
#define GROKKIT_PRODUCT_KERNEL_H

#include <vector>

#include "matrix.h"
#include "vectors.h"

namespace grokkit {

/* Says that x is in a register here, which keeps accumulators from being spilled inside the loop. */
#if defined(__x86_64__) || defined(__i386__)
#define GROKKIT_KEEP(x) asm("" : "+x"(x))
#elif defined(__aarch64__)
#define GROKKIT_KEEP(x) asm("" : "+w"(x))
#else
#define GROKKIT_KEEP(x) (void)(x)
#endif

constexpr int64_t unrolled = 4;   // steps of the kernel's loop; the packed inner dimension is a multiple
constexpr int64_t line_bytes = 64;

/* tile = sum_p a[p, .] b[p, .]^T. Alone in its function, so that all accumulators stay in registers.
 *
 * a: `inner` rows of Blocking::rows entries. b: `inner` rows of Blocking::columns entries. ahead: inner / unrolled
 * addresses that will be used soon. One is asked for at a time between multiplications: many at once would take all the
 * slots in which the kernel's own loads wait. One pointer for each operand, so that most instructions are short: a core
 * whose other thread is busy is limited by how fast they are fetched. */
template <class T>
__attribute__((noinline)) void accumulate(int64_t inner, const T *__restrict a, const T *__restrict b,
                                          const char *const *ahead, T *__restrict tile) {
    using V = typename Vector<T>::aligned;
    constexpr int rows = Blocking<T>::rows, vectors = Blocking<T>::vectors, lanes = Blocking<T>::lanes;
    V sum[rows][vectors] = {};
    const T *const end = b + inner * vectors * lanes;
    while (b != end) {
        asm("" : "+r"(a), "+r"(b));   // not moved before the loads, which would lengthen their offsets
        __builtin_prefetch(*ahead++, 0, 2);
        written_out<unrolled>([&](auto q) GROKKIT_INLINE {
            V row[vectors];
            written_out<vectors>([&](auto v) GROKKIT_INLINE {
                row[v()] = *reinterpret_cast<const V *>(b + (q() * vectors + v()) * lanes);
            });
            written_out<rows>([&](auto r) GROKKIT_INLINE {
                const T x = a[q() * rows + r()];
                written_out<vectors>([&](auto v) GROKKIT_INLINE { sum[r()][v()] += x * row[v()]; });
            });
        });
        asm("" : "+r"(a), "+r"(b));
        b += unrolled * vectors * lanes;
        a += unrolled * rows;
        written_out<rows * vectors>([&](auto i) GROKKIT_INLINE { GROKKIT_KEEP(sum[i() / vectors][i() % vectors]); });
    }
    written_out<rows * vectors>([&](auto i) GROKKIT_INLINE {
        *reinterpret_cast<V *>(tile + i() * lanes) = sum[i() / vectors][i() % vectors];
    });
}

/* c += w * tile, or c = w * tile. */
template <class T, bool first> inline void update(T *c, int64_t stride, T w, const T *tile) {
    constexpr int rows = Blocking<T>::rows, columns = Blocking<T>::columns, lanes = Blocking<T>::lanes;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < columns; v += lanes) {
            T *const to = c + r * stride + v;
            const auto product = w * load(tile + r * columns + v);
            if constexpr (first) store(to, product);
            else store(to, load(to) + product);
        }
}

/* The same on the part of a tile that lies inside the block. */
template <class T, bool first> void update_part(T *c, int64_t stride, T w, const T *tile, int64_t height, int64_t width) {
    constexpr int columns = Blocking<T>::columns, lanes = Blocking<T>::lanes;
    for (int64_t r = 0; r < height; r++, c += stride, tile += columns) {
        int64_t x = 0;
        for (; x + lanes <= width; x += lanes) store(c + x, first ? w * load(tile + x) : load(c + x) + w * load(tile + x));
        for (; x < width; x++) c[x] = first ? w * tile[x] : c[x] + w * tile[x];
    }
}

/* c += coefficient * sum_p a[., p] b[p, .] for each target, or c = where the target says `first`.
 *
 * a, b, ahead: as in `accumulate`. (i, j): the tile's corner in the targets' blocks. Entries beyond a block are dropped. */
template <class T>
void multiply_tile(int64_t inner, const T *a, const T *b, const std::vector<Target<T>> &targets, int64_t i, int64_t j,
                   const char *const *ahead) {
    constexpr int rows = Blocking<T>::rows, columns = Blocking<T>::columns;
    alignas(64) T tile[rows * columns];
    accumulate(inner, a, b, ahead, tile);
    for (const Target<T> &target : targets) {
        const Matrix<T> &c = target.block;
        T *const corner = c.data + i * c.row_stride + j;
        const int64_t height = std::min<int64_t>(rows, c.rows - i), width = std::min<int64_t>(columns, c.columns - j);
        if (height <= 0 || width <= 0) continue;
        if (height < rows || width < columns) {
            if (target.first) update_part<T, true>(corner, c.row_stride, target.coefficient, tile, height, width);
            else update_part<T, false>(corner, c.row_stride, target.coefficient, tile, height, width);
        } else if (target.first) update<T, true>(corner, c.row_stride, target.coefficient, tile);
        else update<T, false>(corner, c.row_stride, target.coefficient, tile);
    }
}

/* The memory to ask for while a row of tiles is multiplied: lines to be read after it, shared out over the tiles, and each
 * tile's own lines of C. */
template <class T> class Ahead {
  public:
    Ahead() { std::fill(now_, now_ + most, near()); }

    /* Begin a row of tiles, the first of them at (i, j) of the targets; `steps` addresses a tile. */
    void start(const std::vector<Target<T>> &targets, int64_t i, int64_t j, int64_t steps) {
        lines_ = 0;
        corners_ = 0;
        steps_ = steps;
        for (const Target<T> &target : targets)
            for (int64_t r = i; r < std::min(i + Blocking<T>::rows, target.block.rows); r++)
                for (int64_t x = line_bytes; x <= tile_bytes && corners_ < steps; x += line_bytes)
                    corner_[corners_++] = reinterpret_cast<const char *>(&target.block.at(r, j)) + x - 1;
    }

    /* Consecutive memory. */
    void add(const T *from, int64_t entries) {
        const int64_t into = int64_t(reinterpret_cast<std::uintptr_t>(from) % line_bytes), bytes = entries * int64_t(sizeof(T));
        const char *const start = reinterpret_cast<const char *>(from) - into, **const to = line_ + lines_;
        const int64_t lines = std::min((into + bytes + line_bytes - 1) / line_bytes, room - lines_);
        for (int64_t x = 0; x < lines; x++) to[x] = start + x * line_bytes;
        lines_ += lines;
    }

    /* The addresses for the tile number `t`. A tile's line of C is the one in which its row ends; it begins in that of the
     * tile before. */
    const char *const *of_tile(int64_t t) {
        const int64_t offset = t * tile_bytes, share = steps_ - corners_;
        for (int64_t x = 0; x < corners_; x++) now_[x] = corner_[x] + offset;
        const int64_t lines = std::clamp<int64_t>(lines_ - t * share, 0, share), used = corners_ + lines;
        std::copy(line_ + t * share, line_ + t * share + lines, now_ + corners_);
        if (used < used_) std::fill(now_ + used, now_ + used_, near());
        used_ = used;
        return now_;
    }

  private:
    static constexpr int64_t tile_bytes = Blocking<T>::columns * int64_t(sizeof(T));
    static constexpr int64_t most = Blocking<T>::most_inner / unrolled, room = 2048;
    const char *near() const { return reinterpret_cast<const char *>(now_); }   // costs nothing

    int64_t steps_ = 0, corners_ = 0, lines_ = 0, used_ = 0;
    const char *corner_[most], *now_[most], *line_[room];
};

}  // namespace grokkit

#endif

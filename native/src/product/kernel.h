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

/* Lines of memory that will be used soon, `step` bytes apart. The kernel asks for one at a time while it multiplies: many
 * at once would take all the slots in which its own loads wait. */
struct Lines {
    const char *line;
    int64_t step, count;
};

/* tile = sum_p a[., p] b[p, .]. Alone in its function, so that all accumulators stay in registers.
 *
 * a: Blocking::rows rows of `inner` entries, `stride` apart. b: `inner` rows of Blocking::columns entries. */
template <class T>
__attribute__((noinline)) void accumulate(int64_t inner, const T *__restrict a, int64_t stride, const T *__restrict b,
                                          const Lines *ahead, const Lines *ahead_end, T *__restrict tile) {
    using V = typename Vector<T>::aligned;
    constexpr int rows = Blocking<T>::rows, vectors = Blocking<T>::vectors, lanes = Blocking<T>::lanes;
    V sum[rows][vectors] = {};
    const T *from[rows];
    written_out<rows>([&](auto r) GROKKIT_INLINE { from[r()] = a + r() * stride; });
    Lines lines = ahead != ahead_end ? *ahead : Lines{};
    const T *const end = b + inner * vectors * lanes;
    while (b != end) {
        if (ahead != ahead_end) {
            __builtin_prefetch(lines.line, 0, 2);
            lines.line += lines.step;
            if (--lines.count == 0 && ++ahead != ahead_end) lines = *ahead;
        }
        written_out<unrolled>([&](auto q) GROKKIT_INLINE {
            V row[vectors];
            written_out<vectors>([&](auto v) GROKKIT_INLINE {
                row[v()] = *reinterpret_cast<const V *>(b + (q() * vectors + v()) * lanes);
            });
            written_out<rows>([&](auto r) GROKKIT_INLINE {
                const T x = from[r()][q()];
                written_out<vectors>([&](auto v) GROKKIT_INLINE { sum[r()][v()] += x * row[v()]; });
            });
        });
        b += unrolled * vectors * lanes;
        written_out<rows>([&](auto r) GROKKIT_INLINE {
            from[r()] += unrolled;
            asm("" : "+r"(from[r()]));   // as a register of its own, not recomputed from its neighbours
        });
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

template <class T> inline void update_part(const Target<T> &target, int64_t i, int64_t j, const T *tile) {
    constexpr int rows = Blocking<T>::rows, columns = Blocking<T>::columns;
    const Matrix<T> &c = target.block;
    const int64_t height = std::min<int64_t>(rows, c.rows - i), width = std::min<int64_t>(columns, c.columns - j);
    for (int64_t r = 0; r < height; r++) {
        T *row = c.data + (i + r) * c.row_stride + j;
        const T *from = tile + r * columns;
        if (target.first)
            for (int64_t x = 0; x < width; x++) row[x] = target.coefficient * from[x];
        else
            for (int64_t x = 0; x < width; x++) row[x] += target.coefficient * from[x];
    }
}

/* c += coefficient * sum_p a[., p] b[p, .] for each target, or c = where the target says `first`.
 *
 * a, b: as in `accumulate`. (i, j): the tile's corner in the targets' blocks. Entries beyond a block are dropped. */
template <class T>
void multiply_tile(int64_t inner, const T *a, int64_t a_stride, const T *b, const std::vector<Target<T>> &targets,
                   int64_t i, int64_t j, const std::vector<Lines> &ahead) {
    constexpr int rows = Blocking<T>::rows, columns = Blocking<T>::columns;
    alignas(64) T tile[rows * columns];
    accumulate(inner, a, a_stride, b, ahead.data(), ahead.data() + ahead.size(), tile);
    for (const Target<T> &target : targets) {
        const Matrix<T> &c = target.block;
        T *const corner = c.data + i * c.row_stride + j;
        if (i + rows > c.rows || j + columns > c.columns) update_part(target, i, j, tile);
        else if (target.first) update<T, true>(corner, c.row_stride, target.coefficient, tile);
        else update<T, false>(corner, c.row_stride, target.coefficient, tile);
    }
}

/* The lines of C that the tile at (i, j) will change. */
template <class T>
void list_tile(std::vector<Lines> &lines, const std::vector<Target<T>> &targets, int64_t i, int64_t j) {
    constexpr int64_t rows = Blocking<T>::rows, width = Blocking<T>::columns * sizeof(T);
    for (const Target<T> &target : targets) {
        const Matrix<T> &c = target.block;
        if (i + rows > c.rows || j + Blocking<T>::columns > c.columns) continue;
        const char *const corner = reinterpret_cast<const char *>(c.data + i * c.row_stride + j);
        const int64_t step = c.row_stride * int64_t(sizeof(T));
        for (int64_t x = 0; x < width; x += line_bytes) lines.push_back({corner + x, step, rows});
        if (reinterpret_cast<uintptr_t>(corner) % line_bytes) lines.push_back({corner + width - 1, step, rows});
    }
}

}  // namespace grokkit

#endif

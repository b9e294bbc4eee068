/* Packing: linear combinations of blocks, formed while they are copied into the order in which the kernel reads.
 *
 * A matrix is packed as panels of so many columns; a panel holds its rows one after another. B is packed as it is, A
 * transposed. Entries beyond a block count as zero. Blocks whose rows, or whose columns, are contiguous in memory each have
 * a vector path; any other strides are gathered one by one. */
#ifndef GROKKIT_PRODUCT_PACKING_H
#define GROKKIT_PRODUCT_PACKING_H

#include <limits>

#include "matrix.h"
#include "vectors.h"

namespace grokkit {

template <class T> using Terms = std::vector<Term<T>>;

template <class T> inline T entry(const Terms<T> &terms, int64_t i, int64_t j) {
    T sum = 0;
    for (const Term<T> &term : terms)
        if (i < term.block.rows && j < term.block.columns) sum += term.coefficient * term.block.at(i, j);
    return sum;
}

constexpr int max_blocks = 256;             // of an operand
constexpr int max_terms = 2 * max_blocks;   // of a sum, whose operand may itself be a sum of two

/* The terms as seen from their entries (i, j): `count` of them, or as many as there are if count is 0. Local copies, so that
 * the compiler need not fear that packing changes them. */
template <class T, int count> struct Sources {
    using V = typename Vector<T>::aligned;
    static constexpr int room = count ? count : max_terms;
    const T *from[room];
    T coefficient[room];
    int number = 0;

    Sources(const Terms<T> &terms, int64_t i, int64_t j) {
        for (const Term<T> &term : terms) {
            from[number] = &term.block.at(i, j);
            coefficient[number++] = term.coefficient;
        }
    }
    int size() const { return count ? count : number; }

    V vector(int64_t offset) const {
        V sum = coefficient[0] * load(from[0] + offset);
        for (int t = 1; t < size(); t++) sum += coefficient[t] * load(from[t] + offset);
        return sum;
    }
    T scalar(int64_t offset) const {
        T sum = coefficient[0] * from[0][offset];
        for (int t = 1; t < size(); t++) sum += coefficient[t] * from[t][offset];
        return sum;
    }
};

/* f(number of terms as a constant), 0 where it is large. */
template <class F> inline void with_count(std::size_t count, F f) {
    switch (count) {
    case 1: return f(std::integral_constant<int, 1>());
    case 2: return f(std::integral_constant<int, 2>());
    case 3: return f(std::integral_constant<int, 3>());
    case 4: return f(std::integral_constant<int, 4>());
    case 5: return f(std::integral_constant<int, 5>());
    case 6: return f(std::integral_constant<int, 6>());
    case 8: return f(std::integral_constant<int, 8>());
    default: return f(std::integral_constant<int, 0>());
    }
}

/* Rows of contiguous entries, copied in their own direction: `height` rows of `columns` entries from (i, j) on, in panels of
 * `width` columns, `panel_stride` apart. All blocks go on for `reach` columns. Where the width is no multiple of a vector, a
 * row is written with some entries too many, which the next row overwrites: a vector's worth of room must follow the last. */
template <int width, class T>
void pack_along(T *to, int64_t panel_stride, const Terms<T> &terms, int64_t i, int64_t j, int64_t height,
                int64_t columns, int64_t reach) {
    constexpr int lanes = Blocking<T>::lanes, vectors = (width + lanes - 1) / lanes;
    const int64_t row_stride = terms[0].block.row_stride;
    with_count(terms.size(), [&](auto count) {
        const Sources<T, count()> sources(terms, i, j);
        for (int64_t c = 0; c < columns; c += width) {
            T *row = to + c / width * panel_stride;
            const int64_t end = std::min<int64_t>(width, columns - c);
            const bool whole = columns - c >= width && reach - c >= vectors * lanes;   // no vector leaves a block
            for (int64_t r = 0; r < height; r++, row += width) {
                const int64_t at = r * row_stride + c;
                if (whole) {
                    written_out<vectors>([&](auto v) GROKKIT_INLINE {
                        store(row + v() * lanes, sources.vector(at + v() * lanes));
                    });
                    continue;
                }
                int64_t x = 0;
                for (; x + lanes <= end; x += lanes) store(row + x, sources.vector(at + x));
                for (; x < end; x++) row[x] = sources.scalar(at + x);
            }
        }
    });
}

/* Columns of contiguous entries, transposed on the way: the same order as above. `height` is a multiple of a vector. A panel
 * is written to its whole width. */
template <int width, class T>
void pack_across(T *to, int64_t panel_stride, const Terms<T> &terms, int64_t i, int64_t j, int64_t height,
                 int64_t columns) {
    constexpr int lanes = Blocking<T>::lanes, vectors = (width + lanes - 1) / lanes;
    const int64_t column_stride = terms[0].block.column_stride;
    with_count(terms.size(), [&](auto count) {
        const Sources<T, count()> sources(terms, i, j);
        for (int64_t c = 0; c < columns; c += width) {
            T *corner = to + c / width * panel_stride;
            for (int64_t r = 0; r < height; r += lanes, corner += lanes * width)
                for (int v = vectors - 1; v >= 0; v--) {   // backwards: what is written too many lies in the next row's first
                    typename Vector<T>::aligned square[lanes];
                    const int64_t valid = std::min<int64_t>(width, columns - c) - v * lanes;
#pragma GCC unroll 16
                    for (int q = 0; q < lanes; q++)
                        if (q < valid) square[q] = sources.vector(r + (c + v * lanes + q) * column_stride);
                        else square[q] = typename Vector<T>::aligned{};
                    transpose(square);
#pragma GCC unroll 16
                    for (int q = 0; q < lanes; q++) store(corner + q * width + v * lanes, square[q]);
                }
        }
    });
}

/* A rectangle of the combination in panels of `width` columns, zero beyond the blocks, by the path that its strides allow. */
template <int width, class T>
void pack(T *to, int64_t panel_stride, const Terms<T> &terms, int64_t i, int64_t j, int64_t height, int64_t columns) {
    constexpr int lanes = Blocking<T>::lanes;
    const auto one_by_one = [&](int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
        for (int64_t c = c0; c < c1; c++)
            for (int64_t r = r0; r < r1; r++)
                to[c / width * panel_stride + r * width + c % width] = entry(terms, i + r, j + c);
    };
    int64_t h = height, reach = std::numeric_limits<int64_t>::max();   // of what lies inside every block
    for (const Term<T> &term : terms) {
        h = std::clamp<int64_t>(term.block.rows - i, 0, h);
        reach = std::clamp<int64_t>(term.block.columns - j, 0, reach);
    }
    int64_t w = std::min(columns, reach);
    if (terms.empty() || terms.size() > std::size_t(max_terms)) h = w = 0;
    else if (h && w && terms[0].block.column_stride == 1) {
        pack_along<width>(to, panel_stride, terms, i, j, h, w, reach);
    } else if (h && w && terms[0].block.row_stride == 1) {
        h = h / lanes * lanes;
        if (h) pack_across<width>(to, panel_stride, terms, i, j, h, w);
    } else {
        h = w = 0;
    }
    if (h == 0) w = 0;
    one_by_one(0, h, w, columns);
    one_by_one(h, height, 0, columns);
}

}  // namespace grokkit

#endif

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
        int64_t whole = 0;   // columns of panels whose vectors leave no block
        while (columns - whole >= width && reach - whole >= vectors * lanes) whole += width;
        for (int64_t r = 0; r < height; r++) {   // all panels of a row, so that no line is fetched twice
            const int64_t at = r * row_stride;
            T *row = to + r * width;
            for (int64_t c = 0; c < whole; c += width, row += panel_stride)
                written_out<vectors>([&](auto v) GROKKIT_INLINE {
                    store(row + v() * lanes, sources.vector(at + c + v() * lanes));
                });
            for (int64_t c = whole; c < columns; c += width, row += panel_stride) {
                const int64_t end = std::min<int64_t>(width, columns - c);
                int64_t x = 0;
                for (; x + lanes <= end; x += lanes) store(row + x, sources.vector(at + c + x));
                for (; x < end; x++) row[x] = sources.scalar(at + c + x);
            }
        }
    });
}

/* Columns of contiguous entries, transposed on the way: the same order as above. There are as many rows as a vector has
 * entries, or more; the last ones are packed once more where their number is no multiple. A panel is written to its whole
 * width. */
template <int width, class T>
void pack_across(T *to, int64_t panel_stride, const Terms<T> &terms, int64_t i, int64_t j, int64_t height,
                 int64_t columns) {
    constexpr int lanes = Blocking<T>::lanes, vectors = (width + lanes - 1) / lanes;
    const int64_t column_stride = terms[0].block.column_stride;
    with_count(terms.size(), [&](auto count) {
        const Sources<T, count()> sources(terms, i, j);
        for (int64_t c = 0; c < columns; c += width) {
            const auto square_at = [&](int64_t r, T *corner) GROKKIT_INLINE {
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
            };
            T *const panel = to + c / width * panel_stride, *corner = panel;
            int64_t r = 0;
            for (; r + lanes <= height; r += lanes, corner += lanes * width) square_at(r, corner);
            if (r < height) square_at(height - lanes, panel + (height - lanes) * width);
        }
    });
}

/* Any rectangle of any strides: rows r0 to r1 and columns c0 to c1 of what `to` holds, whose corner is at (i, j). */
template <int width, class T>
void pack_any(T *to, int64_t panel_stride, const Terms<T> &terms, int64_t i, int64_t j, int64_t r0, int64_t r1,
              int64_t c0, int64_t c1) {
    for (int64_t start = c0; start < c1; start = start / width * width + width) {   // panel by panel
        const int64_t end = std::min(c1, start / width * width + width);
        T *const panel = to + start / width * panel_stride + start % width;
        for (int64_t r = r0; r < r1; r++) std::fill(panel + r * width, panel + r * width + (end - start), T(0));
        for (const Term<T> &term : terms) {
            const Matrix<const T> part = term.block.block(i + r0, j + start, r1 - r0, end - start);
            for (int64_t r = 0; r < part.rows; r++)
                for (int64_t c = 0; c < part.columns; c++)
                    panel[(r0 + r) * width + c] += term.coefficient * part.at(r, c);
        }
    }
}

/* A rectangle of the combination in panels of `width` columns, zero beyond the blocks, by the path that its strides allow. */
template <int width, class T>
void pack(T *to, int64_t panel_stride, const Terms<T> &terms, int64_t i, int64_t j, int64_t height, int64_t columns) {
    int64_t h = height, reach = std::numeric_limits<int64_t>::max();   // of what lies inside every block
    for (const Term<T> &term : terms) {
        h = std::clamp<int64_t>(term.block.rows - i, 0, h);
        reach = std::clamp<int64_t>(term.block.columns - j, 0, reach);
    }
    int64_t w = std::min(columns, reach);
    const bool some = h && w && terms.size() <= std::size_t(max_terms);
    if (some && terms[0].block.column_stride == 1) pack_along<width>(to, panel_stride, terms, i, j, h, w, reach);
    else if (some && terms[0].block.row_stride == 1 && h >= Blocking<T>::lanes) pack_across<width>(to, panel_stride, terms, i, j, h, w);
    else h = w = 0;
    if (w < columns) pack_any<width>(to, panel_stride, terms, i, j, 0, h, w, columns);
    if (h < height) pack_any<width>(to, panel_stride, terms, i, j, h, height, 0, columns);
}

}  // namespace grokkit

#endif

/* Packing: linear combinations of blocks, formed while they are copied into the order in which the kernel reads.
 *
 * A is packed as rows of consecutive entries, `stride` apart. B is packed as panels of `columns` columns: a panel
 * holds its rows one after another. Entries beyond a block count as zero. Blocks whose rows, or whose columns, are
 * contiguous in memory each have a vector path; any other strides are gathered one by one. */
#ifndef GROKKIT_PRODUCT_PACKING_H
#define GROKKIT_PRODUCT_PACKING_H

#include <cstring>

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

constexpr int max_terms = 256;   // blocks of an operand

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

/* Rows of contiguous entries, copied in their own direction: `height` rows of `width` entries from (i, j) on. Rows go
 * `to_stride` apart; a row's columns in chunks of `chunk` entries that lie `chunk_stride` apart. */
template <class T>
void pack_along(T *to, int64_t to_stride, int64_t chunk, int64_t chunk_stride, const Terms<T> &terms, int64_t i,
                int64_t j, int64_t height, int64_t width) {
    constexpr int lanes = Blocking<T>::lanes, panel = Blocking<T>::columns;
    const int64_t row_stride = terms[0].block.row_stride;
    with_count(terms.size(), [&](auto count) {
        const Sources<T, count()> sources(terms, i, j);
        for (int64_t c = 0; c < width; c += chunk) {
            T *row = to + c / chunk * chunk_stride;
            const int64_t end = std::min(chunk, width - c);
            for (int64_t r = 0; r < height; r++, row += to_stride) {
                const int64_t at = r * row_stride + c;
                if (end == panel) {   // a row of a panel of B
                    written_out<Blocking<T>::vectors>([&](auto v) GROKKIT_INLINE {
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

/* Columns of contiguous entries, transposed on the way: whole squares of lanes x lanes only. Same order as above. */
template <class T>
void pack_across(T *to, int64_t to_stride, int64_t chunk, int64_t chunk_stride, const Terms<T> &terms, int64_t i,
                 int64_t j, int64_t height, int64_t width) {
    constexpr int lanes = Blocking<T>::lanes;
    const int64_t column_stride = terms[0].block.column_stride;
    with_count(terms.size(), [&](auto count) {
        const Sources<T, count()> sources(terms, i, j);
        for (int64_t c = 0; c < width; c += lanes) {
            T *corner = to + c / chunk * chunk_stride + c % chunk;
            for (int64_t r = 0; r < height; r += lanes) {
                typename Vector<T>::aligned square[lanes];
#pragma GCC unroll 16
                for (int q = 0; q < lanes; q++) square[q] = sources.vector(r + (c + q) * column_stride);
                transpose(square);
#pragma GCC unroll 16
                for (int q = 0; q < lanes; q++) store(corner + (r + q) * to_stride, square[q]);
            }
        }
    });
}

/* A rectangle of the combination, zero beyond the blocks, by the path that its strides allow. */
template <class T>
void pack(T *to, int64_t to_stride, int64_t chunk, int64_t chunk_stride, const Terms<T> &terms, int64_t i, int64_t j,
          int64_t height, int64_t width) {
    constexpr int lanes = Blocking<T>::lanes;
    const auto one_by_one = [&](int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
        for (int64_t r = r0; r < r1; r++)
            for (int64_t c = c0; c < c1; c++)
                to[r * to_stride + c / chunk * chunk_stride + c % chunk] = entry(terms, i + r, j + c);
    };
    int64_t h = height, w = width;   // of what lies inside every block
    for (const Term<T> &term : terms) {
        h = std::clamp<int64_t>(term.block.rows - i, 0, h);
        w = std::clamp<int64_t>(term.block.columns - j, 0, w);
    }
    if (terms.empty() || terms.size() > std::size_t(max_terms)) h = w = 0;
    else if (h && w && terms[0].block.column_stride == 1) {
        pack_along(to, to_stride, chunk, chunk_stride, terms, i, j, h, w);
    } else if (h && w && terms[0].block.row_stride == 1) {
        h = h / lanes * lanes;
        w = w / lanes * lanes;
        if (h && w) pack_across(to, to_stride, chunk, chunk_stride, terms, i, j, h, w);
    } else {
        h = w = 0;
    }
    if (h == 0) w = 0;
    one_by_one(0, h, w, width);
    one_by_one(h, height, 0, width);
}

}  // namespace grokkit

#endif

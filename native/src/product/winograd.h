/* Explicit levels: Winograd's variant of Strassen's algorithm with two temporaries a level, over a fused product.
 *
 * The schedule is that of Douglas, Heroux, Slishman and Smith (1994, "GEMMW") as Boyer, Dumas, Pernet and Zhou (2009)
 * give it. An odd inner dimension is split unevenly, the missing column counting as zero; an odd last row or column of
 * C is computed on its own. */
#ifndef GROKKIT_PRODUCT_WINOGRAD_H
#define GROKKIT_PRODUCT_WINOGRAD_H

#include "fused.h"
#include "thin.h"

namespace grokkit {

/* Entries of the temporaries of all levels. Each row starts at a vector, off the previous one's cache set. */
template <class T> struct Temporaries {
    static constexpr int64_t pad = 64 / int64_t(sizeof(T));
    static int64_t stride(int64_t width) { return Cuts<T>::rounded(width, pad) + pad; }
    static int64_t x_entries(int64_t m, int64_t k, int64_t n) {
        return std::max({stride(k) * m, stride(m) * k, stride(n) * m});
    }
    static int64_t y_entries(int64_t k, int64_t n) { return std::max(stride(n) * k, stride(k) * n); }

    static int64_t entries(int levels, int64_t m, int64_t k, int64_t n) {
        int64_t total = 0;
        for (int level = 0; level < levels; level++) {
            m /= 2, k = (k + 1) / 2, n /= 2;
            total += x_entries(m, k, n) + y_entries(k, n);
        }
        return total;
    }
};

/* z = x + s y, entries beyond x or y counting as zero. z may be x or y. */
template <class T>
void add(Team &team, const Matrix<T> &z, const Matrix<const T> &x, const Matrix<const T> &y, T s) {
    if (z.column_stride != 1 && z.row_stride == 1) {
        add<T>(team, z.transposed(), x.transposed(), y.transposed(), s);
        return;
    }
    constexpr int64_t lanes = Blocking<T>::lanes, chunk = 16;
    const bool contiguous = z.column_stride == 1 && x.column_stride == 1 && y.column_stride == 1;
    team.loop((z.rows + chunk - 1) / chunk, [&](int64_t part) {
        for (int64_t i = part * chunk; i < std::min(z.rows, (part + 1) * chunk); i++) {
            const int64_t in_x = i < x.rows ? std::min(x.columns, z.columns) : 0;
            const int64_t in_y = i < y.rows ? std::min(y.columns, z.columns) : 0;
            const int64_t both = std::min(in_x, in_y);
            int64_t j = 0;
            if (contiguous)
                for (; j + lanes <= both; j += lanes)
                    store(&z.at(i, j), load(&x.at(i, j)) + s * load(&y.at(i, j)));
            for (; j < both; j++) z.at(i, j) = x.at(i, j) + s * y.at(i, j);
            for (; j < in_x; j++) z.at(i, j) = x.at(i, j);
            for (; j < in_y; j++) z.at(i, j) = s * y.at(i, j);
            for (; j < z.columns; j++) z.at(i, j) = 0;
        }
    });
}

/* The four sums that end the schedule's first half: with p6, p3, p7, p5 in c12, c11, c21, c22 and p1 in x,
 * c12 = p1 + p6 + p5 + p3, c21 = p1 + p6 + p7, c22 = p1 + p6 + p7 + p5. */
template <class T>
void combine_quarters(Team &team, const Matrix<T> &x, const Matrix<T> &c11, const Matrix<T> &c12, const Matrix<T> &c21,
                      const Matrix<T> &c22) {
    constexpr int64_t lanes = Blocking<T>::lanes, chunk = 16;
    team.loop((x.rows + chunk - 1) / chunk, [&](int64_t part) {
        for (int64_t i = part * chunk; i < std::min(x.rows, (part + 1) * chunk); i++) {
            const T *p1 = &x.at(i, 0), *p3 = &c11.at(i, 0);
            T *p6 = &c12.at(i, 0), *p7 = &c21.at(i, 0), *p5 = &c22.at(i, 0);
            int64_t j = 0;
            for (; j + lanes <= x.columns; j += lanes) {
                const auto u2 = load(p1 + j) + load(p6 + j), last = load(p5 + j), u3 = u2 + load(p7 + j);
                store(p6 + j, u2 + last + load(p3 + j));
                store(p7 + j, u3);
                store(p5 + j, u3 + last);
            }
            for (; j < x.columns; j++) {
                const T u2 = p1[j] + p6[j], last = p5[j], u3 = u2 + p7[j];
                p6[j] = u2 + last + p3[j];
                p7[j] = u3;
                p5[j] = u3 + last;
            }
        }
    });
}

/* c = a b by `levels` explicit levels over leaf(team, a, b, c). Rows of c are contiguous. */
template <class T, class Leaf>
void winograd(Team &team, int levels, const Matrix<const T> &a, const Matrix<const T> &b, const Matrix<T> &c,
              T *workspace, const Leaf &leaf) {
    const int64_t m = a.rows / 2, n = b.columns / 2, k = (a.columns + 1) / 2, k_rest = a.columns - k;
    if (levels == 0 || m == 0 || n == 0 || k_rest == 0) {
        leaf(team, a, b, c);
        return;
    }
    const auto a11 = a.block(0, 0, m, k), a12 = a.block(0, k, m, k_rest), a21 = a.block(m, 0, m, k),
               a22 = a.block(m, k, m, k_rest);
    const auto b11 = b.block(0, 0, k, n), b12 = b.block(0, n, k, n), b21 = b.block(k, 0, k_rest, n),
               b22 = b.block(k, n, k_rest, n);
    const auto c11 = c.block(0, 0, m, n), c12 = c.block(0, n, m, n), c21 = c.block(m, 0, m, n),
               c22 = c.block(m, n, m, n);
    using Space = Temporaries<T>;
    T *const y_data = workspace + Space::x_entries(m, k, n), *const next = y_data + Space::y_entries(k, n);
    const auto like = [](T *data, int64_t rows, int64_t columns, const Matrix<const T> &model) {
        if (model.row_stride == 1 && model.column_stride != 1)
            return Matrix<T>{data, rows, columns, 1, Space::stride(rows)};
        return Matrix<T>{data, rows, columns, Space::stride(columns), 1};
    };
    const auto x = like(workspace, m, k, a), y = like(y_data, k, n, b);
    const auto x_rest = x.block(0, 0, m, k_rest), y_rest = y.block(0, 0, k_rest, n);
    const Matrix<T> p1 = {workspace, m, n, Space::stride(n), 1};
    const auto multiply = [&](const Matrix<const T> &left, const Matrix<const T> &right, const Matrix<T> &to) {
        winograd<T>(team, levels - 1, left, right, to, next, leaf);
    };
    const T plus = 1, minus = T(0) - T(1);

    add<T>(team, x, a11, a21, minus);       // s3 = a11 - a21
    add<T>(team, y, b22, b12, minus);       // -t3 ... b22 - b12
    multiply(x, y, c21);                    // p7
    add<T>(team, x, a21, a22, plus);        // s1 = a21 + a22
    add<T>(team, y, b12, b11, minus);       // t1 = b12 - b11
    multiply(x, y, c22);                    // p5
    add<T>(team, x, x, a11, minus);         // s2 = s1 - a11
    add<T>(team, y, b22, y, minus);         // t2 = b22 - t1
    multiply(x, y, c12);                    // p6
    add<T>(team, x, a12, x, minus);         // s4 = a12 - s2
    multiply(x_rest, b22, c11);             // p3
    multiply(a11, b11, p1);                 // p1, in place of s4
    combine_quarters(team, p1, c11, c12, c21, c22);
    add<T>(team, y, y, b21, minus);         // t4 = t2 - b21
    multiply(a22, y_rest, c11);             // p4
    add<T>(team, c21, c21, c11, minus);     // c21 = u3 - p4
    multiply(a12, b21, c11);                // p2
    add<T>(team, c11, c11, p1, plus);       // c11 = p1 + p2

    if (2 * m < c.rows)
        multiply_vector<T>(team, b.transposed(), &a.at(2 * m, 0), a.column_stride, &c.at(2 * m, 0), c.column_stride);
    if (2 * n < c.columns)
        multiply_vector<T>(team, a.block(0, 0, 2 * m, a.columns), &b.at(0, 2 * n), b.row_stride, &c.at(0, 2 * n),
                           c.row_stride);
}

}  // namespace grokkit

#endif

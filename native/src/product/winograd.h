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

/* z = the sum of the terms, entries beyond a block counting as zero. z may be one of the blocks. */
template <class T, std::size_t count> void form(Team &team, const Matrix<T> &z, const Term<T> (&terms)[count]) {
    if (z.column_stride != 1 && z.row_stride == 1) {
        Term<T> turned[count];
        for (std::size_t t = 0; t < count; t++) turned[t] = {terms[t].block.transposed(), terms[t].coefficient};
        form<T>(team, z.transposed(), turned);
        return;
    }
    constexpr int64_t lanes = Blocking<T>::lanes, chunk = 16;
    int64_t inside_rows = z.rows, inside_columns = z.column_stride == 1 ? z.columns : 0;   // of every block
    for (const Term<T> &term : terms) {
        inside_rows = std::min(inside_rows, term.block.rows);
        inside_columns = term.block.column_stride == 1 ? std::min(inside_columns, term.block.columns) : 0;
    }
    team.loop((z.rows + chunk - 1) / chunk, [&](int64_t part) {
        for (int64_t i = part * chunk; i < std::min(z.rows, (part + 1) * chunk); i++) {
            int64_t j = 0;
            if (i < inside_rows) {
                const T *from[count];
                for (std::size_t t = 0; t < count; t++) from[t] = &terms[t].block.at(i, 0);
                for (; j + lanes <= inside_columns; j += lanes) {
                    auto sum = terms[0].coefficient * load(from[0] + j);
                    for (std::size_t t = 1; t < count; t++) sum += terms[t].coefficient * load(from[t] + j);
                    store(&z.at(i, j), sum);
                }
            }
            for (; j < z.columns; j++) {
                T sum = 0;
                for (const Term<T> &term : terms)
                    if (i < term.block.rows && j < term.block.columns) sum += term.coefficient * term.block.at(i, j);
                z.at(i, j) = sum;
            }
        }
    });
}

/* With p1, p5, p6, p7 of the same shape: u2 = p1 + p6, u3 = u2 + p7, c12 = u2 + p5 (+ p3 unless null), c21 = u3,
 * c22 = u3 + p5. Results may lie where products lay. */
template <class T>
void combine(Team &team, const Matrix<T> &p1, const Matrix<T> &p5, const Matrix<T> &p6, const Matrix<T> &p7,
             const Matrix<T> *p3, const Matrix<T> &c12, const Matrix<T> &c21, const Matrix<T> &c22) {
    constexpr int64_t lanes = Blocking<T>::lanes, chunk = 16;
    team.loop((p1.rows + chunk - 1) / chunk, [&](int64_t part) {
        for (int64_t i = part * chunk; i < std::min(p1.rows, (part + 1) * chunk); i++) {
            const T *const x1 = &p1.at(i, 0), *const x5 = &p5.at(i, 0), *const x6 = &p6.at(i, 0),
                    *const x7 = &p7.at(i, 0), *const x3 = p3 ? &p3->at(i, 0) : nullptr;
            T *const y12 = &c12.at(i, 0), *const y21 = &c21.at(i, 0), *const y22 = &c22.at(i, 0);
            int64_t j = 0;
            for (; j + lanes <= p1.columns; j += lanes) {
                const auto u2 = load(x1 + j) + load(x6 + j), last = load(x5 + j), u3 = u2 + load(x7 + j);
                auto sum = u2 + last;
                if (x3) sum += load(x3 + j);
                store(y12 + j, sum);
                store(y21 + j, u3);
                store(y22 + j, u3 + last);
            }
            for (; j < p1.columns; j++) {
                const T u2 = x1[j] + x6[j], last = x5[j], u3 = u2 + x7[j];
                T sum = u2 + last;
                if (x3) sum += x3[j];
                y12[j] = sum;
                y21[j] = u3;
                y22[j] = u3 + last;
            }
        }
    });
}

/* c = a b by `levels` explicit levels over leaf(team, a, b, inner, target), whose operands are sums of blocks of equal
 * strides. Rows of c are contiguous. */
template <class T, class Leaf>
void winograd(Team &team, int levels, const Matrix<const T> &a, const Matrix<const T> &b, const Matrix<T> &c,
              T *workspace, const Leaf &leaf) {
    const int64_t m = a.rows / 2, n = b.columns / 2, k = (a.columns + 1) / 2, k_rest = a.columns - k;
    const T plus = 1, minus = T(0) - T(1);
    if (levels == 0 || m == 0 || n == 0 || k_rest == 0) {
        leaf(team, {{a, plus}}, {{b, plus}}, a.columns, {c, plus, true});
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

    if (levels == 1) {   // the leaf forms sums of two blocks itself, and adds to what is there
        leaf(team, {{a11, plus}, {a21, minus}}, {{b22, plus}, {b12, minus}}, k, {c22, plus, true});   // p7 = s3 t3
        leaf(team, {{a21, plus}, {a22, plus}}, {{b12, plus}, {b11, minus}}, k, {c12, plus, true});    // p5 = s1 t1
        form<T>(team, x, {{a21, plus}, {a22, plus}, {a11, minus}});                                   // s2
        form<T>(team, y, {{b22, plus}, {b12, minus}, {b11, plus}});                                   // t2
        leaf(team, {{x, plus}}, {{y, plus}}, k, {c21, plus, true});                                   // p6
        leaf(team, {{a11, plus}}, {{b11, plus}}, k, {c11, plus, true});                               // p1
        combine<T>(team, c11, c12, c21, c22, nullptr, c12, c21, c22);
        form<T>(team, x, {{a12, plus}, {x, minus}});                                                  // s4
        leaf(team, {{x_rest, plus}}, {{b22, plus}}, k_rest, {c12, plus, false});                      // + p3
        form<T>(team, y, {{y, plus}, {b21, minus}});                                                  // t4
        leaf(team, {{a22, plus}}, {{y_rest, plus}}, k_rest, {c21, minus, false});                     // - p4
        leaf(team, {{a12, plus}}, {{b21, plus}}, k_rest, {c11, plus, false});                         // + p2
    } else {
        const Matrix<T> p1 = {workspace, m, n, Space::stride(n), 1};
        const auto multiply = [&](const Matrix<const T> &left, const Matrix<const T> &right, const Matrix<T> &to) {
            winograd<T>(team, levels - 1, left, right, to, next, leaf);
        };
        form<T>(team, x, {{a11, plus}, {a21, minus}});    // s3
        form<T>(team, y, {{b22, plus}, {b12, minus}});    // t3
        multiply(x, y, c21);                              // p7
        form<T>(team, x, {{a21, plus}, {a22, plus}});     // s1
        form<T>(team, y, {{b12, plus}, {b11, minus}});    // t1
        multiply(x, y, c22);                              // p5
        form<T>(team, x, {{x, plus}, {a11, minus}});      // s2
        form<T>(team, y, {{b22, plus}, {y, minus}});      // t2
        multiply(x, y, c12);                              // p6
        form<T>(team, x, {{a12, plus}, {x, minus}});      // s4
        multiply(x_rest, b22, c11);                       // p3
        multiply(a11, b11, p1);                           // p1, in place of s4
        combine<T>(team, p1, c22, c12, c21, &c11, c12, c21, c22);
        form<T>(team, y, {{y, plus}, {b21, minus}});      // t4
        multiply(a22, y_rest, c11);                       // p4
        form<T>(team, c21, {{c21, plus}, {c11, minus}});  // u3 - p4
        multiply(a12, b21, c11);                          // p2
        form<T>(team, c11, {{c11, plus}, {p1, plus}});    // p1 + p2
    }

    if (2 * m < c.rows)
        multiply_vector<T>(team, b.transposed(), &a.at(2 * m, 0), a.column_stride, &c.at(2 * m, 0), c.column_stride);
    if (2 * n < c.columns)
        multiply_vector<T>(team, a.block(0, 0, 2 * m, a.columns), &b.at(0, 2 * n), b.row_stride, &c.at(0, 2 * n),
                           c.row_stride);
}

}  // namespace grokkit

#endif

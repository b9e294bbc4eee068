/* Products with a vector, for the last row or column that a split into halves leaves over. Bound by memory. */
#ifndef GROKKIT_PRODUCT_THIN_H
#define GROKKIT_PRODUCT_THIN_H

#include "matrix.h"
#include "team.h"
#include "vectors.h"

namespace grokkit {

/* y_i = sum_j a_ij x_j; a's rows or columns are contiguous, or neither. x and y have any stride. */
template <class T>
void multiply_vector(Team &team, const Matrix<const T> &a, const T *x, int64_t x_stride, T *y, int64_t y_stride) {
    using V = typename Vector<T>::aligned;
    constexpr int64_t lanes = Blocking<T>::lanes, chunk = 64;
    team.loop((a.rows + chunk - 1) / chunk, [&](int64_t part) {
        const int64_t start = part * chunk, end = std::min(a.rows, start + chunk);
        if (a.column_stride == 1 && x_stride == 1) {   // dot products
            for (int64_t i = start; i < end; i++) {
                const T *row = &a.at(i, 0);
                V sums[4] = {};
                int64_t j = 0;
                for (; j + 4 * lanes <= a.columns; j += 4 * lanes)
                    for (int q = 0; q < 4; q++) sums[q] += load(row + j + q * lanes) * load(x + j + q * lanes);
                const V sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
                T total = 0;
                for (int64_t l = 0; l < lanes; l++) total += sum[l];
                for (; j < a.columns; j++) total += row[j] * x[j];
                y[i * y_stride] = total;
            }
            return;
        }
        T sums[chunk] = {};   // columns, one after another
        for (int64_t j = 0; j < a.columns; j++) {
            const T factor = x[j * x_stride];
            const T *column = &a.at(start, j);
            if (a.row_stride == 1)
                for (int64_t i = 0; i < end - start; i++) sums[i] += factor * column[i];
            else
                for (int64_t i = 0; i < end - start; i++) sums[i] += factor * column[i * a.row_stride];
        }
        for (int64_t i = start; i < end; i++) y[i * y_stride] = sums[i - start];
    });
}

}  // namespace grokkit

#endif

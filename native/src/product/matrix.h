/* Views of matrices with any strides, and what is summed from them and added to them. */
#ifndef GROKKIT_PRODUCT_MATRIX_H
#define GROKKIT_PRODUCT_MATRIX_H

#include <algorithm>
#include <cstdint>
#include <vector>

namespace grokkit {

template <class T> struct Matrix {
    T *data;
    int64_t rows, columns;
    int64_t row_stride, column_stride;   // in entries

    T &at(int64_t i, int64_t j) const { return data[i * row_stride + j * column_stride]; }

    Matrix transposed() const { return {data, columns, rows, column_stride, row_stride}; }

    /* The part from (i, j) on with at most the given size; less where the matrix ends, nothing beyond it. */
    Matrix block(int64_t i, int64_t j, int64_t height, int64_t width) const {
        const int64_t h = std::clamp<int64_t>(rows - i, 0, height), w = std::clamp<int64_t>(columns - j, 0, width);
        return {h && w ? &at(i, j) : data, h, w, row_stride, column_stride};
    }

    operator Matrix<const T>() const { return {data, rows, columns, row_stride, column_stride}; }
};

/* A block times a coefficient. Beyond its rows and columns the block counts as zero. */
template <class T> struct Term {
    Matrix<const T> block;
    T coefficient;
};

/* A block to which a product times a coefficient is added, or stored if `first`. Contiguous rows. */
template <class T> struct Target {
    Matrix<T> block;
    T coefficient;
    bool first;
};

/* One product of a scheme: (sum of a)^T (sum of b), added to each of c. */
template <class T> struct Product {
    std::vector<Term<T>> a, b;
    std::vector<Target<T>> c;
};

}  // namespace grokkit

#endif

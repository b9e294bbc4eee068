/* The product, written to be read: one loop for each sign of the formula
 *
 *     C_ij += w_rij (sum_kl u_rkl A_kl) (sum_kl v_rkl B_kl),
 *
 * block by block, beyond the edges of the matrices zero. The oracle of the fast kernels, which share no code with it. */
#include <cstdint>
#include <type_traits>
#include <vector>

#include "grokkit_native.h"

namespace {

template <class T> T number(double x) {
    if constexpr (std::is_floating_point_v<T>) return T(x);
    else return T(int64_t(x));
}

template <class T> struct View {
    const grokkit_matrix &x;
    T &at(int64_t i, int64_t j) const {
        return static_cast<T *>(x.data)[i * x.row_stride + j * x.column_stride];
    }
    /* Entry (i, j) of block (k, l) of a grid; zero outside. */
    T in_block(int64_t k, int64_t l, int64_t height, int64_t width, int64_t i, int64_t j) const {
        const int64_t row = k * height + i, column = l * width + j;
        return row < x.rows && column < x.columns ? at(row, column) : T(0);
    }
};

/* sum_kl factor_kl X_kl, a matrix of height x width. */
template <class T>
std::vector<T> combination(const View<T> &x, const double *factor, int n, int m, int64_t height, int64_t width) {
    std::vector<T> sum(std::size_t(height * width), T(0));
    for (int k = 0; k < n; k++)
        for (int l = 0; l < m; l++)
            for (int64_t i = 0; i < height; i++)
                for (int64_t j = 0; j < width; j++)
                    sum[std::size_t(i * width + j)] +=
                        number<T>(factor[k * m + l]) * x.in_block(k, l, height, width, i, j);
    return sum;
}

template <class T> void multiply(const grokkit_product &call) {
    const grokkit_coefficients &s = call.fused;
    const View<T> a = {call.a}, b = {call.b}, c = {call.c};
    const int64_t rows = (call.a.rows + s.n - 1) / s.n, inner = (call.a.columns + s.m - 1) / s.m,
                  columns = (call.b.columns + s.p - 1) / s.p;
    for (int64_t i = 0; i < call.c.rows; i++)
        for (int64_t j = 0; j < call.c.columns; j++) c.at(i, j) = 0;
    for (int r = 0; r < s.rank; r++) {
        const std::vector<T> left = combination(a, s.u + int64_t(r) * s.n * s.m, s.n, s.m, rows, inner);
        const std::vector<T> right = combination(b, s.v + int64_t(r) * s.m * s.p, s.m, s.p, inner, columns);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++) {
                T product = 0;
                for (int64_t q = 0; q < inner; q++)
                    product += left[std::size_t(i * inner + q)] * right[std::size_t(q * columns + j)];
                for (int k = 0; k < s.n; k++)
                    for (int l = 0; l < s.p; l++) {
                        const int64_t row = k * rows + i, column = l * columns + j;
                        if (row < call.c.rows && column < call.c.columns)
                            c.at(row, column) += number<T>(s.w[(int64_t(r) * s.n + k) * s.p + l]) * product;
                    }
            }
    }
}

}  // namespace

extern "C" int32_t grokkit_multiply_reference(const grokkit_product *call) {
    switch (call->type) {
    case GROKKIT_FLOAT32: multiply<float>(*call); return 0;
    case GROKKIT_FLOAT64: multiply<double>(*call); return 0;
    case GROKKIT_UINT32: multiply<uint32_t>(*call); return 0;
    case GROKKIT_UINT64: multiply<uint64_t>(*call); return 0;
    default: return 1;
    }
}

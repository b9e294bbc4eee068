// Gradient training of many bilinear networks at once: runs are SIMD lanes.
//
// For a minibatch of operands the network computes c = W((U a) * (V b)) for each block product; the loss is the
// mean squared error over samples and outputs. Gradients are accumulated sample by sample, in the order of
// the minibatch, then the optimizer steps as torch.optim does. training/_reference.py is the oracle.

#include "grokkit_native.h"

#include <cmath>
#include <cstring>
#include <vector>

namespace {

constexpr int kLargestSide = 3;   // n, m, p of a block
constexpr int kLargestBlocks = 4; // blocks a side
constexpr int kLargestSlots = 64;
constexpr int kLargestFactor = kLargestSide * kLargestSide;

template <typename T> struct Lanes {
    static constexpr int count = GROKKIT_VECTOR_BYTES / sizeof(T);
    typedef T vec __attribute__((vector_size(GROKKIT_VECTOR_BYTES), aligned(sizeof(T))));
};

template <typename T> using Vec = typename Lanes<T>::vec;

template <typename T> inline Vec<T> splat(T x) {
    Vec<T> v = {};
    return v + x;
}

// IEEE square root is correctly rounded, so lane by lane or vectorized gives the same bits.
template <typename T> inline Vec<T> root(Vec<T> x) {
    Vec<T> r;
    for (int l = 0; l < Lanes<T>::count; l++)
        r[l] = std::sqrt(x[l]);
    return r;
}

// A NaN in x stays: a run that diverged must be seen to have diverged.
template <typename T> inline Vec<T> smaller(Vec<T> x, Vec<T> y) { return x > y ? y : x; }
template <typename T> inline Vec<T> larger(Vec<T> x, Vec<T> y) { return x < y ? y : x; }

// Operands of one row: vectors of the group's own data, or one number for all lanes.
template <typename T, bool Shared> struct Row {
    const T *at;
    inline Vec<T> operator[](int i) const {
        if constexpr (Shared)
            return splat<T>(at[i]);
        else
            return reinterpret_cast<const Vec<T> *>(at)[i];
    }
};

// Gradient of the summed squared error of one row, times one half; added to `gradient`.
// N, M, P are the format where it is known at compile time, 0 otherwise.
template <typename T, bool Shared, int N, int M, int P>
inline void add_row(const grokkit_training &t, const Vec<T> *point, Row<T, Shared> row, Vec<T> *gradient) {
    const int n = N ? N : t.n, m = M ? M : t.m, p = P ? P : t.p, q = t.blocks;
    const int a = n * m, b = m * p, c = n * p, width = a + b + c;
    // left[s][i, k] = <u_s, A_ik>, right[s][k, j] = <v_s, B_kj>
    Vec<T> left[kLargestSlots][kLargestBlocks * kLargestBlocks], right[kLargestSlots][kLargestBlocks * kLargestBlocks];
    const int squares = q * q;
    for (int s = 0; s < t.slots; s++) {
        const Vec<T> *u = point + s * width, *v = u + a;
        for (int block = 0; block < squares; block++) {
            Vec<T> x = u[0] * row[block * a];
            for (int i = 1; i < a; i++)
                x += u[i] * row[block * a + i];
            left[s][block] = x;
            Vec<T> y = v[0] * row[squares * a + block * b];
            for (int i = 1; i < b; i++)
                y += v[i] * row[squares * a + block * b + i];
            right[s][block] = y;
        }
    }
    Vec<T> gradient_left[kLargestSlots][kLargestBlocks * kLargestBlocks];
    Vec<T> gradient_right[kLargestSlots][kLargestBlocks * kLargestBlocks];
    const Vec<T> zero = {};
    if (q > 1)
        for (int s = 0; s < t.slots; s++)
            for (int block = 0; block < squares; block++)
                gradient_left[s][block] = gradient_right[s][block] = zero;
    for (int i = 0; i < q; i++)
        for (int j = 0; j < q; j++) {
            Vec<T> error[kLargestFactor], product[kLargestSlots];
            for (int x = 0; x < n; x++)
                for (int y = 0; y < p; y++) {
                    Vec<T> sum = zero;
                    for (int k = 0; k < q; k++)
                        for (int z = 0; z < m; z++)
                            sum += row[(i * q + k) * a + x * m + z] * row[squares * a + (k * q + j) * b + z * p + y];
                    error[x * p + y] = -sum;
                }
            for (int s = 0; s < t.slots; s++) {
                Vec<T> sum = left[s][i * q] * right[s][j];
                for (int k = 1; k < q; k++)
                    sum += left[s][i * q + k] * right[s][k * q + j];
                product[s] = sum;
                const Vec<T> *w = point + s * width + a + b;
                for (int o = 0; o < c; o++)
                    error[o] += w[o] * sum;
            }
            for (int s = 0; s < t.slots; s++) {
                const Vec<T> *w = point + s * width + a + b;
                Vec<T> *gw = gradient + s * width + a + b;
                Vec<T> pull = w[0] * error[0];
                gw[0] += product[s] * error[0];
                for (int o = 1; o < c; o++) {
                    pull += w[o] * error[o];
                    gw[o] += product[s] * error[o];
                }
                if (q == 1) {
                    gradient_left[s][0] = pull * right[s][0];
                    gradient_right[s][0] = pull * left[s][0];
                } else
                    for (int k = 0; k < q; k++) {
                        gradient_left[s][i * q + k] += pull * right[s][k * q + j];
                        gradient_right[s][k * q + j] += pull * left[s][i * q + k];
                    }
            }
        }
    for (int s = 0; s < t.slots; s++) {
        Vec<T> *gu = gradient + s * width, *gv = gu + a;
        for (int block = 0; block < squares; block++) {
            const Vec<T> x = gradient_left[s][block], y = gradient_right[s][block];
            for (int i = 0; i < a; i++)
                gu[i] += x * row[block * a + i];
            for (int i = 0; i < b; i++)
                gv[i] += y * row[squares * a + block * b + i];
        }
    }
}

// Sum of squares of `count` vectors, in eight interleaved partial sums.
template <typename T> inline Vec<T> sum_of_squares(const Vec<T> *x, int count) {
    Vec<T> part[8] = {};
    for (int i = 0; i < count; i++)
        part[i % 8] += x[i] * x[i];
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

template <typename T> void balance(const grokkit_training &t, Vec<T> *theta) {
    const int sizes[3] = {t.n * t.m, t.m * t.p, t.n * t.p};
    const int width = sizes[0] + sizes[1] + sizes[2];
    for (int s = 0; s < t.slots; s++) {
        Vec<T> norm[3], *part = theta + s * width;
        for (int side = 0; side < 3; part += sizes[side], side++) {
            Vec<T> sum = {};
            for (int i = 0; i < sizes[side]; i++)
                sum += part[i] * part[i];
            norm[side] = larger<T>(root<T>(sum), splat<T>(T(1e-9)));
        }
        Vec<T> mean = norm[0] * norm[1] * norm[2];
        for (int l = 0; l < Lanes<T>::count; l++)
            mean[l] = std::cbrt(mean[l]);
        part = theta + s * width;
        for (int side = 0; side < 3; part += sizes[side], side++) {
            const Vec<T> scale = mean / norm[side];
            for (int i = 0; i < sizes[side]; i++)
                part[i] *= scale;
        }
    }
}

template <typename T> void optimize(const grokkit_training &t, int64_t step, Vec<T> *theta, Vec<T> *gradient, Vec<T> *mean, Vec<T> *square, int size) {
    const Vec<T> rate = splat<T>(T(t.rate[step])), decay = splat<T>(T(t.decay[step]));
    if (t.optimizer == GROKKIT_SGD) {
        const Vec<T> momentum = splat<T>(T(t.momentum));
        const bool fresh = t.first_step && step == 0;
        for (int i = 0; i < size; i++) {
            Vec<T> g = gradient[i] + decay * theta[i];
            if (t.momentum != 0) {
                mean[i] = fresh ? g : momentum * mean[i] + g;
                g = mean[i];
            }
            theta[i] -= rate * g;
        }
        return;
    }
    const Vec<T> keep = splat<T>(T(1) - T(t.rate[step] * t.decay[step]));
    const Vec<T> fresh_mean = splat<T>(T(1 - t.beta1)), old_square = splat<T>(T(t.beta2));
    const Vec<T> fresh_square = splat<T>(T(1 - t.beta2)), epsilon = splat<T>(T(t.epsilon));
    const Vec<T> mean_scale = splat<T>(T(t.mean_scale[step])), root_scale = splat<T>(T(t.root_scale[step]));
    const bool coupled = t.optimizer == GROKKIT_ADAM;
    for (int i = 0; i < size; i++) {
        Vec<T> g = gradient[i];
        if (coupled)
            g += decay * theta[i];
        else
            theta[i] *= keep;
        mean[i] += fresh_mean * (g - mean[i]);
        square[i] = old_square * square[i] + fresh_square * (g * g);
        theta[i] -= mean_scale * mean[i] / (root<T>(square[i]) / root_scale + epsilon);
    }
}

template <typename T, bool Shared, int N, int M, int P> void train_group(const grokkit_training &t, int group) {
    constexpr int lanes = Lanes<T>::count;
    const int a = t.n * t.m, b = t.m * t.p, c = t.n * t.p, width = a + b + c, size = t.slots * width;
    const int64_t values = int64_t(t.blocks) * t.blocks * (a + b);
    const int64_t offset = int64_t(group) * size * lanes;
    Vec<T> *theta = reinterpret_cast<Vec<T> *>(static_cast<T *>(t.theta) + offset);
    Vec<T> *mean = reinterpret_cast<Vec<T> *>(static_cast<T *>(t.mean) + offset);
    Vec<T> *square = reinterpret_cast<Vec<T> *>(static_cast<T *>(t.square) + offset);
    const T *operands = static_cast<const T *>(t.operands) + (Shared ? 0 : int64_t(group) * t.samples * values * lanes);
    const int64_t stride = Shared ? values : values * lanes;
    const T *noise = t.noise ? static_cast<const T *>(t.noise) + int64_t(group) * t.steps * size * lanes : nullptr;
    double *norms = t.norms + int64_t(group) * 2 * lanes;
    std::vector<T> buffer(2 * size_t(size) * lanes);
    Vec<T> *gradient = reinterpret_cast<Vec<T> *>(buffer.data()), *shifted = gradient + size;
    const int32_t *rows = t.rows;
    for (int64_t step = 0; step < t.steps; step++) {
        const Vec<T> *point = theta;
        if (noise) {
            const Vec<T> *extra = reinterpret_cast<const Vec<T> *>(noise) + step * size;
            for (int i = 0; i < size; i++)
                shifted[i] = theta[i] + extra[i];
            point = shifted;
        }
        std::memset(gradient, 0, sizeof(T) * size_t(size) * lanes);
        const int count = t.counts[step];
        for (int i = 0; i < count; i++)
            add_row<T, Shared, N, M, P>(t, point, Row<T, Shared>{operands + rows[i] * stride}, gradient);
        rows += count;
        const Vec<T> scale = splat<T>(T(2.0 / (double(c) * count * t.blocks * t.blocks)));
        for (int i = 0; i < size; i++)
            gradient[i] *= scale;
        const Vec<T> norm = root<T>(sum_of_squares<T>(gradient, size));
        for (int l = 0; l < lanes; l++) {
            norms[l] += double(norm[l]);
            norms[lanes + l] += double(norm[l]) * double(norm[l]);
        }
        if (t.clip > 0) {
            const Vec<T> shrink = smaller<T>(splat<T>(T(t.clip)) / (norm + T(1e-6)), splat<T>(T(1)));
            for (int i = 0; i < size; i++)
                gradient[i] *= shrink;
        }
        optimize<T>(t, step, theta, gradient, mean, square, size);
        if (t.threshold[step] > 0) {
            const Vec<T> threshold = splat<T>(T(t.threshold[step])), zero = {};
            for (int i = 0; i < size; i++)
                theta[i] = larger<T>(theta[i] - threshold, zero) + smaller<T>(theta[i] + threshold, zero);
        }
        if (t.balance[step])
            balance<T>(t, theta);
    }
}

template <typename T, bool Shared> void train_groups(const grokkit_training &t) {
    for (int group = 0; group < t.groups; group++) {
        if (t.n == 2 && t.m == 2 && t.p == 2)
            train_group<T, Shared, 2, 2, 2>(t, group);
        else if (t.n == 3 && t.m == 3 && t.p == 3)
            train_group<T, Shared, 3, 3, 3>(t, group);
        else
            train_group<T, Shared, 0, 0, 0>(t, group);
    }
}

template <typename T> int32_t train(const grokkit_training *training) {
    const grokkit_training &t = *training;
    const bool fits = t.n >= 1 && t.m >= 1 && t.p >= 1 && t.n <= kLargestSide && t.m <= kLargestSide && t.p <= kLargestSide &&
                      t.blocks >= 1 && t.blocks <= kLargestBlocks && t.slots >= 1 && t.slots <= kLargestSlots && t.groups >= 0;
    if (!fits)
        return 1;
    if (t.shared)
        train_groups<T, true>(t);
    else
        train_groups<T, false>(t);
    return 0;
}

} // namespace

extern "C" {

int32_t grokkit_train_float32(const grokkit_training *training) { return train<float>(training); }

int32_t grokkit_train_float64(const grokkit_training *training) { return train<double>(training); }
}

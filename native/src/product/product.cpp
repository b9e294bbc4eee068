/* The C interface of the product: views from the caller's structures, memory, and the choice of the number type. */
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "grokkit_native.h"
#include "winograd.h"

namespace grokkit {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool guarded = true;   // blocks as large as was asked for and none kept, so that a step too far is seen
#else
constexpr bool guarded = false;
#endif

/* Memory in huge pages where the system has them: packed blocks are walked in strides that few small pages cover. One
 * block of up to `kept_bytes` is kept from call to call, as fresh pages cost as much as packing does. It changes hands
 * by an atomic exchange, so no lock is held while a process forks. */
class Workspace {
  public:
    explicit Workspace(int64_t bytes) : block_(kept().exchange(nullptr)) {
        if (block_ && block_->size >= bytes) return;
        delete block_;
        block_ = new Block(bytes);
    }
    ~Workspace() {
        if (block_->size <= kept_bytes) block_ = kept().exchange(block_);
        delete block_;
    }
    Workspace(const Workspace &) = delete;
    Workspace &operator=(const Workspace &) = delete;
    void *data() const { return block_->data; }

  private:
    struct Block {
        explicit Block(int64_t bytes) {
            const int64_t page = guarded ? 64 : bytes >= (1 << 20) ? 1 << 21 : 1 << 12;
            size = std::max<int64_t>((bytes + page - 1) / page, 1) * page;
            data = std::aligned_alloc(std::size_t(page), std::size_t(size));
            if (!data) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
            if (page == 1 << 21) madvise(data, std::size_t(size), MADV_HUGEPAGE);
#endif
        }
        ~Block() { std::free(data); }
        Block(const Block &) = delete;
        Block &operator=(const Block &) = delete;
        int64_t size;
        void *data;
    };
    static constexpr int64_t kept_bytes = guarded ? 0 : 1 << 24;
    static std::atomic<Block *> &kept() {
        static std::atomic<Block *> block{nullptr};
        return block;
    }

    Block *block_;
};

template <class T> Matrix<T> view(const grokkit_matrix &x) {
    return {static_cast<T *>(x.data), x.rows, x.columns, x.row_stride, x.column_stride};
}

/* Coefficients of one factor of a scheme, for one product; `transposed` reads the grid by columns. */
struct Grid {
    const double *row;
    int height, width;
    bool transposed;
    double operator()(int i, int j) const { return transposed ? row[j * height + i] : row[i * width + j]; }
};

template <class T> T coefficient(double x) {
    if constexpr (std::is_floating_point_v<T>) return T(x);
    else return T(int64_t(x));
}

/* The shape of a fused call: a grid of blocks, and the coefficients that go with them. */
struct Shape {
    const grokkit_coefficients &scheme;
    bool transposed;   // compute c' = b' a' in place of c = a b

    int n() const { return transposed ? scheme.p : scheme.n; }
    int m() const { return scheme.m; }
    int p() const { return transposed ? scheme.n : scheme.p; }
    Grid left(int r) const {
        return {transposed ? scheme.v + int64_t(r) * scheme.m * scheme.p : scheme.u + int64_t(r) * scheme.n * scheme.m,
                n(), m(), transposed};
    }
    Grid right(int r) const {
        return {transposed ? scheme.u + int64_t(r) * scheme.n * scheme.m : scheme.v + int64_t(r) * scheme.m * scheme.p,
                m(), p(), transposed};
    }
    Grid result(int r) const { return {scheme.w + int64_t(r) * scheme.n * scheme.p, n(), p(), transposed}; }
};

int64_t share(int64_t size, int parts) { return (size + parts - 1) / parts; }

template <class T> Cuts<T> cuts(const Shape &shape, int64_t rows, int64_t inner, int64_t columns) {
    return {share(rows, shape.n()), share(inner, shape.m()), share(columns, shape.p())};
}

/* The sum of one product over the blocks of an operand, which is itself a sum. */
template <class T> Terms<T> terms(const Grid &grid, const Terms<T> &operand, int64_t height, int64_t width) {
    Terms<T> list;
    for (int i = 0; i < grid.height; i++)
        for (int j = 0; j < grid.width; j++)
            for (const Term<T> &part : operand) {
                const Matrix<const T> block = part.block.block(i * height, j * width, height, width);
                if (grid(i, j) != 0 && block.rows && block.columns)
                    list.push_back({block, coefficient<T>(grid(i, j)) * part.coefficient});
            }
    return list;
}

template <class T> Terms<T> transposed(Terms<T> terms) {
    for (Term<T> &term : terms) term.block = term.block.transposed();
    return terms;
}

/* One fused product on the views; every member of the team calls it. */
template <class T> class FusedLeaf {
  public:
    FusedLeaf(const Shape &shape, T *buffer, int members) : shape_(shape), buffer_(buffer), members_(members) {}

    /* target = coefficient a b, or with what is there added. */
    void operator()(Team &team, const Terms<T> &a, const Terms<T> &b, int64_t inner, const Target<T> &target) const {
        const Matrix<T> &c = target.block;
        const Cuts<T> cut = cuts<T>(shape_, c.rows, inner, c.columns);
        std::vector<char> written(std::size_t(shape_.n()) * shape_.p(), !target.first);
        std::vector<Product<T>> products;
        for (int r = 0; r < shape_.scheme.rank; r++) {
            Product<T> product = {transposed(terms<T>(shape_.left(r), a, cut.rows, cut.inner)),
                                  terms<T>(shape_.right(r), b, cut.inner, cut.columns), {}};
            if (product.a.empty() || product.b.empty()) continue;
            const Grid w = shape_.result(r);
            for (int i = 0; i < w.height; i++)
                for (int j = 0; j < w.width; j++) {
                    const Matrix<T> block = c.block(i * cut.rows, j * cut.columns, cut.rows, cut.columns);
                    if (w(i, j) == 0 || !block.rows || !block.columns) continue;
                    char &seen = written[std::size_t(i) * w.width + j];
                    product.c.push_back({block, coefficient<T>(w(i, j)) * target.coefficient, !seen});
                    seen = 1;
                }
            if (!product.c.empty()) products.push_back(std::move(product));
        }
        for (int i = 0; i < shape_.n(); i++)
            for (int j = 0; j < shape_.p(); j++)
                if (!written[std::size_t(i) * shape_.p() + j])
                    clear(team, c.block(i * cut.rows, j * cut.columns, cut.rows, cut.columns));
        Fused<T>(products, cut, buffer_, members_).run(team);
    }

  private:
    static void clear(Team &team, const Matrix<T> &c) {
        team.loop(c.rows, [&](int64_t i) {
            for (int64_t j = 0; j < c.columns; j++) c.at(i, j) = 0;
        });
    }

    const Shape shape_;
    T *buffer_;
    const int members_;   // as many as the buffer has room for
};

/* Room for the leaves below the explicit levels. Rows and columns are halved downwards; the inner dimension is halved
 * both ways, and what packing needs is not monotone in it: 769 entries are cut into two pieces, 768 are one. A recursion
 * may end early, so every depth counts. */
template <class T> int64_t leaf_entries(const Shape &shape, int64_t rows, int64_t inner, int64_t columns, int levels, int threads) {
    int64_t most = 0, longer = inner, shorter = inner;
    for (int level = 0; level <= levels; level++) {
        for (const int64_t k : {shorter, longer})
            if (level == levels || rows < 2 || k < 2 || columns < 2)
                most = std::max(most, cuts<T>(shape, rows, k, columns).entries(threads));
        rows /= 2, columns /= 2, shorter /= 2, longer = (longer + 1) / 2;
    }
    return most;
}

template <class T> int64_t workspace_entries(const Shape &shape, int64_t rows, int64_t inner, int64_t columns, int levels, int threads) {
    return Temporaries<T>::entries(levels, rows, inner, columns) + leaf_entries<T>(shape, rows, inner, columns, levels, threads) +
           4 * Temporaries<T>::pad;
}

template <class T> void multiply(const grokkit_product &call) {
    const bool transposed = call.c.column_stride != 1;
    auto a = view<const T>(transposed ? call.b : call.a), b = view<const T>(transposed ? call.a : call.b);
    auto c = view<T>(call.c);
    if (transposed) a = a.transposed(), b = b.transposed(), c = c.transposed();
    const Shape shape = {call.fused, transposed};
    const int levels = call.explicit_levels;
    const Workspace memory(workspace_entries<T>(shape, c.rows, a.columns, c.columns, levels, call.threads) * int64_t(sizeof(T)));
    T *const temporaries = static_cast<T *>(memory.data());
    T *const buffer = temporaries + Cuts<T>::rounded(Temporaries<T>::entries(levels, c.rows, a.columns, c.columns),
                                                     Temporaries<T>::pad);
    const FusedLeaf<T> leaf(shape, buffer, call.threads);
    Team::run(call.threads, [&](Team &team) { winograd<T>(team, levels, a, b, c, temporaries, leaf); });
}

template <class T> int64_t workspace(const grokkit_product &call) {
    const Shape shape = {call.fused, call.c.column_stride != 1};
    int64_t rows = call.c.rows, columns = call.c.columns;
    if (shape.transposed) std::swap(rows, columns);
    return workspace_entries<T>(shape, rows, call.a.columns, columns, call.explicit_levels, call.threads) * int64_t(sizeof(T));
}

bool understood(const grokkit_product &call) {
    const grokkit_coefficients &s = call.fused;
    const bool unit_stride = call.c.column_stride == 1 || call.c.row_stride == 1;
    return s.n > 0 && s.m > 0 && s.p > 0 && s.rank > 0 && int64_t(s.n) * s.m <= max_blocks &&
           int64_t(s.m) * s.p <= max_blocks && int64_t(s.n) * s.p <= max_blocks && call.explicit_levels >= 0 && call.explicit_levels < 16 &&
           call.threads > 0 && call.threads <= 4096 && unit_stride && call.a.columns == call.b.rows &&
           call.c.rows == call.a.rows && call.c.columns == call.b.columns;
}

/* f<T>() for the call's number type. */
template <class F> auto with_type(int32_t type, F f) {
    switch (type) {
    case GROKKIT_FLOAT32: return f(float());
    case GROKKIT_FLOAT64: return f(double());
    case GROKKIT_UINT32: return f(uint32_t());
    default: return f(uint64_t());
    }
}

template <class T> bool finite(const Matrix<const T> &x) {
    using V = typename Vector<T>::aligned;
    constexpr int64_t lanes = Blocking<T>::lanes;
    for (int64_t i = 0; i < x.rows; i++) {
        V sums[4] = {};   // an infinity or a NaN times zero is NaN
        T rest = 0;
        int64_t j = 0;
        if (x.column_stride == 1)
            for (; j + 4 * lanes <= x.columns; j += 4 * lanes)
                for (int q = 0; q < 4; q++) sums[q] += load(&x.at(i, j + q * lanes)) * T(0);
        for (; j < x.columns; j++) rest += x.at(i, j) * T(0);
        const V sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        for (int64_t l = 0; l < lanes; l++) rest += sum[l];
        if (!(rest == 0)) return false;
    }
    return true;
}

/* Multiplications and additions at the rate of the register tile, without memory: what the processor can do at most. */
template <class T> double flops(int64_t count) {
    using V = typename Vector<T>::aligned;
    constexpr int width = Blocking<T>::rows * Blocking<T>::vectors;
    V sums[width];
    for (int i = 0; i < width; i++) sums[i] = V{} + T(i);
    volatile T one = 1, zero = 0;   // so that the compiler cannot know
    const V factor = V{} + T(one), term = V{} + T(zero);
    for (int64_t n = 0; n < count; n++) {
#pragma GCC unroll 64
        for (int i = 0; i < width; i++) sums[i] = sums[i] * factor + term;
    }
    V total = {};
    for (int i = 0; i < width; i++) total += sums[i];
    volatile T sink = total[0];
    (void)sink;
    return 2.0 * double(count) * width * Blocking<T>::lanes;
}

}  // namespace
}  // namespace grokkit

extern "C" {

int32_t grokkit_multiply(const grokkit_product *call) {
    using namespace grokkit;
    if (!understood(*call)) return 1;
    try {
        with_type(call->type, [&](auto zero) { multiply<decltype(zero)>(*call); return 0; });
    } catch (const std::bad_alloc &) {
        return 2;
    }
    return 0;
}

int64_t grokkit_workspace(const grokkit_product *call) {
    using namespace grokkit;
    if (!understood(*call)) return -1;
    return with_type(call->type, [&](auto zero) { return workspace<decltype(zero)>(*call); });
}

int32_t grokkit_tile_of(int32_t type, grokkit_tile *tile) {
    using namespace grokkit;
    with_type(type, [&](auto zero) {
        using B = Blocking<decltype(zero)>;
        *tile = {B::rows, B::columns, B::inner};
        return 0;
    });
    return 0;
}

int32_t grokkit_finite(int32_t type, const grokkit_matrix *x) {
    using namespace grokkit;
    if (type != GROKKIT_FLOAT32 && type != GROKKIT_FLOAT64) return 1;
    auto wide = *x;
    if (wide.column_stride != 1 && wide.row_stride == 1) {
        std::swap(wide.rows, wide.columns);
        std::swap(wide.row_stride, wide.column_stride);
    }
    return type == GROKKIT_FLOAT32 ? finite<float>(view<const float>(wide)) : finite<double>(view<const double>(wide));
}

double grokkit_flops(int32_t type, int64_t count) {
    return type == GROKKIT_FLOAT32 ? grokkit::flops<float>(count) : grokkit::flops<double>(count);
}
}

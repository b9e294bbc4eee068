/* The fast product against plain loops on small whole numbers, where every path must give the same bits. Stands alone, so
 * that it runs under the sanitizers and under emulation of another processor. Prints what differs; exit status 1 then. */
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "grokkit_native.h"

namespace {

const double strassen_u[] = {1, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, -1, 0, 1, 0, 0, 1, 0, -1};
const double strassen_v[] = {1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, -1, -1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1};
const double strassen_w[] = {1, 0, 0, 1, 0, 0, 1, -1, 0, 1, 0, 1, 1, 0, 1, 0, -1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0};
const double one[] = {1};

template <class T> struct Stored {
    std::vector<T> memory;
    grokkit_matrix view;
};

/* A matrix of small whole numbers: by rows, by columns, or with gaps in both directions. */
template <class T> Stored<T> matrix(int64_t rows, int64_t columns, int layout, std::mt19937 &random) {
    const int64_t gap = layout == 2 ? 2 : 1;
    Stored<T> x;
    x.memory.resize(std::size_t(rows * columns * gap * gap + 1));
    for (T &entry : x.memory) entry = T(int(random() % 9) - 4);
    x.view = {x.memory.data(), rows, columns, layout == 1 ? 1 : columns * gap * gap, layout == 1 ? rows : gap};
    return x;
}

template <class T> T entry(const grokkit_matrix &x, int64_t i, int64_t j) {
    return static_cast<const T *>(x.data)[i * x.row_stride + j * x.column_stride];
}

template <class T> int check(int32_t type, std::mt19937 &random, int round) {
    const bool large = round % 10 == 9;   // several pieces of the inner dimension and of the columns
    const int64_t n = random() % 70 + 1, p = random() % (large ? 600 : 80) + 1;
    int64_t m = random() % (large ? 1400 : 90) + 1;
    if (large && round % 20 == 9) m = 1536 * (random() % 2 + 1) + random() % 5 - 2;   // halves on both sides of whole pieces
    Stored<T> a = matrix<T>(n, m, int(random() % 3), random), b = matrix<T>(m, p, int(random() % 3), random);
    Stored<T> c = matrix<T>(n, p, int(random() % 2), random), expected = matrix<T>(n, p, 0, random);
    const bool fast = random() % 3;
    const grokkit_coefficients scheme = fast ? grokkit_coefficients{2, 2, 2, 7, strassen_u, strassen_v, strassen_w}
                                             : grokkit_coefficients{1, 1, 1, 1, one, one, one};
    grokkit_product call = {type, int32_t(random() % 3 + 1), int32_t(random() % 3), scheme, a.view, b.view, c.view};
    grokkit_product plain = call;
    plain.c = expected.view;
    if (grokkit_multiply(&call) || grokkit_multiply_reference(&plain)) {
        std::printf("round %d: a call failed\n", round);
        return 1;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < p; j++)
            if (entry<T>(c.view, i, j) != entry<T>(expected.view, i, j)) {
                std::printf("round %d, type %d: entry (%ld, %ld) of a %ld x %ld x %ld product differs\n", round, int(type),
                            long(i), long(j), long(n), long(m), long(p));
                return 1;
            }
    return 0;
}

int check_all(unsigned seed, int rounds) {
    std::mt19937 random(seed);
    int wrong = 0;
    for (int round = 0; round < rounds; round++) {
        wrong += check<float>(GROKKIT_FLOAT32, random, round);
        wrong += check<double>(GROKKIT_FLOAT64, random, round);
        wrong += check<uint32_t>(GROKKIT_UINT32, random, round);
        wrong += check<uint64_t>(GROKKIT_UINT64, random, round);
    }
    return wrong;
}

}  // namespace

int main(int argc, char **argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 100;
    int wrong = check_all(1, rounds), wrong_beside = 0;
    std::thread beside([&] { wrong_beside = check_all(2, rounds / 4); });   // two callers at once
    wrong += check_all(3, rounds / 4);
    beside.join();
    wrong += wrong_beside;
    std::printf("%s, vectors of %d bytes: %d wrong\n", grokkit_instruction_set(), GROKKIT_VECTOR_BYTES, wrong);
    return wrong != 0;
}

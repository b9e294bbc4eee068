/* Vectors of one instruction set, through the compiler's vector extensions. */
#ifndef GROKKIT_PRODUCT_VECTORS_H
#define GROKKIT_PRODUCT_VECTORS_H

#include <cstdint>
#include <utility>

#include "blocking.h"

namespace grokkit {

template <class T> struct Vector {
    typedef T aligned __attribute__((vector_size(vector_bytes)));
    typedef T unaligned __attribute__((vector_size(vector_bytes), aligned(sizeof(T)), may_alias));
};

template <class T> inline typename Vector<T>::aligned load(const T *p) {
    return *reinterpret_cast<const typename Vector<T>::unaligned *>(p);
}

template <class T> inline void store(T *p, typename Vector<T>::aligned x) {
    *reinterpret_cast<typename Vector<T>::unaligned *>(p) = x;
}

/* f(0), f(1), ... f(count - 1), written out; the index is a constant. */
template <int... i, class F> inline __attribute__((always_inline)) void written_out(F f, std::integer_sequence<int, i...>) {
    (f(std::integral_constant<int, i>()), ...);
}
template <int count, class F> inline __attribute__((always_inline)) void written_out(F f) {
    written_out(f, std::make_integer_sequence<int, count>());
}
#define GROKKIT_INLINE __attribute__((always_inline))

/* Exchange the off-diagonal halves of every pair of `step` lanes of two rows: one stage of a transposition. */
template <int step, class V, std::size_t... lane> inline void exchange(V &x, V &y, std::index_sequence<lane...>) {
    constexpr int lanes = sizeof...(lane);
    const V upper = __builtin_shufflevector(x, y, ((lane & step) ? lanes + int(lane) - step : int(lane))...);
    const V lower = __builtin_shufflevector(x, y, ((lane & step) ? lanes + int(lane) : int(lane) + step)...);
    x = upper;
    y = lower;
}

template <int step, class V, int lanes> inline void transpose_stage(V (&rows)[lanes]) {
#pragma GCC unroll 32
    for (int i = 0; i < lanes; i++)
        if (!(i & step)) exchange<step>(rows[i], rows[i + step], std::make_index_sequence<lanes>());
    if constexpr (step > 1) transpose_stage<step / 2>(rows);
}

/* Transpose a square of lanes x lanes entries in registers. */
template <class V, int lanes> inline void transpose(V (&rows)[lanes]) { transpose_stage<lanes / 2>(rows); }

}  // namespace grokkit

#endif

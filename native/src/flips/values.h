// Factors of a product over small rings: what a walk adds, negates and compares.
//
// A value is a vector of up to 64 coefficients, a bit each (GF(2)) or two bits each in two words (coefficients -1, 0, 1).
// Its key is the same for a value and its negative; equal keys are equal values up to sign, save for hashed keys, which are
// checked before they are used.

#ifndef GROKKIT_FLIPS_VALUES_H
#define GROKKIT_FLIPS_VALUES_H

#include <cstdint>

namespace grokkit_flips {

typedef uint64_t u64;

struct Value {
    u64 plus, minus; // coefficients 1, and -1; the second is 0 over GF(2)
    bool operator==(const Value &other) const { return plus == other.plus && minus == other.minus; }
    bool zero() const { return !(plus | minus); }
    int weight() const { return __builtin_popcountll(plus) + __builtin_popcountll(minus); }
};

inline Value negative(Value x) { return {x.minus, x.plus}; }

// The key of a value with coefficients -1, 0, 1: the sign that makes its first coefficient 1 is taken. Never 0 unless the value is.
inline u64 signed_key(Value x, bool packed) {
    const u64 all = x.plus | x.minus;
    if (x.minus & all & (0 - all))
        x = negative(x);
    if (packed)
        return x.plus | x.minus << 32;
    const u64 minus = x.minus * 0x9e3779b97f4a7c15u;
    const u64 hash = x.plus ^ minus ^ minus >> 31;
    return hash | (hash == 0 && all != 0);
}

struct Gf2 {
    static constexpr bool signs = false;
    static u64 key(Value x, bool) { return x.plus; }
    static bool add(Value a, Value b, Value &sum) {
        sum = {a.plus ^ b.plus, 0};
        return true;
    }
};

struct Gf3 {
    static constexpr bool signs = true;
    static u64 key(Value x, bool packed) { return signed_key(x, packed); }
    static bool add(Value a, Value b, Value &sum) {
        // 1 where (1, 0), (0, 1) or (-1, -1) meet; -1 likewise
        const u64 a0 = ~(a.plus | a.minus), b0 = ~(b.plus | b.minus);
        sum = {(a.plus & b0) | (a0 & b.plus) | (a.minus & b.minus), (a.minus & b0) | (a0 & b.minus) | (a.plus & b.plus)};
        return true;
    }
};

// Over the integers, with coefficients -1, 0, 1: a sum outside of them is refused.
struct Ternary {
    static constexpr bool signs = true;
    static u64 key(Value x, bool packed) { return signed_key(x, packed); }
    static bool add(Value a, Value b, Value &sum) {
        if ((a.plus & b.plus) | (a.minus & b.minus))
            return false;
        sum = {(a.plus & ~b.minus) | (b.plus & ~a.minus), (a.minus & ~b.plus) | (b.minus & ~a.plus)};
        return true;
    }
};

} // namespace grokkit_flips

#endif

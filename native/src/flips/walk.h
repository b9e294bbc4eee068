// One walk in the flip graph (Kauers and Moosbauer 2022; plus transitions: Arai, Ichikawa and Hukushima 2024).
//
// A scheme is a sum of products u (x) v (x) w. Where two products share a factor, up to sign, a flip keeps the sum:
//     u (x) v1 (x) w1 + s u (x) v2 (x) w2 = u (x) (v1 + q v2) (x) w1 + s u (x) v2 (x) (w2 - s q w1),   s, q = 1 or -1.
// A factor that becomes 0, or two products that share two factors, lower the rank.
//
// Symmetric walks (Moosbauer and Poole 2025) do the same to all three rotations of two products, of different orbits: product
// 3q + 1 has as its factor f + 1 what product 3q has as its factor f, so what is done to factor f of product i is done to
// factor f + 1 of the next in its orbit, and so on.
//
// search/_reference.py walks the same steps in plain Python, number for number.

#ifndef GROKKIT_FLIPS_WALK_H
#define GROKKIT_FLIPS_WALK_H

#include "values.h"

#include <cstring>
#include <memory>
#include <new>

namespace grokkit_flips {

// Four keys at a time at most: wider vectors cost more to gather into one word than they save.
constexpr int kLanes = GROKKIT_VECTOR_BYTES < 32 ? GROKKIT_VECTOR_BYTES / 8 : 4;
typedef u64 Keys __attribute__((vector_size(8 * kLanes)));
constexpr int kLargestRank = 1024;
constexpr int kWords = kLargestRank / 64;

// splitmix64
class Random {
  public:
    explicit Random(u64 state) : state_(state) {}
    u64 next() {
        u64 z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
    }
    int below(int bound) { return static_cast<int>((next() >> 32) * static_cast<u64>(bound) >> 32); }
    u64 state() const { return state_; }

  private:
    u64 state_;
};

struct Settings {
    bool packed;            // all factors have 32 entries at most: a key is the value itself
    int target;             // stop at this rank
    int headroom;           // plus transitions only below best + headroom
    int64_t steps;          // flips that are tried
    int64_t interval;       // flips without a lower rank before a plus transition
    bool symmetric;         // products 3q, 3q + 1, 3q + 2 are rotations of one another, and stay so
    const u64 *acceptance;  // [64] or null: chance, times 2^64, to accept a flip that adds d + 1 nonzero coefficients
};

template <typename Ring> class Walk {
  public:
    Walk(u64 random, const Settings &settings) : random_(random), settings_(settings) {}

    // factors: [3][stride][2]; the rank becomes the lowest found, the factors those last seen there (with acceptance: the sparsest)
    void run(int32_t *rank, u64 *factors, int64_t stride, int64_t *tried, int64_t *flipped, int64_t *reached) {
        rank_ = *rank;
        for (int f = 0; f < 3; f++)
            for (int i = 0; i < rank_; i++) {
                const u64 *entry = factors + (f * stride + i) * 2;
                set(f, i, {entry[0], entry[1]});
            }
        tidy();
        keep(0, reached);
        int64_t last = 0, step = 0;
        flipped_ = 0;
        while (step < settings_.steps && best_ > settings_.target) {
            step++;
            if (active_count_)
                flip();
            if (rank_ < best_) {
                keep(step, reached);
                last = step;
            } else if (settings_.acceptance && rank_ == best_ && weight_ < best_weight_) {
                keep(step, reached);
            }
            if (step - last >= settings_.interval || !active_count_) {
                last = step;
                if (rank_ == best_ && !settings_.acceptance)
                    keep(step, reached);
                if (rank_ < best_ + settings_.headroom)
                    plus();
                if (!active_count_)
                    break;
                if (rank_ < best_)
                    keep(step, reached);
            }
        }
        if (rank_ == best_ && !settings_.acceptance)
            keep(step, reached);
        *rank = best_;
        for (int f = 0; f < 3; f++)
            for (int i = 0; i < best_; i++) {
                u64 *entry = factors + (f * stride + i) * 2;
                entry[0] = best_values_[f][i].plus;
                entry[1] = best_values_[f][i].minus;
            }
        *tried = step;
        *flipped = flipped_;
    }

    u64 random() const { return random_.state(); }

  protected:
    Random random_;
    const Settings settings_;
    int rank_ = 0, best_ = kLargestRank + 1, active_count_ = 0;
    int weight_ = 0, best_weight_ = 0;
    int64_t flipped_ = 0;
    alignas(64) u64 keys_[3][kLargestRank + 8]; // beyond the rank: anything, masked where it is read
    Value values_[3][kLargestRank];
    Value best_values_[3][kLargestRank];
    // (axis << 16 | product) of the factors that another product shares, in any order; where each stands there, or -1
    int32_t active_[3 * kLargestRank];
    int16_t place_[3][kLargestRank];

    // Rotations of a step, and where factor f of product i lies after `turn` of them.
    int turns() const { return settings_.symmetric ? 3 : 1; }
    static int turned_axis(int f, int turn) { return (f + turn) % 3; }
    static int turned_product(int i, int turn) { return i - i % 3 + (i % 3 + turn) % 3; }
    bool one_orbit(int i, int j) const { return settings_.symmetric && i / 3 == j / 3; }

    void set_all(int f, int i, Value x) {
        if (!settings_.symmetric)
            return set(f, i, x);
        for (int turn = 0; turn < 3; turn++)
            set(turned_axis(f, turn), turned_product(i, turn), x);
    }

    void set(int f, int i, Value x) {
        values_[f][i] = x;
        keys_[f][i] = Ring::key(x, settings_.packed);
    }

    int weight() const {
        int sum = 0;
        for (int f = 0; f < 3; f++)
            for (int i = 0; i < rank_; i++)
                sum += values_[f][i].weight();
        return sum;
    }

    void keep(int64_t step, int64_t *reached) {
        if (rank_ < best_)
            for (int r = rank_; r <= (best_ > kLargestRank ? rank_ : best_ - 1); r++)
                reached[r] = step;
        best_ = rank_;
        best_weight_ = weight_;
        for (int f = 0; f < 3; f++)
            std::memcpy(best_values_[f], values_[f], sizeof(Value) * static_cast<size_t>(rank_));
    }

    void activate(int f, int i) {
        place_[f][i] = static_cast<int16_t>(active_count_);
        active_[active_count_++] = f << 16 | i;
    }

    void deactivate(int f, int i) {
        const int place = place_[f][i], moved = active_[--active_count_];
        active_[place] = moved;
        place_[moved >> 16][moved & 0xffff] = static_cast<int16_t>(place);
        place_[f][i] = -1;
    }

    // Bit j: whether product 64 * word + j has this key on axis f.
    template <int Count> void matches(int f, int word, const u64 (&wanted)[Count], u64 (&found)[Count]) const {
        const int here = rank_ - 64 * word < 64 ? rank_ - 64 * word : 64;
        const u64 *keys = keys_[f] + 64 * word;
        Keys bits, hits[Count] = {};
        for (int lane = 0; lane < kLanes; lane++)
            bits[lane] = u64(1) << lane;
        for (int j = 0; j < here; j += kLanes, bits <<= kLanes) {
            Keys k;
            std::memcpy(&k, keys + j, sizeof k);
            for (int c = 0; c < Count; c++)
                hits[c] |= reinterpret_cast<Keys>(k == wanted[c]) & bits;
        }
        const u64 valid = here == 64 ? ~u64(0) : (u64(1) << here) - 1;
        for (int c = 0; c < Count; c++) {
            u64 all = 0;
            for (int lane = 0; lane < kLanes; lane++)
                all |= hits[c][lane];
            found[c] = all & valid;
        }
    }

    // Replace a factor; true if another product now shares two factors with this one.
    bool change(int f, int i, Value x) {
        const u64 before = keys_[f][i], after = Ring::key(x, settings_.packed), wanted[2] = {before, after};
        values_[f][i] = x;
        if (before == after)
            return false;
        const int g = f == 2 ? 0 : f + 1, h = 3 - f - g;
        int left = 0, joined = 0, last_left = 0, last_joined = 0;
        bool meets = false;
        for (int word = 0; 64 * word < rank_; word++) {
            u64 found[2];
            matches(f, word, wanted, found);
            if (i >> 6 == word)
                found[0] &= ~(u64(1) << (i & 63));
            if (found[0]) {
                left += __builtin_popcountll(found[0]);
                last_left = 64 * word + __builtin_ctzll(found[0]);
            }
            for (u64 rest = found[1]; rest; rest &= rest - 1) {
                const int j = 64 * word + __builtin_ctzll(rest);
                joined++;
                last_joined = j;
                meets |= keys_[g][i] == keys_[g][j] || keys_[h][i] == keys_[h][j];
            }
        }
        keys_[f][i] = after;
        if (left == 1)
            deactivate(f, last_left);
        if (joined == 0) {
            if (left)
                deactivate(f, i);
        } else {
            if (!left)
                activate(f, i);
            if (joined == 1)
                activate(f, last_joined);
        }
        return meets;
    }

    // The chosen product among those that share axis f with product i, and how many there are to choose from.
    int partner(int f, int i, u64 chance) const {
        u64 found[kWords][1];
        const u64 wanted[1] = {keys_[f][i]};
        int count = 0;
        const int words = (rank_ + 63) / 64;
        for (int word = 0; word < words; word++) {
            matches(f, word, wanted, found[word]);
            if (i >> 6 == word)
                found[word][0] &= ~(u64(1) << (i & 63));
            count += __builtin_popcountll(found[word][0]);
        }
        int chosen = static_cast<int>(chance * static_cast<u64>(count) >> 24);
        for (int word = 0; word < words; word++) {
            const int here = __builtin_popcountll(found[word][0]);
            if (chosen < here) {
                u64 rest = found[word][0];
                for (; chosen; chosen--)
                    rest &= rest - 1;
                return 64 * word + __builtin_ctzll(rest);
            }
            chosen -= here;
        }
        return i; // not reached: an active factor has a partner
    }

    // Try one flip at random.
    void flip() {
        const u64 chance = random_.next();
        const int picked = active_[(chance >> 32) * static_cast<u64>(active_count_) >> 32];
        const int f = picked >> 16, i = picked & 0xffff, j = partner(f, i, chance >> 8 & 0xffffff);
        if (one_orbit(i, j))
            return;
        int g = f + 1 + static_cast<int>(chance & 1);
        g -= g >= 3 ? 3 : 0;
        const int h = 3 - f - g;
        Value second = values_[g][j], third = values_[h][i];
        if (Ring::signs) {
            const bool opposite = !(values_[f][i] == values_[f][j]);
            if (opposite && !(values_[f][i] == negative(values_[f][j])))
                return; // two hashed keys collided
            const bool minus = chance & 2;
            if (minus)
                second = negative(second);
            if (minus == opposite)
                third = negative(third);
        }
        Value v, w;
        if (!Ring::add(values_[g][i], second, v) || !Ring::add(values_[h][j], third, w))
            return;
        if (settings_.acceptance) {
            const int gained = v.weight() + w.weight() - values_[g][i].weight() - values_[h][j].weight();
            if (gained > 0 && random_.next() >= settings_.acceptance[gained > 64 ? 63 : gained - 1])
                return;
            weight_ += gained * turns();
        }
        flipped_++;
        bool meets = change(g, i, v);
        meets |= change(h, j, w);
        for (int turn = 1; turn < turns(); turn++) {
            meets |= change(turned_axis(g, turn), turned_product(i, turn), v);
            meets |= change(turned_axis(h, turn), turned_product(j, turn), w);
        }
        if (meets || v.zero() || w.zero())
            tidy();
    }

    // Remove a product; of a symmetric scheme its orbit.
    void remove(int i) {
        const int count = turns(), first = settings_.symmetric ? i - i % 3 : i;
        rank_ -= count;
        for (int f = 0; f < 3; f++)
            for (int at = 0; at < count; at++) {
                values_[f][first + at] = values_[f][rank_ + at];
                keys_[f][first + at] = keys_[f][rank_ + at];
            }
    }

    void drop_zeros() {
        for (int i = 0; i < rank_;) {
            if (values_[0][i].zero() || values_[1][i].zero() || values_[2][i].zero())
                remove(i);
            else
                i += turns();
        }
    }

    bool equal_up_to_sign(int f, int i, int j, bool &opposite) const {
        if (values_[f][i] == values_[f][j])
            return true;
        if (!Ring::signs || !(values_[f][i] == negative(values_[f][j])))
            return false;
        opposite = !opposite;
        return true;
    }

    bool merge_one() {
        for (int f = 0; f < 3; f++) {
            const int g = (f + 1) % 3, h = (f + 2) % 3;
            for (int i = 0; i < rank_; i++)
                for (int j = i + 1; j < rank_; j++) {
                    if (keys_[f][i] != keys_[f][j] || keys_[g][i] != keys_[g][j] || one_orbit(i, j))
                        continue;
                    bool opposite = false;
                    if (!equal_up_to_sign(f, i, j, opposite) || !equal_up_to_sign(g, i, j, opposite))
                        continue;
                    Value sum;
                    if (!Ring::add(values_[h][i], opposite ? negative(values_[h][j]) : values_[h][j], sum))
                        continue;
                    set_all(h, i, sum);
                    remove(j);
                    return true;
                }
        }
        return false;
    }

    // Without zeros, with what can be merged merged.
    void tidy() {
        do
            drop_zeros();
        while (merge_one());
        list_shared();
    }

    void list_shared() {
        active_count_ = 0;
        for (int f = 0; f < 3; f++)
            for (int i = 0; i < rank_; i++) {
                place_[f][i] = -1;
                bool shared = false;
                for (int j = 0; j < rank_ && !shared; j++)
                    shared = j != i && keys_[f][j] == keys_[f][i];
                if (shared)
                    activate(f, i);
            }
        weight_ = weight();
    }

    // u1 v1 w1 + u2 v2 w2 = u1 (v1 + v2) w1 + u1 v2 (w2 - w1) + (u2 - u1) v2 w2: one product more.
    void plus() {
        if (rank_ + turns() > kLargestRank || rank_ < 2 * turns())
            return;
        for (int attempt = 0; attempt < 200; attempt++) {
            const int i = random_.below(rank_), j = random_.below(rank_);
            const u64 chance = random_.next();
            if (i == j || one_orbit(i, j))
                continue;
            const int f = static_cast<int>((chance >> 32) * 3 >> 32);
            const int g = (f + 1 + static_cast<int>(chance & 1)) % 3, h = 3 - f - g;
            if (keys_[f][i] == keys_[f][j] || keys_[g][i] == keys_[g][j] || keys_[h][i] == keys_[h][j])
                continue;
            const Value u1 = values_[f][i], v1 = values_[g][i], w1 = values_[h][i];
            const Value u2 = values_[f][j], v2 = values_[g][j], w2 = values_[h][j];
            Value v, w, u;
            if (!Ring::add(v1, v2, v) || !Ring::add(w2, Ring::signs ? negative(w1) : w1, w) ||
                !Ring::add(u2, Ring::signs ? negative(u1) : u1, u))
                continue;
            const int k = rank_;
            rank_ += turns();
            set_all(g, i, v);
            set_all(f, j, u1), set_all(h, j, w);
            set_all(f, k, u), set_all(g, k, v2), set_all(h, k, w2);
            tidy();
            return;
        }
    }
};

} // namespace grokkit_flips

#endif

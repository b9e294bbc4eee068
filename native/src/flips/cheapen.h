// A walk among schemes of one rank, with coefficients -1, 0, 1, towards fewer additions: Metropolis steps of a few flips each.

#ifndef GROKKIT_FLIPS_CHEAPEN_H
#define GROKKIT_FLIPS_CHEAPEN_H

#include "additions.h"

namespace grokkit_flips {

class Cheapening : public Walk<Ternary> {
  public:
    Cheapening(u64 random, const Settings &settings, const int (&entries)[3], int flips, const u64 *acceptance)
        : Walk<Ternary>(random, settings), entries_{entries[0], entries[1], entries[2]}, flips_(flips),
          acceptance_(acceptance) {}

    // factors: [3][stride][2], replaced by the cheapest scheme seen; returns its additions.
    int run(int32_t *rank, u64 *factors, int64_t stride) {
        rank_ = *rank;
        for (int f = 0; f < 3; f++)
            for (int i = 0; i < rank_; i++) {
                const u64 *entry = factors + (f * stride + i) * 2;
                set(f, i, {entry[0], entry[1]});
            }
        tidy();
        int cost = additions();
        int cheapest = cost;
        keep_state(best_values_, best_);
        for (int64_t step = 0; step < settings_.steps && active_count_; step++) {
            keep_state(before_, before_rank_);
            const int count = 1 + random_.below(flips_);
            for (int flip_number = 0; flip_number < count && active_count_; flip_number++)
                flip();
            if (rank_ > best_) {
                restore(before_, before_rank_);
                continue;
            }
            const int now = additions();
            const int gained = now - cost;
            if (gained > 0 && random_.next() >= acceptance_[gained > 64 ? 63 : gained - 1]) {
                restore(before_, before_rank_);
                continue;
            }
            cost = now;
            if (rank_ < best_ || cost < cheapest) {
                cheapest = cost;
                keep_state(best_values_, best_);
            }
        }
        *rank = best_;
        for (int f = 0; f < 3; f++)
            for (int i = 0; i < best_; i++) {
                u64 *entry = factors + (f * stride + i) * 2;
                entry[0] = best_values_[f][i].plus;
                entry[1] = best_values_[f][i].minus;
            }
        return cheapest;
    }

  private:
    const int entries_[3], flips_;
    const u64 *acceptance_;
    int before_rank_ = 0;
    Value before_[3][kLargestRank];
    Reducer reducer_;

    void keep_state(Value (&values)[3][kLargestRank], int &rank) const {
        rank = rank_;
        for (int f = 0; f < 3; f++)
            std::memcpy(values[f], values_[f], sizeof(Value) * static_cast<size_t>(rank_));
    }

    void restore(const Value (&values)[3][kLargestRank], int rank) {
        rank_ = rank;
        for (int f = 0; f < 3; f++)
            for (int i = 0; i < rank; i++)
                set(f, i, values[f][i]);
        list_shared();
    }

    // Of all three maps: those of A and B compute the rows, that of C the columns.
    int additions() {
        int total = 0;
        for (int f = 0; f < 3; f++) {
            const int rows = reducer_.by_rows(values_[f], rank_, entries_[f], random_);
            const int columns = reducer_.by_columns(values_[f], rank_, entries_[f], random_);
            total += rows < columns ? rows : columns;
        }
        u64 used = 0; // entries of C: the map from products to C is the transpose of its rows
        for (int i = 0; i < rank_; i++)
            used |= values_[2][i].plus | values_[2][i].minus;
        return total + rank_ - __builtin_popcountll(used);
    }
};

} // namespace grokkit_flips

#endif

// How many additions the linear combinations of a scheme take when common pairs are computed once.
//
// Greedy elimination (Paar 1997): the pair x + y or x - y that occurs in most rows becomes a variable of its own, ties drawn
// at random, until no pair occurs twice. A matrix is also reduced by columns: a program for the transposed map, read
// backwards, computes the map with a known difference in additions (Tellegen's principle).
//
// search/_reference.py counts the same in plain Python; scheme/_reduction.py makes the programs that are proven.

#ifndef GROKKIT_FLIPS_ADDITIONS_H
#define GROKKIT_FLIPS_ADDITIONS_H

#include "walk.h"

namespace grokkit_flips {

constexpr int kReducedRank = 128; // largest rank whose additions are counted
constexpr int kVariables = 8 * kReducedRank;

typedef unsigned __int128 Rows; // a bit for each row

inline int count_bits(Rows x) {
    return __builtin_popcountll(static_cast<u64>(x)) + __builtin_popcountll(static_cast<u64>(x >> 64));
}

class Reducer {
  public:
    // Additions of the map whose row r is values[r], a combination of `entries` inputs.
    int by_rows(const Value *values, int rows, int entries, Random &random) {
        variables_ = 0;
        for (int e = 0; e < entries; e++) {
            Rows plus = 0, minus = 0;
            for (int r = 0; r < rows; r++) {
                plus |= static_cast<Rows>(values[r].plus >> e & 1) << r;
                minus |= static_cast<Rows>(values[r].minus >> e & 1) << r;
            }
            add_variable(plus, minus);
        }
        return eliminate(random);
    }

    // The same map through its transpose, whose rows are its inputs.
    int by_columns(const Value *values, int rows, int entries, Random &random) {
        variables_ = 0;
        u64 used = 0;
        int filled = 0;
        for (int r = 0; r < rows; r++) {
            used |= values[r].plus | values[r].minus;
            filled += !values[r].zero();
            add_variable(values[r].plus, values[r].minus);
        }
        (void)entries;
        return eliminate(random) + __builtin_popcountll(used) - filled;
    }

  private:
    struct Variable {
        Rows plus, minus;
    };
    int variables_ = 0;
    Variable variable_[kVariables];
    // rows in which both of two variables i < j occur: with equal signs, with opposite ones
    uint8_t shared_[kVariables][kVariables][2];

    void count(int i, int j) {
        const Variable &a = variable_[i], &b = variable_[j];
        shared_[i][j][0] = static_cast<uint8_t>(count_bits((a.plus & b.plus) | (a.minus & b.minus)));
        shared_[i][j][1] = static_cast<uint8_t>(count_bits((a.plus & b.minus) | (a.minus & b.plus)));
    }

    void count_all(int v) {
        for (int other = 0; other < variables_; other++)
            if (other != v)
                count(other < v ? other : v, other < v ? v : other);
    }

    void add_variable(Rows plus, Rows minus) {
        if (plus | minus)
            variable_[variables_++] = {plus, minus};
    }

    int eliminate(Random &random) {
        int made = 0;
        Rows rows = 0;
        for (int v = 0; v < variables_; v++)
            rows |= variable_[v].plus | variable_[v].minus;
        for (int i = 0; i < variables_; i++)
            for (int j = i + 1; j < variables_; j++)
                count(i, j);
        while (variables_ < kVariables) {
            int most = 1, ties = 0, first = 0, second = 0;
            bool opposite = false;
            for (int i = 0; i < variables_; i++)
                for (int j = i + 1; j < variables_; j++)
                    for (int sign = 0; sign < 2; sign++) {
                        const int here = shared_[i][j][sign];
                        if (here < 2 || here < most)
                            continue;
                        ties = here > most ? 1 : ties + 1;
                        if (here > most || random.below(ties) == 0)
                            first = i, second = j, opposite = sign;
                        most = here;
                    }
            if (!ties)
                break;
            Variable &a = variable_[first], &b = variable_[second];
            const Rows plus = a.plus & (opposite ? b.minus : b.plus), minus = a.minus & (opposite ? b.plus : b.minus);
            a.plus &= ~plus, a.minus &= ~minus;
            (opposite ? b.minus : b.plus) &= ~plus;
            (opposite ? b.plus : b.minus) &= ~minus;
            variable_[variables_++] = {plus, minus};
            made++;
            count_all(first), count_all(second), count_all(variables_ - 1);
        }
        int terms = 0;
        for (int v = 0; v < variables_; v++)
            terms += count_bits(variable_[v].plus | variable_[v].minus);
        return made + terms - count_bits(rows);
    }
};

} // namespace grokkit_flips

#endif

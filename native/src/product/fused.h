/* The fused product: all products of a scheme over one grid of blocks, without a temporary matrix.
 *
 * Linear combinations are formed while blocks are packed, and every product is added to its blocks of C from the
 * registers. Stages go product by product, then over pieces of the inner dimension, then over pieces of the columns.
 * During a stage the members of the team take groups of rows: they pack their rows of A (in the first stage of a piece;
 * later ones find them packed), multiply them by the packed block of B, and pack a share of a block of B to come: the
 * next stage's, or, where there are several members, that of the stage after it, so that nobody waits at a stage's end. */
#ifndef GROKKIT_PRODUCT_FUSED_H
#define GROKKIT_PRODUCT_FUSED_H

#include "kernel.h"
#include "packing.h"
#include "team.h"

namespace grokkit {

/* Cuts of one product's dimensions; the same for all products of a call, and for any number of threads. */
template <class T> struct Cuts {
    static constexpr int64_t group_rows = 4 * Blocking<T>::rows;
    int64_t rows, inner, columns;      // of a product
    int64_t inner_piece, pieces;       // pieces of the inner dimension
    int64_t column_piece, column_pieces;
    int64_t groups;                    // groups of rows
    int64_t a_panel;                   // entries from one panel of A to the next

    Cuts(int64_t m, int64_t k, int64_t n) : rows(m), inner(k), columns(n) {
        m = std::max<int64_t>(m, 1), k = std::max<int64_t>(k, 1), n = std::max<int64_t>(n, 1);
        constexpr int64_t lanes = Blocking<T>::lanes, tile = Blocking<T>::columns;
        pieces = std::max<int64_t>((k + Blocking<T>::inner / 2 - 1) / Blocking<T>::inner, 1);   // the nearest number
        inner_piece = rounded((k + pieces - 1) / pieces, std::max(lanes, unrolled));
        pieces = (k + inner_piece - 1) / inner_piece;
        const int64_t width = std::max(Blocking<T>::block / inner_piece / tile, int64_t(1)) * tile;
        column_pieces = (n + width - 1) / width;
        column_piece = rounded((n + column_pieces - 1) / column_pieces, tile);
        column_pieces = (n + column_piece - 1) / column_piece;
        groups = (m + group_rows - 1) / group_rows;
        constexpr int64_t line = line_bytes / int64_t(sizeof(T));
        a_panel = rounded(inner_piece * Blocking<T>::rows, line) + line;   // with the room that packing needs
    }

    static int64_t rounded(int64_t x, int64_t unit) { return (x + unit - 1) / unit * unit; }
    int64_t a_entries() const { return groups * group_rows / Blocking<T>::rows * a_panel; }
    int64_t b_entries() const { return column_piece * inner_piece; }
    /* How many stages before its use a block of B is packed. */
    static int64_t lead(int members) { return members > 1 ? 2 : 1; }
    /* Of the packed rows of A and the packed blocks of B. */
    int64_t entries(int members) const { return a_entries() + (lead(members) + 1) * b_entries(); }
};

template <class T> class Fused {
  public:
    /* `buffer`: Cuts::entries(members) entries, aligned to a vector; `members`: at least as many as the team has. */
    Fused(const std::vector<Product<T>> &products, const Cuts<T> &cuts, T *buffer, int members)
        : products_(products), cuts_(cuts), lead_(Cuts<T>::lead(members)),
          stages_(int64_t(products.size()) * cuts.pieces * cuts.column_pieces), packed_a_(buffer),
          packed_b_(buffer + cuts.a_entries()) {}

    /* Run by every member of the team. */
    void run(Team &team) const {
        const int64_t first = std::min(lead_, stages_);
        team.loop(first * share_count(), [&](int64_t share) {
            pack_b(share / share_count(), share % share_count(), share_count());
        });
        team.relay(stages_, cuts_.groups, lead_, [&](int64_t stage, int64_t group) { multiply_group(stage, group); },
                   [&](int64_t stage, int64_t group) {
                       if (stage + lead_ < stages_) pack_b(stage + lead_, group, cuts_.groups);
                   });
    }

  private:
    struct Place {
        const Product<T> *product;
        int64_t piece, inner_start, inner, column_piece, column_start, columns;
    };

    static constexpr int64_t share_count() { return 32; }

    Place place(int64_t stage) const {
        const int64_t column_piece = stage % cuts_.column_pieces, rest = stage / cuts_.column_pieces;
        const int64_t piece = rest % cuts_.pieces;
        const int64_t k = piece * cuts_.inner_piece, j = column_piece * cuts_.column_piece;
        return {&products_[rest / cuts_.pieces],
                piece, k, Cuts<T>::rounded(std::min(cuts_.inner_piece, cuts_.inner - k), unrolled),
                column_piece, j, std::min(cuts_.column_piece, cuts_.columns - j)};
    }

    /* The stage's block of B falls into rectangles that are packed one by one, long in the direction in which its entries
     * are contiguous: some rows across all columns, or some columns of a panel. */
    struct Rectangles {
        int64_t height, width, inner, columns;   // of a rectangle, of the block
        int64_t down() const { return (inner + height - 1) / height; }
        int64_t count() const { return down() * ((columns + width - 1) / width); }
        int64_t row(int64_t i) const { return i % down() * height; }
        int64_t column(int64_t i) const { return i / down() * width; }
        int64_t rows(int64_t i) const { return std::min(height, inner - row(i)); }
    };
    static Rectangles rectangles(const Place &at) {
        constexpr int64_t tile = Blocking<T>::columns;
        const int64_t columns = Cuts<T>::rounded(at.columns, tile);
        if (at.product->b[0].block.column_stride == 1) return {unrolled, columns, at.inner, columns};
        return {8 * Blocking<T>::lanes, tile, at.inner, columns};
    }

    T *block_of_b(int64_t stage) const { return packed_b_ + stage % (lead_ + 1) * cuts_.b_entries(); }

    void pack_b(int64_t stage, int64_t share, int64_t shares) const {
        constexpr int tile = Blocking<T>::columns;
        const Place at = place(stage);
        const Rectangles parts = rectangles(at);
        for (int64_t i = parts.count() * share / shares; i < parts.count() * (share + 1) / shares; i++) {
            const int64_t p = parts.row(i), j = parts.column(i);
            pack<tile>(block_of_b(stage) + j * at.inner + p * tile, tile * at.inner, at.product->b, at.inner_start + p,
                       at.column_start + j, parts.rows(i), parts.width);
        }
    }

    T *panel(int64_t row) const { return packed_a_ + row / Blocking<T>::rows * cuts_.a_panel; }

    /* A rectangle of the blocks, where their rows or their columns are contiguous. */
    static void add_blocks(Ahead<T> &ahead, const Terms<T> &terms, int64_t i, int64_t j, int64_t height, int64_t width) {
        for (const Term<T> &term : terms) {
            Matrix<const T> part = term.block.block(i, j, height, width);
            if (part.column_stride != 1) part = part.transposed();
            if (part.column_stride != 1) return;
            for (int64_t r = 0; r < part.rows; r++) ahead.add(&part.at(r, 0), part.columns);
        }
    }

    /* What will be read after the panel at `row`: the next panel of A, packed or what it is packed from, and what the
     * panel's share of a block of B is packed from. */
    void add_next(Ahead<T> &ahead, const Place &at, int64_t stage, int64_t group, int64_t row) const {
        constexpr int64_t rows = Blocking<T>::rows, group_rows = Cuts<T>::group_rows, parts = group_rows / rows;
        const int64_t part = row % group_rows / rows;
        if (at.column_piece > 0) {
            if (row + rows < cuts_.rows) ahead.add(panel(row + rows), cuts_.a_panel);
        } else if (across(at)) {
            add_blocks(ahead, at.product->a, at.inner_start, row + rows, at.inner, rows);
        } else {   // a group at a time
            const int64_t start = at.inner * part / parts, end = at.inner * (part + 1) / parts;
            add_blocks(ahead, at.product->a, at.inner_start + start, (group + 1) * group_rows, end - start, group_rows);
        }
        if (stage + lead_ >= stages_) return;
        const Place next = place(stage + lead_);
        const Rectangles rectangle = rectangles(next);
        const int64_t start = rectangle.count() * (group * parts + part) / (cuts_.groups * parts),
                      end = rectangle.count() * (group * parts + part + 1) / (cuts_.groups * parts);
        for (int64_t i = start; i < end; i++)
            add_blocks(ahead, next.product->b, next.inner_start + rectangle.row(i), next.column_start + rectangle.column(i),
                       rectangle.rows(i), std::min(rectangle.width, next.columns - rectangle.column(i)));
    }

    /* Whether the rows of the product's A are contiguous, so that packing transposes them. */
    static bool across(const Place &at) { return at.product->a[0].block.row_stride == 1; }

    void multiply_group(int64_t stage, int64_t group) const {
        constexpr int rows = Blocking<T>::rows, tile = Blocking<T>::columns;
        const Place at = place(stage);
        const int64_t first = group * Cuts<T>::group_rows;
        const int64_t tiles = (at.columns + tile - 1) / tile;
        const T *const b = block_of_b(stage);
        std::vector<Target<T>> targets = at.product->c;
        if (at.piece > 0)
            for (Target<T> &target : targets) target.first = false;
        const bool packs = at.column_piece == 0, each = across(at);   // panel by panel, or the group at once
        const auto pack_a = [&](int64_t row, int64_t height) {
            pack<rows>(panel(row), cuts_.a_panel, at.product->a, at.inner_start, row, at.inner, height);
        };
        if (packs && !each) pack_a(first, Cuts<T>::group_rows);
        Ahead<T> ahead;
        for (int64_t row = first; row < std::min(first + Cuts<T>::group_rows, cuts_.rows); row += rows) {
            if (packs && each) pack_a(row, rows);
            ahead.start(targets, row, at.column_start, at.inner / unrolled);
            add_next(ahead, at, stage, group, row);
            for (int64_t t = 0; t < tiles; t++)
                multiply_tile(at.inner, panel(row), b + t * tile * at.inner, targets, row, at.column_start + t * tile,
                              ahead.of_tile(t));
        }
    }

    const std::vector<Product<T>> &products_;
    const Cuts<T> cuts_;
    const int64_t lead_, stages_;
    T *packed_a_, *packed_b_;
};

}  // namespace grokkit

#endif

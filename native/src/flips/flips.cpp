// Many walks in the flip graph, side by side. A walk depends on its own numbers only, so the number of threads changes nothing.

#include "grokkit_native.h"
#include "walk.h"

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace grokkit_flips {
namespace {

template <typename Ring> void walk(const grokkit_walks &walks, int64_t number) {
    const Settings settings = {walks.entries <= 32, walks.target,             walks.headroom,
                               walks.steps,         walks.intervals[number], walks.acceptance};
    const auto runner = std::make_unique<Walk<Ring>>(walks.random[number], settings);
    runner->run(walks.ranks + number, walks.factors + number * 6 * walks.capacity, walks.capacity, walks.tried + number,
                walks.flipped + number, walks.reached + number * (walks.capacity + 1));
    walks.random[number] = runner->random();
}

bool supported(const grokkit_walks &walks) {
    if (walks.ring < GROKKIT_GF2 || walks.ring > GROKKIT_TERNARY || walks.entries < 1 || walks.entries > 64)
        return false;
    if (walks.capacity < 1 || walks.capacity > kLargestRank || walks.walkers < 0 || walks.threads < 1 || walks.steps < 0)
        return false;
    for (int64_t number = 0; number < walks.walkers; number++)
        if (walks.ranks[number] < 0 || walks.ranks[number] > walks.capacity || walks.intervals[number] < 1)
            return false;
    return true;
}

} // namespace
} // namespace grokkit_flips

extern "C" int32_t grokkit_walk(const grokkit_walks *walks) {
    using namespace grokkit_flips;
    if (!supported(*walks))
        return 1;
    std::atomic<int64_t> next{0};
    std::atomic<bool> failed{false};
    const auto work = [&] {
        try {
            for (int64_t number; (number = next++) < walks->walkers;) {
                if (walks->ring == GROKKIT_GF2)
                    walk<Gf2>(*walks, number);
                else if (walks->ring == GROKKIT_GF3)
                    walk<Gf3>(*walks, number);
                else
                    walk<Ternary>(*walks, number);
            }
        } catch (const std::bad_alloc &) {
            failed = true;
        }
    };
    std::vector<std::thread> team;
    try {
        for (int extra = 1; extra < walks->threads && extra < walks->walkers; extra++)
            team.emplace_back(work);
    } catch (const std::system_error &) {
        // fewer threads do the same work
    }
    work();
    for (std::thread &thread : team)
        thread.join();
    return failed ? 2 : 0;
}

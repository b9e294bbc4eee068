// Many walks in the flip graph, side by side. A walk depends on its own numbers only, so the number of threads changes nothing.

#include "grokkit_native.h"
#include "cheapen.h"
#include "walk.h"

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace grokkit_flips {
namespace {

template <typename Ring> void walk(const grokkit_walks &walks, int64_t number) {
    const Settings settings = {walks.entries <= 32,     walks.target,         walks.headroom,  walks.steps,
                               walks.intervals[number], walks.symmetric != 0, walks.acceptance};
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
        if (walks.ranks[number] < 0 || walks.ranks[number] > walks.capacity || walks.intervals[number] < 1 ||
            (walks.symmetric && walks.ranks[number] % 3))
            return false;
    return true;
}

} // namespace
} // namespace grokkit_flips

namespace grokkit_flips {
namespace {

// Calls work(number) for every walk, on a few threads. 2 if there was no memory for some.
template <typename Work> int32_t side_by_side(int64_t walkers, int32_t threads, const Work &work) {
    std::atomic<int64_t> next{0};
    std::atomic<bool> failed{false};
    const auto serve = [&] {
        try {
            for (int64_t number; (number = next++) < walkers;)
                work(number);
        } catch (const std::bad_alloc &) {
            failed = true;
        }
    };
    std::vector<std::thread> team;
    try {
        for (int extra = 1; extra < threads && extra < walkers; extra++)
            team.emplace_back(serve);
    } catch (const std::system_error &) {
        // fewer threads do the same work
    }
    serve();
    for (std::thread &thread : team)
        thread.join();
    return failed ? 2 : 0;
}

} // namespace
} // namespace grokkit_flips

extern "C" int32_t grokkit_walk(const grokkit_walks *walks) {
    using namespace grokkit_flips;
    if (!supported(*walks))
        return 1;
    return side_by_side(walks->walkers, walks->threads, [walks](int64_t number) {
        if (walks->ring == GROKKIT_GF2)
            walk<Gf2>(*walks, number);
        else if (walks->ring == GROKKIT_GF3)
            walk<Gf3>(*walks, number);
        else
            walk<Ternary>(*walks, number);
    });
}

extern "C" int32_t grokkit_cheapen(const grokkit_cheapening *job) {
    using namespace grokkit_flips;
    if (job->capacity < 1 || job->capacity > kReducedRank || job->threads < 1 || job->walkers < 0 || job->steps < 0 || job->flips < 1)
        return 1;
    for (const int32_t entries : job->entries)
        if (entries < 1 || entries > 64)
            return 1;
    for (int64_t number = 0; number < job->walkers; number++)
        if (job->ranks[number] < 0 || job->ranks[number] > job->capacity)
            return 1;
    return side_by_side(job->walkers, job->threads, [job](int64_t number) {
        const int entries[3] = {job->entries[0], job->entries[1], job->entries[2]};
        const bool packed = entries[0] <= 32 && entries[1] <= 32 && entries[2] <= 32;
        const Settings settings = {packed, 0, 0, job->steps, 1, false, nullptr};
        const auto runner = std::make_unique<Cheapening>(job->random[number], settings, entries, job->flips, job->acceptance);
        job->additions[number] =
            runner->run(job->ranks + number, job->factors + number * 6 * job->capacity, job->capacity);
        job->random[number] = runner->random();
    });
}

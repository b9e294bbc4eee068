/* A team of threads that lives for one call: nothing is left behind that a fork could break or two calls could share.
 *
 * All members run the same program. `loop` deals its items dynamically, so that a slow core takes fewer of them, and
 * ends with a barrier. What an item computes must not depend on who takes it; then results do not depend on the
 * number of threads. */
#ifndef GROKKIT_PRODUCT_TEAM_H
#define GROKKIT_PRODUCT_TEAM_H

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace grokkit {

class Team {
  public:
    /* Run program(team) on `threads` threads, this one among them; on fewer where the system refuses more. */
    template <class Program> static void run(int threads, Program program) {
        Team team;
        std::vector<std::thread> others;
        const auto member = [&] {
            team.await_start();
            program(team);
        };
        try {
            others.reserve(threads > 1 ? threads - 1 : 0);
            while (int(others.size()) < threads - 1) others.emplace_back(member);
        } catch (const std::system_error &) {
        }
        team.start(int(others.size()) + 1);
        program(team);
        for (std::thread &other : others) other.join();
    }

    int size() const { return size_; }

    /* Call f(i) once for each i < count, on whichever member is free. */
    template <class F> void loop(int64_t count, F f) {
        if (size_ == 1) {
            for (int64_t i = 0; i < count; i++) f(i);
            return;
        }
        for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count;) f(i);
        wait();
    }

  private:
    void await_start() {
        std::unique_lock<std::mutex> lock(mutex_);
        released_.wait(lock, [&] { return size_ > 0; });
    }

    void start(int size) {
        const std::lock_guard<std::mutex> lock(mutex_);
        size_ = size;
        released_.notify_all();
    }

    /* Barrier. Waits actively for a short while, as the next member is usually near; then sleeps. */
    void wait() {
        const uint32_t round = round_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
            arrived_.store(0, std::memory_order_relaxed);
            next_.store(0, std::memory_order_relaxed);
            const std::lock_guard<std::mutex> lock(mutex_);
            round_.store(round + 1, std::memory_order_release);
            released_.notify_all();
            return;
        }
        for (int spin = 0; spin < 4000; spin++) {
            if (round_.load(std::memory_order_acquire) != round) return;
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
        }
        std::unique_lock<std::mutex> lock(mutex_);
        released_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != round; });
    }

    int size_ = 0;
    std::mutex mutex_;
    std::condition_variable released_;
    alignas(64) std::atomic<int64_t> next_{0};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<uint32_t> round_{0};
};

}  // namespace grokkit

#endif

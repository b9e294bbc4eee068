/* A team of threads that lives for one call: nothing is left behind that a fork could break or two calls could share.
 *
 * All members run the same program. `loop` and `relay` deal their items dynamically, so that a slow core takes fewer of
 * them, and end with a barrier. What an item computes must not depend on who takes it; then results do not depend on the
 * number of threads. */
#ifndef GROKKIT_PRODUCT_TEAM_H
#define GROKKIT_PRODUCT_TEAM_H

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace grokkit {

/* Threads to be started each on processors of its own share, not on that of the caller: some kernels start a thread
 * where its parent runs and leave it waiting there for milliseconds, beside idle processors. Once it runs, a thread may
 * go wherever the caller may. Without a way to ask for that, threads start where they will. */
class Crew {
  public:
    /* Start up to `count` threads that run entry(argument); fewer where the system refuses more. */
    Crew(int count, void (*entry)(void *), void *argument) : entry_(entry), argument_(argument) {
        if (count < 1) return;
#if defined(__GLIBC__)
        placed_ = pthread_getaffinity_np(pthread_self(), sizeof allowed_, &allowed_) == 0;
        const int here = sched_getcpu();
        std::vector<int> others;
        for (int cpu = 0; placed_ && cpu < CPU_SETSIZE; cpu++)
            if (cpu != here && CPU_ISSET(cpu, &allowed_)) others.push_back(cpu);
        placed_ = placed_ && !others.empty();
        threads_.reserve(std::size_t(count));
        for (int i = 0; i < count; i++) {
            pthread_t thread;
            if (!start_on_share(thread, others, i, count) && pthread_create(&thread, nullptr, enter, this) != 0) return;
            threads_.push_back(thread);
        }
#else
        try {
            threads_.reserve(std::size_t(count));
            while (int(threads_.size()) < count) threads_.emplace_back(enter, this);
        } catch (const std::system_error &) {
        }
#endif
    }

    ~Crew() {
#if defined(__GLIBC__)
        for (pthread_t thread : threads_) pthread_join(thread, nullptr);
#else
        for (std::thread &thread : threads_) thread.join();
#endif
    }

    Crew(const Crew &) = delete;
    Crew &operator=(const Crew &) = delete;
    int size() const { return int(threads_.size()); }

  private:
#if defined(__GLIBC__)
    bool start_on_share(pthread_t &thread, const std::vector<int> &processors, int i, int count) {
        pthread_attr_t attributes;
        if (!placed_ || pthread_attr_init(&attributes) != 0) return false;
        cpu_set_t own;
        CPU_ZERO(&own);
        for (std::size_t c = std::size_t(i) % processors.size(); c < processors.size(); c += std::size_t(count))
            CPU_SET(processors[c], &own);
        const bool started = pthread_attr_setaffinity_np(&attributes, sizeof own, &own) == 0 &&
                             pthread_create(&thread, &attributes, enter, this) == 0;
        pthread_attr_destroy(&attributes);
        return started;
    }
#endif

    static void *enter(void *crew) {
        const Crew &self = *static_cast<Crew *>(crew);
#if defined(__GLIBC__)
        if (self.placed_) pthread_setaffinity_np(pthread_self(), sizeof self.allowed_, &self.allowed_);
#endif
        self.entry_(self.argument_);
        return nullptr;
    }

    void (*entry_)(void *);
    void *argument_;
#if defined(__GLIBC__)
    bool placed_ = false;
    cpu_set_t allowed_;
    std::vector<pthread_t> threads_;
#else
    std::vector<std::thread> threads_;
#endif
};

class Team {
  public:
    /* Run program(team) on `threads` threads, this one among them; on fewer where the system refuses more. */
    template <class Program> static void run(int threads, Program program) {
        struct Member {
            Team team;
            Program &program;
        } member = {Team(threads), program};
        const auto join_in = [](void *of) {
            Member &self = *static_cast<Member *>(of);
            self.team.await_start();
            self.program(self.team);
        };
        const Crew others(threads - 1, join_in, &member);
        member.team.start(others.size() + 1);
        program(member.team);
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

    /* Stages of `items` items each, without a barrier between them: use(s, i) and then prepare(s, i), which makes ready a
     * share of what stage s + lead uses. use(s, i) comes after every prepare(s - lead, .) and after use(s - 1, i), and
     * prepare(s, i) after every use(s - 1, .). */
    template <class Use, class Prepare>
    void relay(int64_t stages, int64_t items, int64_t lead, Use use, Prepare prepare) {
        const int64_t total = stages * items, start = start_;
        if (size_ == 1) {
            for (int64_t x = 0; x < total; x++) use(x / items, x % items), prepare(x / items, x % items);
            return;
        }
        Place &place = places_[std::size_t(places_taken_.fetch_add(1, std::memory_order_relaxed))];
        for (int64_t x; (x = next_.fetch_add(1, std::memory_order_relaxed)) < total;) {
            const int64_t stage = x / items, item = x % items;
            // What a member holds is published after it is taken: until then it seems to hold what it last had.
            place.using_.store(start + x, std::memory_order_release);
            place.preparing.store(start + x, std::memory_order_release);
            await_places(&Place::preparing, start + (stage - lead + 1) * items);
            await_places(&Place::using_, start + x - items + 1);
            use(stage, item);
            place.using_.store(start + x + 1, std::memory_order_release);
            await_places(&Place::using_, start + stage * items);
            prepare(stage, item);
            place.preparing.store(start + x + 1, std::memory_order_release);
        }
        place.using_.store(start + total, std::memory_order_release);
        place.preparing.store(start + total, std::memory_order_release);
        wait(total);
    }

  private:
    explicit Team(int most) : places_(std::size_t(most)) {}

    /* How far a member is in the items of all relays, counted on: it holds none before these. */
    struct alignas(64) Place {
        std::atomic<int64_t> using_{0}, preparing{0};
    };

    void await_places(std::atomic<int64_t> Place::*progress, int64_t least) {
        for (int m = 0; m < size_; m++)
            await([&] { return (places_[std::size_t(m)].*progress).load(std::memory_order_acquire) >= least; });
    }

    void await_start() {
        std::unique_lock<std::mutex> lock(mutex_);
        released_.wait(lock, [&] { return size_ > 0; });
    }

    void start(int size) {
        const std::lock_guard<std::mutex> lock(mutex_);
        size_ = size;
        released_.notify_all();
    }

    /* Wait actively for as long as an item may take, giving way to other threads after a moment. Whether it came to be. */
    template <class Condition> static bool await_actively(Condition over) {
        for (int spin = 0; spin < 1000; spin++) {
            if (over()) return true;
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
        }
        const auto start = std::chrono::steady_clock::now();
        while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(5)) {
            if (over()) return true;
            std::this_thread::yield();
        }
        return false;
    }

    template <class Condition> static void await(Condition over) {
        if (await_actively(over)) return;
        while (!over()) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }

    /* Barrier. Sleeps only after a while: on virtual machines a sleeping processor takes far longer to wake than a stage
     * lasts. `advance`: items of the relay that ends here. */
    void wait(int64_t advance = 0) {
        const uint32_t round = round_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
            arrived_.store(0, std::memory_order_relaxed);
            next_.store(0, std::memory_order_relaxed);
            places_taken_.store(0, std::memory_order_relaxed);
            start_ += advance;
            const std::lock_guard<std::mutex> lock(mutex_);
            round_.store(round + 1, std::memory_order_release);
            released_.notify_all();
            return;
        }
        const auto over = [&] { return round_.load(std::memory_order_acquire) != round; };
        if (await_actively(over)) return;
        std::unique_lock<std::mutex> lock(mutex_);
        released_.wait(lock, over);
    }

    int size_ = 0;
    int64_t start_ = 0;   // the number of the next relay's first item
    std::vector<Place> places_;
    std::mutex mutex_;
    std::condition_variable released_;
    alignas(64) std::atomic<int64_t> next_{0};
    alignas(64) std::atomic<int> arrived_{0};
    std::atomic<int> places_taken_{0};
    alignas(64) std::atomic<uint32_t> round_{0};
};

}  // namespace grokkit

#endif

/* A team of threads that lives for one call: nothing is left behind that a fork could break or two calls could share.
 *
 * All members run the same program. `loop` deals its items dynamically, so that a slow core takes fewer of them, and
 * ends with a barrier. What an item computes must not depend on who takes it; then results do not depend on the
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
        } member = {{}, program};
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

    /* Barrier. Waits actively for as long as an item may take, giving way to other threads after a moment, and sleeps only
     * then: on virtual machines a sleeping processor takes far longer to wake than a stage lasts. */
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
        const auto over = [&] { return round_.load(std::memory_order_acquire) != round; };
        for (int spin = 0; spin < 1000; spin++) {
            if (over()) return;
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
        }
        const auto start = std::chrono::steady_clock::now();
        while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(5)) {
            if (over()) return;
            std::this_thread::yield();
        }
        std::unique_lock<std::mutex> lock(mutex_);
        released_.wait(lock, over);
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

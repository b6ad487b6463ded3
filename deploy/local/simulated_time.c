/* A present that is as many seconds from the real one as an eight-byte file says, for every process that is started
 * with this library in LD_PRELOAD and the file's path in SIMULATED_TIME. Whoever writes the file moves all of them at
 * once. Only the calendar's clock moves. What waits until an instant of it waits for as long as the clock showed then. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t none = 0;
static const volatile int64_t *ahead = &none;

__attribute__((constructor)) static void open_clock(void) {
    const char *path = getenv("SIMULATED_TIME");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *shared = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (shared != MAP_FAILED)
        ahead = shared;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise))
        return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise))
        return -1;
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}

/* Seconds of the calendar's clock; the other clocks count from the machine's start and never get there. */
static const time_t calendar = 1000000000;

static clockid_t real(const struct timespec *until, struct timespec *found) {
    *found = *until;
    if (until->tv_sec < calendar)
        return CLOCK_MONOTONIC;
    found->tv_sec -= *ahead;
    return CLOCK_REALTIME;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    struct timespec found;
    clockid_t clock = real(until, &found);
    return pthread_cond_clockwait(condition, mutex, clock, &found);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    struct timespec found;
    clockid_t clock = real(until, &found);
    return pthread_mutex_clocklock(mutex, clock, &found);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    struct timespec found;
    clockid_t clock = real(until, &found);
    return sem_clockwait(semaphore, clock, &found);
}

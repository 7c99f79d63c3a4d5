/* Primes up to each limit given on stdin: how many, the largest, and the widest gap between two neighbours.
 * A sieve over odd numbers only, one bit each. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int is_composite(const uint64_t *bits, uint64_t index)
{
    return bits[index / 64] >> (index % 64) & 1;
}

static uint64_t *sieve(uint64_t limit)
{
    uint64_t count = (limit + 1) / 2; /* index i stands for 2i + 1 */
    uint64_t *bits = calloc(count / 64 + 1, sizeof *bits);
    if (bits == NULL)
        return NULL;
    for (uint64_t i = 1; (2 * i + 1) * (2 * i + 1) <= limit; i++) {
        if (is_composite(bits, i))
            continue;
        uint64_t prime = 2 * i + 1;
        for (uint64_t j = prime * prime / 2; j < count; j += prime)
            bits[j / 64] |= UINT64_C(1) << (j % 64);
    }
    return bits;
}

static int report(uint64_t limit)
{
    if (limit < 2) {
        printf("%" PRIu64 ": no primes\n", limit);
        return 0;
    }
    uint64_t *bits = sieve(limit);
    if (bits == NULL) {
        fprintf(stderr, "%" PRIu64 ": out of memory\n", limit);
        return 1;
    }
    uint64_t primes = 1, last = 2, gap = 0, gap_from = 2;
    for (uint64_t i = 1; i < (limit + 1) / 2; i++) {
        if (is_composite(bits, i))
            continue;
        uint64_t prime = 2 * i + 1;
        if (prime - last > gap) {
            gap = prime - last;
            gap_from = last;
        }
        last = prime;
        primes++;
    }
    printf("%" PRIu64 ": %" PRIu64 " primes, the largest %" PRIu64, limit, primes, last);
    if (gap > 0)
        printf(", widest gap %" PRIu64 " after %" PRIu64, gap, gap_from);
    putchar('\n');
    free(bits);
    return 0;
}

int main(void)
{
    uint64_t limit;
    while (scanf("%" SCNu64, &limit) == 1)
        if (report(limit) != 0)
            return 1;
    return 0;
}

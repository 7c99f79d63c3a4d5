// Tries: burns CPU inside the kernel only: random bytes, copies, path look-ups.
// Seen: judges that limit user time.
// Must: system time counts.
// Case: row=C3 expect=limit:cpu limits=cpu:500ms
#define _GNU_SOURCE
#include <sys/random.h>
#include <sys/stat.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    static char bytes[1 << 16];
    struct stat status;
    for (;;) {
        if (getrandom(bytes, sizeof bytes, 0) < 0) return 1;
        stat("/usr/../usr/../usr/../usr/../usr/../usr/../usr/nothing", &status);
    }
}

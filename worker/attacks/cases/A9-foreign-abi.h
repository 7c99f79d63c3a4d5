/* Shared by the A9 cases: a call that got through says so. */
#include <stdio.h>
static int foreign_call_answered(long answer) {
    printf(answer > 0 ? "ESCAPED: getpid answered %ld\n" : "the call failed: %ld\n", answer);
    return answer > 0 ? 66 : 1;
}

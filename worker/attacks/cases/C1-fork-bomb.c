// Tries: as many processes as it can get.
// Seen: every online judge.
// Must: the pids limit stops it and the outcome says so; neighbours do not notice.
// Case: row=C1 expect=limit:pids
#include <unistd.h>
int main(void) { for (;;) fork(); }

// Tries: a private copy of the whole mount tree as a descriptor, to be attached elsewhere.
// Seen: open_tree(2), the call behind rootless container tools; newer than most deny lists.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B9 expect=forbidden:open_tree
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long tree = syscall(428, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */ | AT_RECURSIVE);
    long moved = syscall(429 /* move_mount */, (int)tree, "", AT_FDCWD, "/work", 4);
    printf("ESCAPED: open_tree answered %ld, move_mount %ld\n", tree, moved);
    return 66;
}

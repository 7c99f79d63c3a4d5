"""The one who knows: reads the secret from its argument, answers each guess on stdin with `higher`, `lower` or `right`.

Its stdout is the player's stdin, and the player's stdout is its stdin. Exit status 0 means that the player found the
number within the guesses allowed. The course of the game goes to stderr.
"""

import sys

RANGE = (1, 1_000_000)
GUESSES = 20


def main() -> int:
    secret = int(sys.argv[1]) if len(sys.argv) > 1 else 271_828
    # Flushed: the player waits for this line, and would wait for ever for one in a buffer.
    print(*RANGE, flush=True)
    for number in range(1, GUESSES + 1):
        line = sys.stdin.readline()
        if not line:
            print(f"the player left after {number - 1} guesses", file=sys.stderr)
            return 1
        guess = int(line)
        answer = "right" if guess == secret else "higher" if guess < secret else "lower"
        print(f"guess {number}: {guess} - {answer}", file=sys.stderr)
        print(answer, flush=True)
        if answer == "right":
            return 0
    print(f"not found in {GUESSES} guesses", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

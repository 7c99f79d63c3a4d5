"""Counts the words of a text on stdin: the ten most frequent, the longest, and how many there are."""

import re
import sys
from collections import Counter


def main() -> None:
    words = re.findall(r"[a-z]+(?:'[a-z]+)?", sys.stdin.read().lower())
    counts = Counter(words)
    for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]:
        print(f"{count:5} {word}")
    longest = min(counts, key=lambda word: (-len(word), word))
    print(f"{len(words)} words, {len(counts)} different, the longest: {longest}")


if __name__ == "__main__":
    main()

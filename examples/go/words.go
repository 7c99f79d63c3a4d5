// Reads a text on stdin and prints its ten most frequent words, the longest, and how many there are.
package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"
)

var word = regexp.MustCompile(`[a-z]+(?:'[a-z]+)?`)

type counted struct {
	word  string
	count int
}

// count reads lines and sends the words of each to one counter.
func count(lines <-chan string) map[string]int {
	counts := make(map[string]int)
	for line := range lines {
		for _, found := range word.FindAllString(strings.ToLower(line), -1) {
			counts[found]++
		}
	}
	return counts
}

func main() {
	lines := make(chan string)
	result := make(chan map[string]int)
	go func() { result <- count(lines) }()
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		lines <- scanner.Text()
	}
	close(lines)
	counts := <-result
	if err := scanner.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}

	var all []counted
	words, longest := 0, ""
	for found, times := range counts {
		all = append(all, counted{found, times})
		words += times
		if len(found) > len(longest) || (len(found) == len(longest) && found < longest) {
			longest = found
		}
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].count != all[j].count {
			return all[i].count > all[j].count
		}
		return all[i].word < all[j].word
	})
	for i := 0; i < len(all) && i < 10; i++ {
		fmt.Printf("%5d %s\n", all[i].count, all[i].word)
	}
	fmt.Printf("%d words, %d different, the longest: %s\n", words, len(all), longest)
}

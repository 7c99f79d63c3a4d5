// A cache that forgets what was used least recently, driven by commands on stdin:
// `capacity N`, `put KEY VALUE`, `get KEY`, `show`. Types are stripped, nothing is compiled.
import { readFileSync } from "node:fs";

interface Statistics {
  hits: number;
  misses: number;
}

class Cache<K, V> {
  readonly statistics: Statistics = { hits: 0, misses: 0 };
  // A Map keeps the order of insertion: the first entry is the oldest.
  private readonly entries = new Map<K, V>();
  private readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get(key: K): V | undefined {
    const value = this.entries.get(key);
    if (value === undefined) {
      this.statistics.misses++;
      return undefined;
    }
    this.statistics.hits++;
    this.renew(key, value);
    return value;
  }

  /** Returns the key that had to go, if any. */
  put(key: K, value: V): K | undefined {
    let gone: K | undefined;
    if (!this.entries.has(key) && this.entries.size === this.capacity) {
      gone = this.entries.keys().next().value as K;
      this.entries.delete(gone);
    }
    this.renew(key, value);
    return gone;
  }

  newestFirst(): [K, V][] {
    return [...this.entries].reverse();
  }

  private renew(key: K, value: V): void {
    this.entries.delete(key);
    this.entries.set(key, value);
  }
}

let cache = new Cache<string, string>(2);

function execute(line: string): string | undefined {
  const [command, key, value] = line.trim().split(/\s+/) as [string, string?, string?];
  switch (command) {
    case "capacity":
      cache = new Cache<string, string>(Number(key));
      return undefined;
    case "put": {
      const gone = cache.put(key!, value!);
      return `put ${key}` + (gone === undefined ? "" : `, forgot ${gone}`);
    }
    case "get":
      return `get ${key}: ${cache.get(key!) ?? "not here"}`;
    case "show": {
      const { hits, misses } = cache.statistics;
      const entries = cache.newestFirst().map(([key, value]) => `${key}=${value}`);
      return `${entries.join(" ")} (${hits} hits, ${misses} misses)`;
    }
    default:
      throw new Error(`unknown command: ${command}`);
  }
}

for (const line of readFileSync(0, "utf8").split("\n").filter((line) => line.trim() !== "")) {
  const answer = execute(line);
  if (answer !== undefined) console.log(answer);
}

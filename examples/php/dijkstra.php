<?php
// Shortest paths from the first city named on stdin to all others.
// Input: a line `from NAME`, then one road per line: `A B LENGTH`, usable both ways.
declare(strict_types=1);

/** @return array{array<string, int>, array<string, string>} distances, and by which city each is reached */
function shortest(array $roads, string $start): array
{
    $distance = [$start => 0];
    $by = [];
    $queue = new SplPriorityQueue();
    $queue->setExtractFlags(SplPriorityQueue::EXTR_BOTH);
    $queue->insert($start, 0);
    while (!$queue->isEmpty()) {
        ['data' => $city, 'priority' => $priority] = $queue->extract();
        if (-$priority > $distance[$city]) {
            continue;
        }
        foreach ($roads[$city] ?? [] as $next => $length) {
            $through = $distance[$city] + $length;
            if ($through < ($distance[$next] ?? PHP_INT_MAX)) {
                $distance[$next] = $through;
                $by[$next] = $city;
                $queue->insert($next, -$through);
            }
        }
    }
    return [$distance, $by];
}

function path(array $by, string $city): string
{
    return isset($by[$city]) ? path($by, $by[$city]) . " - $city" : $city;
}

[$word, $start] = explode(' ', trim(fgets(STDIN) ?: ''), 2) + ['', ''];
if ($word !== 'from') {
    fwrite(STDERR, "the first line must be: from CITY\n");
    exit(1);
}
$roads = [$start => []];
while (fscanf(STDIN, '%s %s %d', $from, $to, $length) === 3) {
    $roads[$from][$to] = min($length, $roads[$from][$to] ?? PHP_INT_MAX);
    $roads[$to][$from] = min($length, $roads[$to][$from] ?? PHP_INT_MAX);
}
ksort($roads, SORT_STRING);
[$distance, $by] = shortest($roads, $start);
foreach (array_keys($roads) as $city) {
    echo isset($distance[$city])
        ? sprintf("%-12s%6d  %s\n", $city, $distance[$city], path($by, $city))
        : sprintf("%-12sunreachable\n", $city);
}

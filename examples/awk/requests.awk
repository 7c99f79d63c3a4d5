# Reads an access log on stdin (address, method, path, status, bytes, milliseconds) and prints for each path the number
# of requests, errors, bytes, and the median time, most requested first.
NF != 6 || $4 !~ /^[0-9]+$/ { skipped++; next }

{
    requests[$3]++
    bytes[$3] += $5
    if ($4 >= 400) errors[$3]++
    times[$3, requests[$3]] = $6 + 0
}

function median(path,    count, i, j, time, sorted) {
    count = requests[path]
    for (i = 1; i <= count; i++) {
        time = times[path, i]
        for (j = i - 1; j >= 1 && sorted[j] > time; j--) sorted[j + 1] = sorted[j]
        sorted[j + 1] = time
    }
    return count % 2 ? sorted[(count + 1) / 2] : (sorted[count / 2] + sorted[count / 2 + 1]) / 2
}

END {
    printf "%-12s %8s %6s %8s %8s\n", "path", "requests", "errors", "bytes", "median"
    count = 0
    for (path in requests) paths[++count] = path
    for (i = 2; i <= count; i++) {
        path = paths[i]
        for (j = i - 1; j >= 1 && is_after(paths[j], path); j--) paths[j + 1] = paths[j]
        paths[j + 1] = path
    }
    for (i = 1; i <= count; i++) {
        path = paths[i]
        printf "%-12s %8d %6d %8d %8.1f\n", path, requests[path], errors[path], bytes[path], median(path)
    }
    printf "%d lines skipped\n", skipped
}

function is_after(left, right) {
    return requests[left] < requests[right] || (requests[left] == requests[right] && left > right)
}

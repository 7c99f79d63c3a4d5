// Shortest paths from the first city named on stdin to all others.
// Input: a line `from NAME`, then one road per line: `A B LENGTH`, usable both ways.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <iomanip>
#include <iostream>
#include <limits>
#include <map>
#include <queue>
#include <string>
#include <utility>
#include <vector>

using Distance = std::uint64_t;
constexpr Distance unreachable = std::numeric_limits<Distance>::max();

struct Map {
    std::map<std::string, std::map<std::string, Distance>> roads;

    void add(const std::string &from, const std::string &to, Distance length)
    {
        auto [road, is_new] = roads[from].emplace(to, length);
        if (!is_new)
            road->second = std::min(road->second, length);
    }
};

struct Reached {
    Distance distance = unreachable;
    std::string by;
};

static std::map<std::string, Reached> shortest(const Map &map, const std::string &start)
{
    std::map<std::string, Reached> reached;
    for (const auto &[city, roads] : map.roads)
        reached[city];
    reached[start].distance = 0;
    using Next = std::pair<Distance, std::string>;
    std::priority_queue<Next, std::vector<Next>, std::greater<>> queue;
    queue.emplace(0, start);
    while (!queue.empty()) {
        auto [distance, city] = queue.top();
        queue.pop();
        if (distance > reached[city].distance)
            continue;
        auto found = map.roads.find(city);
        if (found == map.roads.end())
            continue;
        for (const auto &[next, length] : found->second) {
            if (distance + length < reached[next].distance) {
                reached[next] = {distance + length, city};
                queue.emplace(distance + length, next);
            }
        }
    }
    return reached;
}

static std::string path(const std::map<std::string, Reached> &reached, const std::string &city)
{
    const auto &by = reached.at(city).by;
    return by.empty() ? city : path(reached, by) + " - " + city;
}

int main()
{
    std::string word, start;
    if (!(std::cin >> word >> start) || word != "from") {
        std::cerr << "the first line must be: from CITY\n";
        return 1;
    }
    Map map;
    std::string from, to;
    Distance length;
    while (std::cin >> from >> to >> length) {
        map.add(from, to, length);
        map.add(to, from, length);
    }
    const auto reached = shortest(map, start);
    for (const auto &[city, way] : reached) {
        std::cout << std::left << std::setw(12) << city;
        if (way.distance == unreachable)
            std::cout << "unreachable\n";
        else
            std::cout << std::right << std::setw(6) << way.distance << "  " << path(reached, city) << '\n';
    }
}

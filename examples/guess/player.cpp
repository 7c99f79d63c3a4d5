// The one who guesses: reads the range, then halves it with each answer (`higher`, `lower`, `right`).
// stdout is the interactor's stdin; what people should see goes to stderr.
#include <iostream>
#include <string>

int main()
{
    long low, high;
    if (!(std::cin >> low >> high)) {
        std::cerr << "no range\n";
        return 1;
    }
    int guesses = 0;
    std::string answer;
    while (low <= high) {
        const long guess = low + (high - low) / 2;
        guesses++;
        // endl, not '\n': the other side waits for this line.
        std::cout << guess << std::endl;
        if (!(std::cin >> answer)) {
            std::cerr << "no answer\n";
            return 1;
        }
        if (answer == "right") {
            std::cerr << "found " << guess << " with " << guesses << " guesses\n";
            return 0;
        }
        if (answer == "higher")
            low = guess + 1;
        else
            high = guess - 1;
    }
    std::cerr << "the answers contradict each other\n";
    return 1;
}

# Factorials of the numbers on stdin: all digits, their number and their sum. Ruby's integers have no bound.

# Multiplying halves keeps the factors about equally long.
def product(from, to)
  return 1 if from > to
  return (from..to).inject(:*) if to - from < 8

  middle = (from + to) / 2
  product(from, middle) * product(middle + 1, to)
end

$stdin.read.split.each do |word|
  abort "not a natural number: #{word}" unless word.match?(/\A\d+\z/)

  factorial = product(1, word.to_i)
  digits = factorial.digits
  puts "#{word}! has #{digits.size} digits, which add up to #{digits.sum}"
  factorial.to_s.scan(/.{1,60}/) { |line| puts "  #{line}" }
end

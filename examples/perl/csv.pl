#!/usr/bin/perl
# Reads comma-separated values on stdin (quotes and commas inside quotes allowed) and prints an aligned table, numbers
# to the right, with the sum of each column of numbers.
use strict;
use warnings;

sub fields {
    my ($line) = @_;
    my @fields;
    while ($line =~ /\G(?:"((?:[^"]|"")*)"|([^,"]*))(,|$)/gc) {
        my ($quoted, $plain, $end) = ($1, $2, $3);
        push @fields, defined $quoted ? $quoted =~ s/""/"/gr : $plain;
        last if $end eq '';
    }
    return @fields;
}

chomp(my @lines = <STDIN>);
my ($head, @rows) = map { [fields($_)] } grep { /\S/ } @lines;
my (@width, @is_number, @sum);
for my $column (0 .. $#$head) {
    my @cells = map { $_->[$column] // '' } @rows;
    $is_number[$column] = !grep { !/^-?\d+(?:\.\d+)?$/ } @cells;
    if ($is_number[$column]) {
        $sum[$column] += $_ for @cells;
        $sum[$column] = sprintf '%g', $sum[$column];
    }
    $width[$column] = 0;
    for my $cell ($head->[$column], @cells, $sum[$column] // '') {
        $width[$column] = length $cell if length $cell > $width[$column];
    }
}

sub show {
    my @cells = map { sprintf $is_number[$_] ? '%*s' : '%-*s', $width[$_], $_[0][$_] // '' } 0 .. $#width;
    print join('  ', @cells) =~ s/\s+$//r, "\n";
}

show($head);
print join('  ', map { '-' x $_ } @width), "\n";
show($_) for sort { $a->[0] cmp $b->[0] } @rows;
print join('  ', map { '=' x $_ } @width), "\n";
show(\@sum);

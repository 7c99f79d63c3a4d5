# Factorials of the numbers on stdin: all digits, their number and their sum. Tcl's integers have no bound.

proc factorial {n} {
    # Multiplying halves keeps the factors about equally long.
    proc product {from to} {
        if {$from > $to} { return 1 }
        if {$to - $from < 8} {
            set result 1
            for {set i $from} {$i <= $to} {incr i} { set result [expr {$result * $i}] }
            return $result
        }
        set middle [expr {($from + $to) / 2}]
        return [expr {[product $from $middle] * [product [expr {$middle + 1}] $to]}]
    }
    return [product 1 $n]
}

proc wrapped {digits width} {
    set lines {}
    for {set at 0} {$at < [string length $digits]} {incr at $width} {
        lappend lines "  [string range $digits $at [expr {$at + $width - 1}]]"
    }
    return [join $lines "\n"]
}

foreach n [split [string trim [read stdin]]] {
    if {![string is integer -strict $n] || $n < 0} {
        puts stderr "not a natural number: $n"
        exit 1
    }
    set digits [factorial $n]
    set sum [tcl::mathop::+ {*}[split $digits {}]]
    puts "$n! has [string length $digits] digits, which add up to $sum"
    puts [wrapped $digits 60]
}

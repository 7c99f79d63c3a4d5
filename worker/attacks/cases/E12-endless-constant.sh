# Tries: a constant expression that never ends: constexpr in C++ without the compiler's own bounds.
# Seen: constexpr bombs; Rust's and Zig's compile-time evaluation.
# Must: a limit ends it.
# Case: row=E12 expect=limit:cpu|limit:wall|limit:memory needs=g++ profile=build limits=memory:128M,cpu:2s,wall:8s
cd /work || exit 1
cat > a.cpp <<'EOF'
constexpr unsigned long spin(unsigned long n) { unsigned long x = 1; for (unsigned long i = 0; i < n; i++) x = x * 6364136223846793005u + i; return x; }
static_assert(spin(1ul << 60) != 0, "");
EOF
g++ -std=c++17 -fconstexpr-loop-limit=2147483647 -fconstexpr-ops-limit=9223372036854775807 -c a.cpp -o a.o > /dev/null 2>&1
echo "ESCAPED: it came to an end"
exit 66

# Tries: a C++ template that makes two more of each, with the depth limit lifted.
# Seen: template bombs on Code Golf and in judges' rules.
# Must: a limit ends it.
# Case: row=E3 expect=limit:cpu|limit:wall|limit:memory needs=g++ profile=build limits=memory:128M,cpu:3s,wall:8s
cd /work || exit 1
cat > a.cpp <<'EOF'
template<int D, class A, class B> struct T { typename T<D - 1, T<D, A, A>, T<D, B, A>>::type a; typename T<D - 1, T<D, A, B>, T<D, B, B>>::type b; struct type {}; };
template<class A, class B> struct T<0, A, B> { struct type {}; };
T<24, int, char> bomb;
EOF
g++ -ftemplate-depth=100000 -c a.cpp -o a.o > /dev/null 2>&1
status=$?
# The compiler's parts are ended by the kernel; its driver lives on, and this shell too.
[ $status -ne 0 ] && echo "the compiler gave up: $status"
echo "ESCAPED: it came to an end"
exit 66

# Tries: reads hidden files while compiling Rust: include_bytes!, include!, env!, a path module, a message that quotes.
# Seen: procedural macros and build scripts that steal tokens (crates.io advisories).
# Must: it sees the image's own files only, whatever quotes them.
# Case: row=E14 expect=held args={canary_file} needs=rustc profile=build limits=memory:512M,cpu:8s,wall:15s,pids:64,disk:128M
cd /work || exit 1
reads() { echo "ESCAPED: $1 by $2"; exit 66; }
compiles() { printf '%s\nfn main() {}\n' "$1" > a.rs; rustc --emit=metadata -o a.rmeta a.rs > said 2>&1; }
compiles 'fn f() {}' || { echo "not tried:"; cat said; exit 1; }
for file in "$1" /etc/shadow /proc/1/environ; do
    compiles "const X: &[u8] = include_bytes!(\"$file\");" && reads "$file" 'include_bytes!'
    compiles "#[path = \"$file\"] mod stolen;" && reads "$file" '#[path]'
    sed "s|$1||g" said | grep -q canary- && reads "$file" 'a message'
done
compiles 'const X: &str = env!("KILN_CANARY");' && reads KILN_CANARY 'env!'
echo HELD

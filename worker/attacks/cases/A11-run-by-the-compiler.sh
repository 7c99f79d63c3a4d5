# Tries: runs code while "only compiling": a wrapper around the compiler's parts, which looks for what a judge's host would have.
# Seen: DMOJ judge-server#318: Nim's staticExec ran outside the sandbox.
# Must: what a compiler runs is confined like any command: own uid, no canary, no network, the same filter.
# Case: row=A11 expect=held args={canary_file},{canary_port} needs=gcc profile=build limits=memory:128M
cd /work || exit 1
cat > wrapper <<'EOF'
#!/bin/bash
{
    cat "$CANARY" && echo "ESCAPED: the canary"
    [ "$(id -u)" = 0 ] && echo "ESCAPED: root"
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") && echo "ESCAPED: the network"
    grep -q '^Seccomp:.2$' /proc/self/status || echo "ESCAPED: no filter"
    grep -q '^NoNewPrivs:.1$' /proc/self/status || echo "ESCAPED: new privileges"
    ls -d /root/.* /home/*/.* 2>/dev/null | grep -q ssh && echo "ESCAPED: keys"
    echo ran
} >> /work/seen 2>/dev/null
exec "$@"
EOF
chmod +x wrapper
echo 'int main(void) { return 0; }' > a.c
CANARY=$1 PORT=$2 gcc -wrapper /work/wrapper -o a a.c
grep ESCAPED seen && exit 66
grep -q ran seen && ./a && echo HELD

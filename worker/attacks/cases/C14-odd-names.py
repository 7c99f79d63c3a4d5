# Tries: names that break lists, shells and terminals: newlines, control bytes, no UTF-8, 255 bytes, options, and look-alikes of dots.
# Seen: collectors that print or split names; log injection; tar's member names.
# Must: names are bytes: the asked-for file comes back, whatever lies beside it.
# Case: row=C14 expect=held takes=/work/out:found
import os

names = [b"new\nline", b"\x1b[2J\x1b]0;owned\x07", b"\xff\xfe\x80", b"n" * 255, b"-rf", b"--", b" ", b"...", b".. ", b"a\\b", b"$(reboot)", b"`reboot`", b"*", b"?",
         b"\xe2\x80\xae" + b"txt.exe", b"CON", b"out\n", b"out\x01", b"\xc0\xae\xc0\xae", b"\xf0\x9f\x92\xa9" * 63]
os.chdir("/work")
for name in names:
    with open(name, "wb") as file:
        file.write(name)
    os.mkdir(name + b"d" if len(name) < 255 else b"d" + name[1:])
with open("out", "w") as file:
    file.write("out")
print("HELD" if set(names) <= set(os.listdir(b".")) else "not tried: names are missing")
